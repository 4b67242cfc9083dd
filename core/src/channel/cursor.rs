//! The cursor channel, server role.
//!
//! ```text
//!  Fresh ──INIT──► Shown ──SET, MOVE, HIDE, TRAIL──► Shown
//!    ▲               └──RESET──┐
//!    └─────────────────────────┘
//! ```
//!
//! SET_ACK goes out first, from [`Channel::poll`]; a client that was told RESET waits for an INIT
//! again. The machine knows what the client keeps: [`CursorServer::cursor`] says whether a shape
//! goes out whole or by its id, and the INVAL_ONE of what has to make room stands in the same
//! [`Transmit`] in front of the shape.

use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::common;
use crate::proto::cursor::{Cursor, CursorFlags, CursorHeader, CursorType, InvalOne, ServerMessage, Shape};
use crate::time::Millis;
use crate::wire::{Data, EncodeError};

/// The machine; `KEPT` is how many shapes the client is asked to keep, 8 bytes of memory each.
#[derive(Clone, Debug)]
pub struct CursorServer<const KEPT: usize = { limits::CURSOR_CACHE }> {
    pub(super) common: Common,
    stage: Stage,
    cache: Cache<KEPT>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Shown,
}

impl<const KEPT: usize> CursorServer<KEPT> {
    /// For a client that just linked.
    #[must_use]
    pub fn new(negotiated: Negotiated) -> Self {
        let mut common = Common::new(negotiated);
        common.open_window(limits::ACK_WINDOW);
        Self { common, stage: Stage::Fresh, cache: Cache { kept: heapless::Vec::new() } }
    }

    /// The client comes from another server: it has had INIT, and is to be told to forget its shapes.
    pub fn resume(&mut self) {
        self.stage = Stage::Shown;
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// How this shape is said in INIT or SET: by its id when the client keeps it, otherwise whole,
    /// to be kept when it has an id. `data` is not sent, and not to be, when it is said by its id.
    #[must_use]
    pub fn cursor<'a>(&self, header: CursorHeader, data: Data<'a>) -> Cursor<'a> {
        if self.stage == Stage::Shown && self.cache.has(header.unique) {
            return Cursor { flags: CursorFlags::empty(), shape: Shape::FromCache(header) };
        }
        let keep = header.unique != 0 && KEPT != 0;
        let flags = if keep { CursorFlags::CACHE_ME } else { CursorFlags::empty() };
        Cursor { flags, shape: Shape::Here(header, data) }
    }

    fn check(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        use ServerMessage as M;
        match message {
            M::Init(_) if self.stage == Stage::Shown => Err(Refused::Misuse("INIT was sent before")),
            M::Init(m) => self.check_cursor(&m.cursor),
            M::InvalOne(_) | M::InvalAll(_) => Ok(()),
            M::Common(common::ServerMessage::SetAck(_)) => Err(Refused::Misuse("windows are opened by the machine")),
            M::Common(_) => Ok(()),
            _ if self.stage == Stage::Fresh => Err(Refused::Misuse("the first message is INIT")),
            M::Set(m) => self.check_cursor(&m.cursor),
            _ => Ok(()),
        }
    }

    fn check_cursor(&self, cursor: &Cursor<'_>) -> Result<(), Refused> {
        match &cursor.shape {
            Shape::None => Ok(()),
            Shape::FromCache(header) if self.stage == Stage::Shown && self.cache.has(header.unique) => Ok(()),
            Shape::FromCache(_) => Err(Refused::Misuse("the client does not keep that shape")),
            Shape::Here(header, data) => {
                if shape_len(header.kind, header.width, header.height) != Some(data.len()) {
                    return Err(Refused::Misuse("the data is not as long as the shape's type and size say"));
                }
                match (keeps(cursor), header.unique) {
                    (true, 0) => Err(Refused::Misuse("a shape without an id cannot be kept")),
                    (true, _) if KEPT == 0 => Err(Refused::Misuse("no shapes are kept")),
                    _ => Ok(()),
                }
            }
        }
    }

    /// What the client has to forget before it can keep this one.
    fn evicted(&self, message: &ServerMessage<'_>) -> Option<u64> {
        let (ServerMessage::Set(_), Some((unique, true))) = (message, named(message)) else { return None };
        self.cache.evicted_by(unique)
    }

    /// Keeps account of a message that has been framed.
    fn said(&mut self, message: &ServerMessage<'_>) {
        use ServerMessage as M;
        match message {
            M::Init(_) => {
                self.stage = Stage::Shown;
                // Clients start INIT with an empty cache.
                self.cache.kept.clear();
            }
            M::Reset(_) => {
                self.stage = Stage::Fresh;
                self.cache.kept.clear();
            }
            M::InvalAll(_) => self.cache.kept.clear(),
            M::InvalOne(m) => self.cache.forget(m.id),
            _ => {}
        }
        match named(message) {
            Some((unique, true)) => self.cache.keep(unique),
            Some((unique, false)) if self.cache.has(unique) => self.cache.keep(unique),
            _ => {}
        }
    }
}

