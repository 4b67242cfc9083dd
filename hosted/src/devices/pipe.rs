//! [`Pipe`]: one device's bytes, both ways, between two threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use sumac_core::channel::PeerError;
use sumac_core::channel::vmc::DeviceBytes;
use tokio::sync::Notify;

use super::{DeviceKind, DeviceState};

/// Bytes of the guest's that wait for the viewer.
const TO_VIEWER: usize = 256 * 1024;
/// Bytes of the viewer's that wait for the guest; beyond them the viewer is not read from.
const TO_GUEST: usize = 1024 * 1024;

/// Both ends of a device.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) kind: DeviceKind,
    pub(super) name: String,
    inner: Mutex<Inner>,
    /// Something changed for the source.
    to_source: Notify,
    /// Something changed for the engine.
    to_engine: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Something changed since the engine looked.
    news: bool,
    /// The source dropped its end.
    ended: bool,
    guest: GuestEnd,
    viewer: DeviceState,
    /// Viewers so far.
    viewers: u64,
    to_viewer: BytesMut,
    to_guest: BytesMut,
}

/// The guest's end, as the viewer sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GuestEnd {
    /// Whether the guest has the device open.
    pub(crate) opened: bool,
    /// How often it opened it.
    pub(crate) opens: u64,
    /// Breaks that the guest sent so far.
    pub(crate) breaks: u64,
}

impl Pipe {
    pub(super) fn new(kind: DeviceKind, name: &str, to_engine: Arc<Notify>) -> Self {
        Self { kind, name: name.into(), inner: Mutex::default(), to_source: Notify::new(), to_engine }
    }

    // ---- the source's end

    pub(super) fn state(&self) -> DeviceState {
        self.lock().viewer
    }

    pub(super) async fn changed(&self) {
        self.to_source.notified().await;
    }

    /// To the viewer of this number, or whoever has the device.
    pub(super) fn write(&self, viewer: Option<u64>, bytes: &[u8]) -> usize {
        let mut inner = self.lock();
        if inner.viewer.viewer.is_none() || !inner.is_of(viewer) {
            return bytes.len();
        }
        let taken = bytes.len().min(TO_VIEWER.saturating_sub(inner.to_viewer.len()));
        inner.to_viewer.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if taken > 0 {
            self.tell_engine(inner);
        }
        taken
    }

    /// Of the viewer of this number, or whoever has the device.
    pub(super) fn read(&self, viewer: Option<u64>, out: &mut [u8]) -> usize {
        let mut inner = self.lock();
        if !inner.is_of(viewer) {
            return 0;
        }
        let was_full = inner.to_guest.len() >= TO_GUEST;
        let len = out.len().min(inner.to_guest.len());
        let (now, _) = out.split_at_mut(len);
        inner.to_guest.copy_to_slice(now);
        if was_full && inner.to_guest.len() < TO_GUEST {
            self.tell_engine(inner);
        }
        len
    }

    pub(super) fn set_opened(&self, opened: bool) {
        let mut inner = self.lock();
        inner.guest.opens += u64::from(opened && !inner.guest.opened);
        inner.guest.opened = opened;
        if !opened && self.kind == DeviceKind::Stream {
            // Its messages begin anew when it is opened again.
            inner.to_viewer.clear();
        }
        self.tell_engine(inner);
    }

