//! [`StandIn`]: what stands in for a guest's agent: monitor configurations and the clipboard.
//!
//! It answers a client as spice-vdagent would. Files are refused: there is no place for them.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use sumac_core::agent::{Piece, Pieces};
use sumac_core::channel::PeerError;
use sumac_core::limits::AGENT_MESSAGE;
use sumac_core::proto::agent::{
    AgentCaps, AgentForms, AgentMessage, AnnounceCapabilities, Clipboard, ClipboardGrab, ClipboardRelease,
    ClipboardRequest, ClipboardType, FileXferResult, FileXferStatus, Reply, ReplyError, Selection as WireSelection,
};
use sumac_core::wire::{Data, DecodeErrorKind, EncodeError, Message, Padded, Rest, RestOf};
use tokio::sync::Notify;

use super::monitors;
use super::outgoing::Outgoing;
use crate::agent::{Board, CLIPBOARD_MOST, ClipboardKind, News, Seat, Selection};
use crate::source::Monitor;

/// Answers that wait for tokens; a client that asks more without giving any gets none.
const UNSAID: usize = 16;
/// Bytes in front of a clipboard's content: selection and type.
const CLIPBOARD_HEAD: usize = 8;

/// What the agent can always do.
const CAPS: AgentCaps = AgentCaps::MONITORS_CONFIG
    .union(AgentCaps::REPLY)
    .union(AgentCaps::SPARSE_MONITORS_CONFIG)
    .union(AgentCaps::MONITORS_CONFIG_POSITION)
    .union(AgentCaps::FILE_XFER_DISABLED);
/// What it can do where the source has a clipboard.
const CLIPBOARD_CAPS: AgentCaps = AgentCaps::CLIPBOARD_BY_DEMAND
    .union(AgentCaps::CLIPBOARD_SELECTION)
    .union(AgentCaps::CLIPBOARD_NO_RELEASE_ON_REGRAB)
    .union(AgentCaps::GUEST_LINEEND_LF);

/// The stream.
pub(super) struct StandIn {
    bell: Rc<Notify>,
    pieces: Pieces,
    /// The body of the message that is being received, if it is of use.
    body: Option<BytesMut>,
    /// What the client can do; nothing before it has said so.
    theirs: AgentCaps,
    /// What it was told that we can do.
    announced: AgentCaps,
    /// Its place at the clipboard, once it has announced that it takes part.
    seat: Option<Rc<Seat>>,
    unsaid: VecDeque<Outgoing>,
}

impl StandIn {
    /// `bell` rings when there may be something to say.
    pub(super) fn new(bell: Rc<Notify>) -> Self {
        Self {
            bell,
            pieces: Pieces::default(),
            body: None,
            theirs: AgentCaps::empty(),
            announced: AgentCaps::empty(),
            seat: None,
            unsaid: VecDeque::new(),
        }
    }

    /// A client opened the stream: everything begins anew.
    pub(super) fn start(&mut self, board: &Board) {
        self.leave(board);
        *self = Self::new(Rc::clone(&self.bell));
        self.announce(board, true);
    }

    /// The client is gone.
    pub(super) fn leave(&mut self, board: &Board) {
        if let Some(seat) = self.seat.take() {
            board.leave(&seat);
        }
    }

    /// Takes a chunk of the client's; answers the monitors that it would like displays to be.
    pub(super) fn on_chunk(&mut self, board: &Board, chunk: &[u8]) -> Result<Vec<(u8, Monitor)>, PeerError> {
        let Piece { header, first, last, bytes } = self.pieces.on_chunk(chunk)?;
        if first {
            let keep = usize::try_from(header.size()).unwrap_or(usize::MAX) <= self.room(board, header.kind());
            self.body = keep.then(BytesMut::new);
        }
        if let Some(body) = &mut self.body {
            body.extend_from_slice(bytes);
        }
        match self.body.take_if(|_| last) {
            Some(body) => self.on_message(board, header.kind(), &body.freeze()),
            None => {
                if last {
                    self.on_skipped(board, header.kind(), header.size());
                }
                Ok(Vec::new())
            }
        }
    }

    /// The next chunk to say, in two pieces.
    pub(super) fn next_chunk(&mut self, board: &Board) -> Option<[Bytes; 2]> {
        self.take_news(board);
        let message = self.unsaid.front_mut()?;
        let chunk = message.next_chunk();
        if message.is_done() {
            self.unsaid.pop_front();
        }
        Some(chunk)
    }