impl<const KEPT: usize> Channel for CursorServer<KEPT> {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = Heard<'m>;

    fn max_body(&self) -> usize {
        limits::CURSOR_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<Heard<'m>>, PeerError> {
        match self.common.accept(now, common::ClientMessage::decode(id, body))? {
            Some(message) => self.common.on_message(now, &message),
            None => Ok(None),
        }
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        self.check(message)?;
        if self.common.window_due() {
            return Err(Refused::Misuse("SET_ACK is not sent yet: poll first"));
        }
        if !self.common.may_send() {
            return Err(Refused::Hold);
        }
        // Both or none of the two.
        let mut common = self.common.clone();
        let evicted = self.evicted(message).map(|id| common.frame(&InvalOne { id }, out)).transpose()?;
        let at = evicted.map_or(0, |transmit| transmit.head);
        let room = out.get_mut(at..).unwrap_or_default();
        let transmit = common.frame_with(message.id(), message.size(), room, |w| message.encode(w))?;
        self.common = common;
        self.said(message);
        Ok(Transmit { head: at.saturating_add(transmit.head), body: transmit.body })
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.common.poll(now, out)
    }
}

/// Bytes of a shape's data; `None` for an unknown type, and for a shape without pixels: say
/// [`Shape::None`] instead.
#[must_use]
pub fn shape_len(kind: CursorType, width: u16, height: u16) -> Option<usize> {
    let (width, height) = (usize::from(width), usize::from(height));
    if width == 0 || height == 0 {
        return None;
    }
    let rows = |bits: usize| width.checked_mul(bits)?.div_ceil(8).checked_mul(height);
    let (pixels, palette, masks) = match kind {
        CursorType::ALPHA => (rows(32)?, 0, 0),
        CursorType::MONO => (0, 0, 2),
        CursorType::COLOR4 => (rows(4)?, 16 * 4, 1),
        CursorType::COLOR8 => (rows(8)?, 256 * 4, 1),
        CursorType::COLOR16 => (rows(16)?, 0, 1),
        CursorType::COLOR24 => (rows(24)?, 0, 1),
        CursorType::COLOR32 => (rows(32)?, 0, 1),
        _ => return None,
    };
    rows(1)?.checked_mul(masks)?.checked_add(palette)?.checked_add(pixels)
}

/// Ids of the shapes that the client keeps, least recently used first.
#[derive(Clone, Debug)]
struct Cache<const KEPT: usize> {
    kept: heapless::Vec<u64, KEPT>,
}

impl<const KEPT: usize> Cache<KEPT> {
    fn has(&self, unique: u64) -> bool {
        self.kept.contains(&unique)
    }

    fn evicted_by(&self, unique: u64) -> Option<u64> {
        if self.kept.is_full() && !self.has(unique) { self.kept.first().copied() } else { None }
    }

