//! [`Clipboard`]: what is copied in the guest and by viewers, between a source's threads and the
//! engine's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

/// Bytes of the largest content: 100 MiB, as in spice-gtk.
pub const CLIPBOARD_MOST: usize = 100 << 20;
/// Questions of the source's that wait for viewers; more are answered with nothing.
pub(super) const ASKED_MOST: usize = 16;
/// Clipboards that there are.
pub(super) const SELECTIONS: usize = 3;

/// Which clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// What is cut and copied.
    Clipboard,
    /// What is marked.
    Primary,
    /// The third one of X.
    Secondary,
}

/// What content is. SPICE has no others, but for lists of files, which are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipboardKind {
    /// Text in UTF-8, lines end with LF.
    Text,
    /// A PNG picture.
    Png,
    /// A BMP picture.
    Bmp,
    /// A TIFF picture.
    Tiff,
    /// A JPEG picture.
    Jpeg,
}

impl ClipboardKind {
    /// All of them, the most useful first.
    pub const ALL: [Self; 5] = [Self::Text, Self::Png, Self::Bmp, Self::Tiff, Self::Jpeg];

    /// Its media type.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Text => "text/plain;charset=utf-8",
            Self::Png => "image/png",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// The kind of a media type, if SPICE has it.
    pub fn of_mime(mime: &str) -> Option<Self> {
        Some(match mime {
            "image/png" => Self::Png,
            "image/bmp" | "image/x-bmp" | "image/x-MS-bmp" => Self::Bmp,
            "image/tiff" => Self::Tiff,
            "image/jpeg" => Self::Jpeg,
            "UTF8_STRING" => Self::Text,
            _ => {
                let plain = mime.strip_prefix("text/plain")?;
                (plain.is_empty() || plain.eq_ignore_ascii_case(";charset=utf-8")).then_some(Self::Text)?
            }
        })
    }
}

/// Where a source takes part in the clipboard. A clone is another handle; any thread may use it.
#[derive(Clone, Debug, Default)]
pub struct Clipboard {
    shared: Arc<Shared>,
}

/// The guest's end. Dropping it takes the guest's clipboard away. Any thread may use it.
#[derive(Debug)]
pub struct GuestClipboard {
    shared: Arc<Shared>,
}

/// What viewers did.
#[derive(Debug)]
pub enum ClipboardEvent {
    /// A viewer has something new; ask for it with [`GuestClipboard::request`].
    Grab(Selection, Vec<ClipboardKind>),
    /// What the viewers had is gone.
    Release(Selection),
    /// A viewer wants what the guest has.
    Request(ClipboardRequest),
}

/// A viewer wants what the guest has. Dropped without an answer, it gets nothing.
pub struct ClipboardRequest {
    /// Of which clipboard.
    pub selection: Selection,
    /// As what; one of the kinds that the guest offered.
    pub kind: ClipboardKind,
    answer: Option<oneshot::Sender<Bytes>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    letters: Mutex<Letters>,
    to_source: Notify,
    to_engine: Arc<Notify>,
}

/// What was said and not taken; the newest of each clipboard's changes.
#[derive(Debug, Default)]
struct Letters {
    open: bool,
    by_guest: [Option<Change>; SELECTIONS],
    asked: Vec<Asked>,
    by_viewers: [Option<Change>; SELECTIONS],
    wanted: VecDeque<ClipboardRequest>,
}

/// A clipboard changed its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Grab(Vec<ClipboardKind>),
    Release,
}

/// The source wants what a viewer has.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) selection: Selection,
    pub(super) kind: ClipboardKind,
    pub(super) answer: oneshot::Sender<Option<Bytes>>,
}

/// What the engine finds.
pub(super) struct FromSource {
    pub(super) open: bool,
    pub(super) changes: [Option<Change>; SELECTIONS],
    pub(super) asked: Vec<Asked>,
}

impl Clipboard {
    /// `to_engine` is notified when the engine should look.
    pub(crate) fn new(to_engine: &Arc<Notify>) -> Self {
        Self { shared: Arc::new(Shared { to_engine: Arc::clone(to_engine), ..Shared::default() }) }
    }

    /// The guest has a clipboard from now on. There is one: a second end says the same things.
    pub fn open(&self) -> GuestClipboard {
        self.shared.lock().open = true;
        self.shared.to_engine.notify_one();
        GuestClipboard { shared: Arc::clone(&self.shared) }
    }

    pub(super) fn take(&self) -> FromSource {
        let mut letters = self.shared.lock();
        FromSource {
            open: letters.open,
            changes: std::mem::take(&mut letters.by_guest),
            asked: std::mem::take(&mut letters.asked),
        }
    }