    pub(super) fn send_break(&self) {
        let mut inner = self.lock();
        inner.guest.breaks += 1;
        self.tell_engine(inner);
    }

    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        self.tell_engine(inner);
    }

    // ---- the viewer's end

    /// Whether something changed since this was asked.
    pub(super) fn take_news(&self) -> bool {
        std::mem::take(&mut self.lock().news)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    pub(super) fn guest(&self) -> GuestEnd {
        self.lock().guest
    }

    /// A viewer has the device from now on.
    pub(super) fn attach(&self) {
        let mut inner = self.lock();
        inner.viewers += 1;
        let number = inner.viewers;
        inner.viewer = DeviceState { viewer: Some(number), opened: false, breaks: 0 };
        drop(inner);
        self.to_source.notify_one();
    }

    /// And no more; what was on its way is lost.
    pub(super) fn detach(&self) {
        let mut inner = self.lock();
        inner.viewer = DeviceState::default();
        inner.to_viewer = BytesMut::new();
        inner.to_guest = BytesMut::new();
        drop(inner);
        self.to_source.notify_one();
    }

    /// At most `most` bytes of the guest's.
    pub(super) fn take(&self, most: usize) -> Bytes {
        let mut inner = self.lock();
        let len = most.min(inner.to_viewer.len());
        let bytes = inner.to_viewer.split_to(len).freeze();
        drop(inner);
        if len > 0 {
            self.to_source.notify_one();
        }
        bytes
    }

    /// Whether the guest should read before more is taken from the viewer.
    pub(super) fn is_full(&self) -> bool {
        self.lock().to_guest.len() >= TO_GUEST
    }

    pub(super) fn push(&self, bytes: &DeviceBytes<'_>) -> Result<(), PeerError> {
        let mut inner = self.lock();
        let had = inner.to_guest.len();
        inner.to_guest.resize(had + bytes.len(), 0);
        let result = bytes.copy_to(inner.to_guest.get_mut(had..).unwrap_or_default());
        if result.is_err() {
            inner.to_guest.truncate(had);
        }
        drop(inner);
        self.to_source.notify_one();
        result
    }

    /// All that is on its way, to the viewer and to the guest, which then is not any more.
    pub(super) fn drain(&self) -> (Bytes, Bytes) {
        let mut inner = self.lock();
        (inner.to_viewer.split().freeze(), inner.to_guest.split().freeze())
    }

    /// This was on its way, before anything that is now.
    pub(super) fn refill(&self, to_viewer: &[u8], to_guest: &[u8]) {
        let mut inner = self.lock();
        let later = inner.to_viewer.split();
        inner.to_viewer.extend_from_slice(to_viewer);
        inner.to_viewer.extend_from_slice(&later);
        inner.to_guest.extend_from_slice(to_guest);
        self.tell_engine(inner);
        self.to_source.notify_one();
    }

    /// Bytes of the viewer's that wait for the guest.
    pub(super) fn waiting(&self) -> usize {
        self.lock().to_guest.len()
    }

    pub(super) fn set_viewer_opened(&self, opened: bool) {
        self.lock().viewer.opened = opened;
        self.to_source.notify_one();
    }

    pub(super) fn viewer_break(&self) {
        self.lock().viewer.breaks += 1;
        self.to_source.notify_one();
    }

    fn tell_engine(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.news = true;
        drop(inner);
        self.to_engine.notify_one();
    }

    /// A panic of the other side leaves nothing half-written: every change is a few assignments.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether that viewer has the device, if it is one that is meant.
    fn is_of(&self, viewer: Option<u64>) -> bool {
        viewer.is_none() || viewer == self.viewer.viewer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> Pipe {
        Pipe::new(DeviceKind::Port, "p", Arc::default())
    }

    fn push(pipe: &Pipe, bytes: &[u8]) {
        pipe.push(&DeviceBytes::Plain(bytes)).unwrap();
    }

    #[test]
    fn a_source_is_told_how_much_was_taken() {
        let pipe = pipe();
        assert_eq!(pipe.write(None, &[1; 10]), 10, "nobody is there");
        pipe.attach();
        assert_eq!(pipe.take(100), Bytes::new(), "what was written before is lost");
        assert_eq!(pipe.write(None, &[2; TO_VIEWER - 1]), TO_VIEWER - 1);
        assert_eq!(pipe.write(None, &[3; 10]), 1);
        assert_eq!(pipe.write(None, &[3; 10]), 0);
        assert_eq!(pipe.take(5), &[2; 5][..]);
        assert_eq!(pipe.write(None, &[4; 10]), 5);
        assert_eq!(pipe.take(usize::MAX).len(), TO_VIEWER);
    }

    #[test]
    fn a_viewer_is_not_read_from_while_its_guest_does_not_read() {
        let pipe = pipe();
        pipe.attach();
        push(&pipe, &vec![1; TO_GUEST - 1]);
        assert!(!pipe.is_full());
        push(&pipe, &[2; 9]);
        assert!(pipe.is_full());
        assert!(!pipe.take_news());
        let mut out = [0; 8];
        assert_eq!(pipe.read(None, &mut out), 8);
        assert!(pipe.is_full() && !pipe.take_news());
        assert_eq!(pipe.read(None, &mut out), 8);
        assert!(!pipe.is_full() && pipe.take_news(), "the engine hears of it once");
        let mut rest = vec![0; TO_GUEST];
        assert_eq!(pipe.read(None, &mut rest), TO_GUEST - 8);
        assert_eq!((rest[TO_GUEST - 9], pipe.read(None, &mut rest)), (2, 0));
    }

    #[test]
    fn what_is_on_its_way_goes_along_to_another_server() {
        let (source, target) = (pipe(), pipe());
        source.attach();
        push(&source, b"in");
        assert_eq!(source.write(None, b"out, "), 5);
        let (to_viewer, to_guest) = source.drain();
        assert_eq!((source.take(9).len(), source.waiting()), (0, 0));
        target.attach();
        assert_eq!(target.write(None, b"later"), 5, "the guest is there before its viewer");
        target.refill(&to_viewer, &to_guest);
        assert_eq!(target.take(99), &b"out, later"[..]);
        let mut read = [0; 9];
        assert_eq!((target.waiting(), target.read(None, &mut read), &read[..2]), (2, 2, &b"in"[..]));
    }

    #[test]
    fn a_viewer_that_goes_leaves_nothing() {
        let pipe = pipe();
        pipe.attach();
        pipe.set_viewer_opened(true);
        pipe.viewer_break();
        assert_eq!(pipe.state(), DeviceState { viewer: Some(1), opened: true, breaks: 1 });
        push(&pipe, b"to the guest");
        assert_eq!(pipe.write(None, b"to the viewer"), 13);
        pipe.detach();
        assert_eq!(pipe.state(), DeviceState::default());
        pipe.attach();
        assert_eq!(pipe.state().viewer, Some(2));
        assert_eq!((pipe.read(None, &mut [0; 20]), pipe.take(20).len()), (0, 0));
    }

    #[test]
    fn what_one_viewer_was_to_get_does_not_reach_the_next() {
        let pipe = pipe();
        pipe.attach();
        pipe.detach();
        pipe.attach();
        push(&pipe, b"of the second");
        assert_eq!(pipe.write(Some(1), b"late"), 4);
        assert_eq!((pipe.read(Some(1), &mut [0; 20]), pipe.take(20).len()), (0, 0));
        assert_eq!(pipe.write(Some(2), b"to the second"), 13);
        assert_eq!((pipe.read(Some(2), &mut [0; 20]), pipe.take(20).len()), (13, 13));
    }

    #[test]
    fn a_block_that_is_broken_leaves_nothing() {
        let pipe = pipe();
        pipe.attach();
        push(&pipe, b"ab");
        assert!(pipe.push(&DeviceBytes::Lz4 { len: 9, block: b"\xff\xff" }).is_err());
        let mut out = [0; 20];
        assert_eq!((pipe.read(None, &mut out), &out[..2]), (2, &b"ab"[..]));
    }

    #[tokio::test]
    async fn both_ends_are_woken() {
        let pipe = pipe();
        pipe.attach();
        pipe.changed().await;
        pipe.write(None, b"x");
        pipe.to_engine.notified().await;
        assert!(pipe.take_news() && !pipe.take_news());
        drop(pipe.take(1));
        pipe.changed().await;
        push(&pipe, b"y");
        pipe.changed().await;
        pipe.set_opened(true);
        pipe.to_engine.notified().await;
        assert!(pipe.guest().opened);
        pipe.end();
        pipe.to_engine.notified().await;
        assert!(pipe.is_ended());
    }
}