    /// The most recently used one now.
    fn keep(&mut self, unique: u64) {
        if let Some(evicted) = self.evicted_by(unique) {
            self.forget(evicted);
        }
        self.forget(unique);
        // There is room, or nothing is kept at all.
        let _ = self.kept.push(unique);
    }

    fn forget(&mut self, unique: u64) {
        self.kept.retain(|&kept| kept != unique);
    }
}

fn keeps(cursor: &Cursor<'_>) -> bool {
    cursor.flags.contains(CursorFlags::CACHE_ME)
}

/// The id that a message names, and whether the client is to keep its shape.
fn named(message: &ServerMessage<'_>) -> Option<(u64, bool)> {
    let cursor = match message {
        ServerMessage::Init(m) => &m.cursor,
        ServerMessage::Set(m) => &m.cursor,
        _ => return None,
    };
    match &cursor.shape {
        Shape::None => None,
        Shape::FromCache(header) => Some((header.unique, false)),
        Shape::Here(header, _) => Some((header.unique, keeps(cursor))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::cursor::{Hide, Init, InvalAll, Move, Reset, Set, Trail};
    use crate::proto::shape::Point16;

    const NOW: Millis = Millis(0);
    const AT: Point16 = Point16::new(3, 4);
    const NONE: Cursor<'_> = Cursor { flags: CursorFlags::empty(), shape: Shape::None };
    static DATA: [u8; 2 * 2 * 4] = [9; 16];

    fn fresh<const KEPT: usize>() -> CursorServer<KEPT> {
        let mut cursor = CursorServer::new(Negotiated { mini_header: true, peer_caps: 0 });
        let set = set(NONE);
        assert!(matches!(say(&mut cursor, &init(NONE)), Err(Refused::Misuse(_))), "SET_ACK comes first");
        let mut out = [0; 14];
        assert_eq!(cursor.poll(NOW, &mut out), Ok(Poll::Transmit(Transmit { head: 14, body: 0 })));
        assert_eq!(out, [3, 0, 8, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0]);
        assert_eq!(cursor.poll(NOW, &mut out), Ok(Poll::Wait(None)));
        assert!(matches!(say(&mut cursor, &set), Err(Refused::Misuse(_))), "then INIT");
        cursor
    }

    fn shown<const KEPT: usize>() -> CursorServer<KEPT> {
        let mut cursor = fresh();
        assert_eq!(say(&mut cursor, &init(NONE)), Ok(Transmit { head: 6 + 11, body: 0 }));
        cursor
    }

    fn init(cursor: Cursor<'_>) -> ServerMessage<'_> {
        ServerMessage::Init(Init { position: AT, trail_length: 0, trail_frequency: 0, visible: 1, cursor })
    }

    fn set(cursor: Cursor<'_>) -> ServerMessage<'_> {
        ServerMessage::Set(Set { position: AT, visible: 1, cursor })
    }

    fn header(unique: u64) -> CursorHeader {
        CursorHeader { unique, kind: CursorType::ALPHA, width: 2, height: 2, hot_spot_x: 0, hot_spot_y: 1 }
    }

    fn say<const KEPT: usize>(
        cursor: &mut CursorServer<KEPT>,
        message: &ServerMessage<'_>,
    ) -> Result<Transmit, Refused> {
        cursor.send(NOW, message, &mut [0; 256])
    }

    /// Sets that shape as the machine would have it; the bytes, and what follows them.
    fn show<const KEPT: usize>(cursor: &mut CursorServer<KEPT>, unique: u64) -> ([u8; 64], Transmit) {
        let message = set(cursor.cursor(header(unique), Data::Promised(16)));
        let mut out = [0; 64];
        let transmit = cursor.send(NOW, &message, &mut out).expect("shown");
        (out, transmit)
    }

    fn acknowledged<const KEPT: usize>(cursor: &mut CursorServer<KEPT>) {
        assert_eq!(cursor.on_message(NOW, 1, &[1, 0, 0, 0]), Ok(None));
        (0..40).for_each(|_| assert_eq!(cursor.on_message(NOW, 2, &[]), Ok(None)));
    }

    const WHOLE: Transmit = Transmit { head: 6 + 24, body: 16 };
    const BY_ID: Transmit = Transmit { head: 6 + 24, body: 0 };

    #[test]
    fn a_shape_goes_out_once_and_then_by_its_id() {
        let cursor = &mut shown::<4>();
        let (out, transmit) = show(cursor, 7);
        assert_eq!(transmit, WHOLE);
        assert_eq!(out[..6], [103, 0, 40, 0, 0, 0]);
        assert_eq!(out[6 + 5..6 + 7], [2, 0], "CACHE_ME");
        let (out, transmit) = show(cursor, 7);
        assert_eq!(transmit, BY_ID);
        assert_eq!(out[..6], [103, 0, 24, 0, 0, 0], "type 103, 24 bytes");
        assert_eq!(out[6 + 5..6 + 7], [4, 0], "FROM_CACHE");
        assert_eq!(show(cursor, 0).1, WHOLE);
        assert_eq!(show(cursor, 0).1, WHOLE, "no id, not kept");
    }

    #[test]
    fn the_least_recently_used_is_invalidated_in_front_of_what_takes_its_place() {
        let cursor = &mut shown::<3>();
        for unique in [1, 2, 3, 1] {
            let _ = show(cursor, unique);
        }
        let sent = cursor.common.sent();
        let (out, transmit) = show(cursor, 4);
        assert_eq!(transmit, Transmit { head: 14 + WHOLE.head, body: 16 });
        assert_eq!(out[..14], [107, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[14..16], [103, 0]);
        assert_eq!(cursor.common.sent(), sent + 2, "two messages, two serials");
        for (unique, transmit) in [(3, BY_ID), (1, BY_ID), (4, BY_ID)] {
            assert_eq!(show(cursor, unique).1, transmit, "{unique}");
        }
        assert_eq!(show(cursor, 2).0[..7], [107, 0, 8, 0, 0, 0, 3]);
    }

    #[test]
    fn the_default_cache_holds_256() {
        let cursor = &mut shown::<{ limits::CURSOR_CACHE }>();
        for unique in 1..=256 {
            assert_eq!(show(cursor, unique).1, WHOLE);
            acknowledged(cursor);
        }
        assert_eq!(show(cursor, 1).1, BY_ID);
        assert_eq!(show(cursor, 257).0[..7], [107, 0, 8, 0, 0, 0, 2]);
    }

    #[test]
    fn without_a_cache_everything_goes_out_whole() {
        let cursor = &mut shown::<0>();
        for _ in 0..3 {
            let (out, transmit) = show(cursor, 5);
            assert_eq!((transmit, &out[11..13]), (WHOLE, &[0, 0][..]));
        }
        let kept = Cursor { flags: CursorFlags::CACHE_ME, shape: Shape::Here(header(5), Data::Here(&DATA)) };
        assert!(matches!(say(cursor, &set(kept)), Err(Refused::Misuse(_))));
    }

    #[test]
    fn invalidation_and_reset_empty_the_cache() {
        let cursor = &mut shown::<4>();
        let _ = show(cursor, 1);
        let _ = show(cursor, 2);
        assert!(say(cursor, &ServerMessage::InvalOne(InvalOne { id: 1 })).is_ok());
        assert_eq!((show(cursor, 2).1, show(cursor, 1).1), (BY_ID, WHOLE));
        assert!(say(cursor, &ServerMessage::InvalAll(InvalAll {})).is_ok());
        assert_eq!(show(cursor, 2).1, WHOLE);
        assert!(say(cursor, &ServerMessage::Reset(Reset {})).is_ok());
        assert!(say(cursor, &ServerMessage::InvalAll(InvalAll {})).is_ok());
        assert!(matches!(say(cursor, &ServerMessage::Hide(Hide {})), Err(Refused::Misuse(_))));
        let again = cursor.cursor(header(2), Data::Here(&DATA));
        assert_eq!(say(cursor, &init(again)), Ok(Transmit { head: 6 + 9 + 2 + 17 + 16, body: 0 }));
        assert_eq!(show(cursor, 2).1, BY_ID, "INIT can keep a shape too");
        assert!(matches!(say(cursor, &init(NONE)), Err(Refused::Misuse(_))));
    }

    #[test]
    fn what_is_not_kept_cannot_be_named() {
        let cursor = &mut shown::<4>();
        let stale = Cursor { flags: CursorFlags::empty(), shape: Shape::FromCache(header(1)) };
        assert!(matches!(say(cursor, &set(stale)), Err(Refused::Misuse(_))));
        let nameless = Cursor { flags: CursorFlags::CACHE_ME, shape: Shape::Here(header(0), Data::Here(&DATA)) };
        assert!(matches!(say(cursor, &set(nameless)), Err(Refused::Misuse(_))));
        for message in [ServerMessage::Move(Move { position: AT }), ServerMessage::Hide(Hide {})] {
            assert!(say(cursor, &message).is_ok());
        }
        assert!(say(cursor, &ServerMessage::Trail(Trail { length: 1, frequency: 2 })).is_ok());
    }

    #[test]
    fn data_is_as_long_as_type_and_size_say() {
        let rows = [
            (CursorType::ALPHA, 9 * 3 * 4),
            (CursorType::MONO, 2 * 2 * 3),
            (CursorType::COLOR4, 5 * 3 + 64 + 2 * 3),
            (CursorType::COLOR8, 9 * 3 + 1024 + 2 * 3),
            (CursorType::COLOR16, 18 * 3 + 2 * 3),
            (CursorType::COLOR24, 27 * 3 + 2 * 3),
            (CursorType::COLOR32, 36 * 3 + 2 * 3),
        ];
        assert_eq!(rows.len(), CursorType::KNOWN.len());
        for (kind, len) in rows {
            assert_eq!(shape_len(kind, 9, 3), Some(len), "{kind:?}");
            assert_eq!((shape_len(kind, 0, 3), shape_len(kind, 3, 0)), (None, None));
            let cursor = &mut shown::<4>();
            for (given, ok) in [(len, true), (len - 1, false), (len + 1, false), (0, false)] {
                let header = CursorHeader { kind, width: 9, height: 3, ..header(0) };
                let shape = Shape::Here(header, Data::Promised(given));
                let said = say(cursor, &set(Cursor { flags: CursorFlags::empty(), shape }));
                assert_eq!(said.is_ok(), ok, "{kind:?} {given}");
            }
        }
        assert_eq!(shape_len(CursorType(7), 9, 3), None);
        assert_eq!(shape_len(CursorType::ALPHA, u16::MAX, u16::MAX), 65535usize.checked_mul(65535 * 4));
    }

    #[test]
    fn the_window_holds_and_lack_of_room_changes_nothing() {
        let cursor = &mut shown::<1>();
        let _ = show(cursor, 1);
        let sent = cursor.common.sent();
        let message = set(cursor.cursor(header(2), Data::Promised(16)));
        for n in 0..14 + WHOLE.head {
            assert!(matches!(cursor.send(NOW, &message, &mut [0; 64][..n]), Err(Refused::Encode(_))), "{n}");
        }
        assert_eq!((cursor.common.sent(), show(cursor, 1).1), (sent, BY_ID));
        while say(cursor, &ServerMessage::Move(Move { position: AT })).is_ok() {}
        assert_eq!(say(cursor, &ServerMessage::Hide(Hide {})), Err(Refused::Hold));
        acknowledged(cursor);
        assert!(say(cursor, &ServerMessage::Hide(Hide {})).is_ok());
    }
}