    /// Tells the source what viewers did.
    pub(super) fn tell(&self, selection: Selection, change: Change) {
        if let Some(slot) = self.shared.lock().by_viewers.get_mut(selection as usize) {
            *slot = Some(change);
        }
        self.shared.to_source.notify_one();
    }

    /// Asks the source for content.
    pub(super) fn want(&self, selection: Selection, kind: ClipboardKind) -> oneshot::Receiver<Bytes> {
        let (answer, content) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let request = ClipboardRequest { selection, kind, answer: Some(answer), shared };
        self.shared.lock().wanted.push_back(request);
        self.shared.to_source.notify_one();
        content
    }
}

impl GuestClipboard {
    /// Something was copied in the guest; it can be had as each of these kinds. None of them is a
    /// [`release`](Self::release).
    pub fn grab(&self, selection: Selection, kinds: &[ClipboardKind]) {
        self.say(selection, if kinds.is_empty() { Change::Release } else { Change::Grab(kinds.to_vec()) });
    }

    /// What the guest had is gone.
    pub fn release(&self, selection: Selection) {
        self.say(selection, Change::Release);
    }

    /// Waits for what viewers do. One waiter at a time.
    pub async fn next(&self) -> ClipboardEvent {
        loop {
            if let Some(event) = self.shared.lock().next_event() {
                return event;
            }
            self.shared.to_source.notified().await;
        }
    }

    /// Content of the viewer that has something; `None` when there is none or the viewer does not
    /// give it. At most [`CLIPBOARD_MOST`] bytes, and hostile.
    pub async fn request(&self, selection: Selection, kind: ClipboardKind) -> Option<Bytes> {
        let (answer, content) = oneshot::channel();
        {
            let mut letters = self.shared.lock();
            if letters.asked.len() >= ASKED_MOST {
                return None;
            }
            letters.asked.push(Asked { selection, kind, answer });
        }
        self.shared.to_engine.notify_one();
        content.await.ok().flatten()
    }

    fn say(&self, selection: Selection, change: Change) {
        if let Some(slot) = self.shared.lock().by_guest.get_mut(selection as usize) {
            *slot = Some(change);
        }
        self.shared.to_engine.notify_one();
    }
}

impl Drop for GuestClipboard {
    fn drop(&mut self) {
        let mut letters = self.shared.lock();
        letters.open = false;
        letters.by_guest = [const { Some(Change::Release) }; SELECTIONS];
        letters.wanted.clear();
        drop(letters);
        self.shared.to_engine.notify_one();
    }
}

impl ClipboardRequest {
    /// Gives it to the viewer; more than [`CLIPBOARD_MOST`] bytes are not given.
    pub fn answer(mut self, content: impl Into<Bytes>) {
        let content = content.into();
        if content.len() > CLIPBOARD_MOST {
            tracing::warn!(bytes = content.len(), most = CLIPBOARD_MOST, "the guest's clipboard is too large");
        } else if let Some(answer) = self.answer.take() {
            // The viewer may be gone.
            let _ = answer.send(content);
        }
    }
}

impl Drop for ClipboardRequest {
    fn drop(&mut self) {
        drop(self.answer.take());
        self.shared.to_engine.notify_one();
    }
}

impl fmt::Debug for ClipboardRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClipboardRequest({:?}, {:?})", self.selection, self.kind)
    }
}

impl Selection {
    pub(crate) const ALL: [Self; SELECTIONS] = [Self::Clipboard, Self::Primary, Self::Secondary];
}

impl Letters {
    fn next_event(&mut self) -> Option<ClipboardEvent> {
        for (selection, change) in Selection::ALL.into_iter().zip(&mut self.by_viewers) {
            match change.take() {
                Some(Change::Grab(kinds)) => return Some(ClipboardEvent::Grab(selection, kinds)),
                Some(Change::Release) => return Some(ClipboardEvent::Release(selection)),
                None => {}
            }
        }
        self.wanted.pop_front().map(ClipboardEvent::Request)
    }
}

impl Shared {
    /// A panic of the other side leaves nothing half-written: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_kinds() {
        for kind in ClipboardKind::ALL {
            assert_eq!(ClipboardKind::of_mime(kind.mime()), Some(kind));
        }
        for (mime, kind) in [
            ("text/plain", Some(ClipboardKind::Text)),
            ("text/plain;charset=UTF-8", Some(ClipboardKind::Text)),
            ("text/plain;charset=latin1", None),
            ("text/html", None),
            ("x-special/gnome-copied-files", None),
            ("", None),
        ] {
            assert_eq!(ClipboardKind::of_mime(mime), kind, "{mime}");
        }
    }
}