    /// Largest body that is kept: content is, while the guest waits for some.
    fn room(&self, board: &Board, kind: u32) -> usize {
        if kind != u32::from(Clipboard::ID) {
            return AGENT_MESSAGE;
        }
        let expected = self.seat.as_ref().is_some_and(|seat| board.expects(seat));
        if expected { CLIPBOARD_MOST + CLIPBOARD_HEAD } else { 0 }
    }

    fn on_skipped(&self, board: &Board, kind: u32, size: u32) {
        tracing::debug!(kind, size, "agent message skipped");
        if let Some(seat) = self.seat.as_ref().filter(|_| kind == u32::from(Clipboard::ID)) {
            let nothing = Bytes::new();
            Selection::ALL.into_iter().for_each(|selection| board.on_content(seat, selection, None, &nothing));
        }
    }

    fn on_message(&mut self, board: &Board, kind: u32, body: &Bytes) -> Result<Vec<(u8, Monitor)>, PeerError> {
        let message = match self.forms().decode(kind, body) {
            Ok((message, _)) => message,
            Err(e) if matches!(e.kind, DecodeErrorKind::UnknownMessage { .. }) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        match message {
            AgentMessage::MonitorsConfig(config) => {
                self.say(&AgentMessage::Reply(Reply { kind, error: ReplyError::SUCCESS }));
                return Ok(monitors(&config));
            }
            AgentMessage::AnnounceCapabilities(theirs) => self.on_announced(board, &theirs),
            AgentMessage::FileXferStart(start) => {
                // The capability says so already; some clients try all the same.
                let detail = Rest(Data::Here(&[]));
                let status = FileXferStatus { id: start.id, result: FileXferResult::DISABLED, detail };
                self.say(&AgentMessage::FileXferStatus(status));
            }
            message => self.on_clipboard(board, &message, body),
        }
        Ok(Vec::new())
    }

    fn on_clipboard(&mut self, board: &Board, message: &AgentMessage<'_>, body: &Bytes) {
        let Some(seat) = self.seat.clone() else { return };
        match message {
            AgentMessage::ClipboardGrab(grab) => {
                let Some(selection) = selection_of(grab.selection.0) else { return };
                let types = grab.types.0.iter().map(|kind| ClipboardType(kind.get()));
                if types.clone().any(|kind| kind == ClipboardType::FILE_LIST) {
                    tracing::info!("a viewer copied files: they cannot be pasted in the guest");
                }
                board.on_grab(&seat, selection, types.filter_map(kind_of).collect());
            }
            AgentMessage::ClipboardRelease(release) => {
                if let Some(selection) = selection_of(release.selection.0) {
                    board.on_release(&seat, selection);
                }
            }
            AgentMessage::ClipboardRequest(request) => match (selection_of(request.selection.0), kind_of(request.kind))
            {
                (Some(selection), Some(kind)) => board.on_request(&seat, selection, kind),
                (Some(selection), None) => self.tell(News::Content(selection, ClipboardKind::Text, None)),
                (None, _) => {}
            },
            AgentMessage::Clipboard(clipboard) => {
                if let Some(selection) = selection_of(clipboard.selection.0) {
                    let content = body.slice(body.len() - clipboard.data.0.len()..);
                    board.on_content(&seat, selection, kind_of(clipboard.kind), &content);
                }
            }
            _ => {}
        }
    }

    fn on_announced(&mut self, board: &Board, theirs: &AnnounceCapabilities<'_>) {
        self.theirs = AgentCaps::from_bits_retain(theirs.caps.0.first().map_or(0, |word| word.get()));
        let takes_part = self.theirs.contains(AgentCaps::CLIPBOARD_BY_DEMAND);
        if takes_part && self.seat.is_none() {
            self.seat = Some(board.enter(&self.bell));
        }
        if theirs.request != 0 {
            self.announce(board, false);
        }
    }

    fn announce(&mut self, board: &Board, request: bool) {
        self.announced = caps(board);
        let words = [self.announced.bits().into()];
        let caps = RestOf(&words);
        self.say(&AgentMessage::AnnounceCapabilities(AnnounceCapabilities { request: request.into(), caps }));
    }

    /// Makes messages of what the board has for this viewer, one at a time: content may be large.
    fn take_news(&mut self, board: &Board) {
        if self.theirs.is_empty() {
            return;
        }
        if self.announced != caps(board) {
            self.announce(board, false);
        }
        while self.unsaid.is_empty()
            && let Some(news) = self.seat.as_ref().and_then(|seat| seat.next())
        {
            self.tell(news);
        }
    }

    fn tell(&mut self, news: News) {
        match news {
            News::Grab(selection, kinds) => {
                let types: Vec<_> = kinds.into_iter().map(|kind| type_of(kind).0.into()).collect();
                let grab = ClipboardGrab { selection: wire(selection), serial: 0, types: RestOf(&types) };
                self.say(&AgentMessage::ClipboardGrab(grab));
            }
            News::Release(selection) => {
                self.say(&AgentMessage::ClipboardRelease(ClipboardRelease { selection: wire(selection) }));
            }
            News::Request(selection, kind) => {
                let request = ClipboardRequest { selection: wire(selection), kind: type_of(kind) };
                self.say(&AgentMessage::ClipboardRequest(request));
            }
            News::Content(selection, kind, content) => {
                let kind = if content.is_some() { type_of(kind) } else { ClipboardType::NONE };
                let content = content.unwrap_or_default();
                let data = Rest(Data::Promised(content.len()));
                let message = AgentMessage::Clipboard(Clipboard { selection: wire(selection), kind, data });
                let outgoing = Outgoing::with_content(self.forms(), &message, content);
                self.queue(outgoing);
            }
        }
    }

    fn say(&mut self, message: &AgentMessage<'_>) {
        let outgoing = Outgoing::new(self.forms(), message);
        self.queue(outgoing);
    }

    fn queue(&mut self, outgoing: Result<Outgoing, EncodeError>) {
        match outgoing {
            Ok(outgoing) if self.unsaid.len() < UNSAID => self.unsaid.push_back(outgoing),
            Ok(_) => tracing::debug!("a viewer asks its agent more than it reads"),
            Err(error) => tracing::warn!(%error, "an agent message cannot be written"),
        }
    }

    fn forms(&self) -> AgentForms {
        AgentForms::between(self.theirs, self.announced)
    }
}

fn caps(board: &Board) -> AgentCaps {
    if board.is_open() { CAPS.union(CLIPBOARD_CAPS) } else { CAPS }
}

fn selection_of(selection: WireSelection) -> Option<Selection> {
    Selection::ALL.into_iter().find(|&ours| wire(ours).0 == selection)
}

fn wire(selection: Selection) -> Padded<WireSelection, 3> {
    Padded(match selection {
        Selection::Clipboard => WireSelection::CLIPBOARD,
        Selection::Primary => WireSelection::PRIMARY,
        Selection::Secondary => WireSelection::SECONDARY,
    })
}

fn kind_of(kind: ClipboardType) -> Option<ClipboardKind> {
    ClipboardKind::ALL.into_iter().find(|&ours| type_of(ours) == kind)
}

fn type_of(kind: ClipboardKind) -> ClipboardType {
    match kind {
        ClipboardKind::Text => ClipboardType::UTF8_TEXT,
        ClipboardKind::Png => ClipboardType::IMAGE_PNG,
        ClipboardKind::Bmp => ClipboardType::IMAGE_BMP,
        ClipboardKind::Tiff => ClipboardType::IMAGE_TIFF,
        ClipboardKind::Jpeg => ClipboardType::IMAGE_JPG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Clipboard as Source;
    use crate::source::Size;

    fn chunk(kind: u32, words: &[u32]) -> Vec<u8> {
        let head = [1, kind, 0, 0, words.len() as u32 * 4];
        head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// An agent of a viewer, with a clipboard or without.
    fn agent(clipboard: bool) -> (StandIn, Board, Source) {
        let source = Source::default();
        let board = Board::new(source.clone(), true);
        if clipboard {
            std::mem::forget(source.open());
            board.take_mail();
        }
        (StandIn::new(Rc::new(Notify::new())), board, source)
    }

    fn hear(agent: &mut StandIn, board: &Board, chunk: &[u8]) -> Vec<(u8, Monitor)> {
        agent.on_chunk(board, chunk).unwrap()
    }

    fn says(agent: &mut StandIn, board: &Board) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| agent.next_chunk(board).map(|chunk| chunk.concat())).collect()
    }

    #[test]
    fn monitors_that_are_on_give_the_sizes_of_displays() {
        let (mut agent, board, _) = agent(false);
        let config = [2, 0, 0, 0, 32, 0, 0, 600, 800, 32, 0, 0];
        let sizes = hear(&mut agent, &board, &chunk(2, &config));
        assert_eq!(sizes, [(1, Monitor::of(Size { width: 800, height: 600 }))]);
        assert_eq!(says(&mut agent, &board), [chunk(3, &[2, 1])]);
        // With a place and a size in the world.
        let config = [1, 3, 600, 800, 32, 5, 6, 80 << 16 | 70];
        let monitor = Monitor { size: Size { width: 800, height: 600 }, place: (5, 6), millimetres: (80, 70) };
        assert_eq!(hear(&mut agent, &board, &chunk(2, &config)), [(0, monitor)]);
    }

    #[test]
    fn capabilities_are_told_when_asked_for() {
        for (clipboard, ours) in [(false, CAPS), (true, CAPS | CLIPBOARD_CAPS)] {
            let (mut agent, board, _) = agent(clipboard);
            let theirs = AgentCaps::MONITORS_CONFIG.bits();
            agent.start(&board);
            assert_eq!(says(&mut agent, &board), [chunk(6, &[1, ours.bits()])]);
            hear(&mut agent, &board, &chunk(6, &[0, theirs]));
            assert!(says(&mut agent, &board).is_empty());
            hear(&mut agent, &board, &chunk(6, &[1, theirs]));
            assert_eq!(says(&mut agent, &board), [chunk(6, &[0, ours.bits()])]);
        }
    }

    #[test]
    fn a_clipboard_that_comes_later_is_announced() {
        let (mut agent, board, source) = agent(false);
        agent.start(&board);
        hear(&mut agent, &board, &chunk(6, &[0, CLIPBOARD_CAPS.bits()]));
        assert_eq!(says(&mut agent, &board).len(), 1);
        let _guest = source.open();
        board.take_mail();
        assert_eq!(says(&mut agent, &board), [chunk(6, &[0, (CAPS | CLIPBOARD_CAPS).bits()])]);
    }

    #[test]
    fn what_no_agent_needs_is_left_alone() {
        let (mut agent, board, _) = agent(true);
        for kind in [1, 3, 4, 5, 13, 14, 99] {
            assert_eq!(hear(&mut agent, &board, &chunk(kind, &[7; 8])), []);
        }
        assert!(says(&mut agent, &board).is_empty());
    }

    #[test]
    fn malformed_messages_end_the_channel() {
        let (mut agent, board, _) = agent(true);
        for wrong in [&chunk(2, &[257, 0])[..], &chunk(2, &[1, 0, 600]), &[1, 0, 0, 0], &chunk(6, &[]), &chunk(9, &[])]
        {
            hear(&mut agent, &board, &chunk(6, &[0, CLIPBOARD_CAPS.bits()]));
            let forms = agent.forms();
            let got = agent.on_chunk(&board, wrong);
            assert!(got.is_err() || wrong == chunk(9, &[]) && !forms.selection, "{wrong:?}");
        }
    }

    #[test]
    fn files_are_refused() {
        let (mut agent, board, _) = agent(true);
        agent.start(&board);
        hear(&mut agent, &board, &chunk(6, &[0, CLIPBOARD_CAPS.bits()]));
        says(&mut agent, &board);
        hear(&mut agent, &board, &chunk(10, &[5, 0x6c6c6568]));
        assert_eq!(says(&mut agent, &board), [chunk(11, &[5, 7])], "a transfer");
        hear(&mut agent, &board, &chunk(8, &[0, 6]));
        assert_eq!(says(&mut agent, &board), [chunk(4, &[0, 0])], "a list of files");
        hear(&mut agent, &board, &chunk(7, &[0, 6]));
        assert!(says(&mut agent, &board).is_empty());
    }

    #[test]
    fn content_is_kept_only_while_somebody_waits_for_it() {
        let (mut agent, board, _) = agent(true);
        agent.start(&board);
        hear(&mut agent, &board, &chunk(6, &[0, CLIPBOARD_CAPS.bits()]));
        let mut head = chunk(4, &[0, 1]);
        head[16..20].copy_from_slice(&(CLIPBOARD_MOST as u32 + 8).to_le_bytes());
        hear(&mut agent, &board, &head);
        assert!(agent.body.is_none());
    }

    #[test]
    fn a_stream_that_is_opened_again_begins_anew() {
        let (mut agent, board, _) = agent(true);
        agent.start(&board);
        hear(&mut agent, &board, &chunk(6, &[0, CLIPBOARD_CAPS.bits()]));
        let mut begun = chunk(2, &[1]);
        begun[16] = 200;
        hear(&mut agent, &board, &begun);
        agent.start(&board);
        assert!(agent.seat.is_none() && agent.theirs.is_empty() && agent.body.is_none());
        assert_eq!(says(&mut agent, &board).len(), 1);
        hear(&mut agent, &board, &chunk(6, &[1, 0]));
    }
}
