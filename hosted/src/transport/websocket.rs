//! [`WebSocket`]: RFC 6455 after the handshake, in the server's role.
//!
//! The payload of all frames, one after another, is the byte stream; where frames and messages begin
//! means nothing. So nothing is collected and any length is fine: payload is unmasked where it lies,
//! and what a client can make us keep is the head of a frame, the content of a control frame (125
//! bytes) and one answer. Of several pings before an answer is sent, the last one is answered.

/// Most bytes of a frame's head as we write it.
pub(super) const HEAD_MOST: usize = 10;

/// Most bytes of a frame's head as a client writes it, and of a control frame's content.
const CLIENT_HEAD_MOST: usize = 14;
const CONTROL_MOST: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// Lengths that mean that 2 or 8 bytes of length follow.
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What a client did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("WebSocket: a frame of kind {0} is not used here, only binary ones are")]
    Kind(u8),
    #[error("WebSocket: reserved bits are set in a frame's first byte {0:#04x}")]
    Reserved(u8),
    #[error("WebSocket: a client's frame is not masked")]
    Unmasked,
    #[error("WebSocket: a control frame of {0} bytes, or in pieces")]
    Control(u64),
    #[error("WebSocket: a length of {0} in more bytes than it takes, or of more than 63 bits")]
    Length(u64),
    #[error("WebSocket: a frame out of order: a message {}", if *.0 { "begins in another" } else { "goes on that never began" })]
    Order(bool),
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(crate) struct WebSocket {
    state: State,
    /// A message has begun and not ended.
    in_message: bool,
    /// What is to be sent before the next payload.
    answer: Option<Vec<u8>>,
    /// We have said our last frame.
    closed: bool,
    /// The client has.
    over: bool,
}

#[derive(Debug)]
enum State {
    /// In a head.
    Head { bytes: [u8; CLIENT_HEAD_MOST], len: usize },
    /// In payload.
    Payload { left: u64, mask: Mask },
    /// In a control frame.
    Control { kind: u8, content: Vec<u8>, left: usize, mask: Mask },
}

impl Default for State {
    fn default() -> Self {
        Self::Head { bytes: [0; CLIENT_HEAD_MOST], len: 0 }
    }
}

/// The mask, turned to the byte that is next.
#[derive(Clone, Copy, Debug)]
struct Mask([u8; 4]);

impl Mask {
    fn apply(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        self.0.rotate_left(bytes.len() % 4);
    }
}

impl WebSocket {
    /// Turns received bytes into payload, in place; answers how much of it there is. What comes
    /// behind a client's last frame is dropped.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> Result<usize, FrameError> {
        let (mut at, mut payload) = (0, 0);
        while at < bytes.len() && !self.over {
            match &mut self.state {
                State::Head { bytes: head, len } => {
                    if let (Some(to), Some(from)) = (head.get_mut(*len), bytes.get(at)) {
                        *to = *from;
                    }
                    (at, *len) = (at + 1, *len + 1);
                    let (head, len) = (*head, *len);
                    self.on_head(head.get(..len).unwrap_or_default())?;
                }
                State::Payload { left, mask } => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    bytes.copy_within(at..at + here, payload);
                    mask.apply(bytes.get_mut(payload..payload + here).unwrap_or_default());
                    (at, payload, *left) = (at + here, payload + here, *left - here as u64);
                    if *left == 0 {
                        self.state = State::default();
                    }
                }
                State::Control { kind, content, left, mask } => {
                    let here = (*left).min(bytes.len() - at);
                    let had = content.len();
                    content.extend_from_slice(bytes.get(at..at + here).unwrap_or_default());
                    mask.apply(content.get_mut(had..).unwrap_or_default());
                    (at, *left) = (at + here, *left - here);
                    if *left == 0 {
                        let (kind, content) = (*kind, std::mem::take(content));
                        self.state = State::default();
                        self.on_control(kind, &content);
                    }
                }
            }
        }
        Ok(payload)
    }

    /// Whether the client has said its last frame.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether there is something to be sent before the next payload.
    pub(super) fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Takes it.
    pub(crate) fn take_answer(&mut self) -> Option<Vec<u8>> {
        self.answer.take()
    }

    /// Our last frame, if it was not said yet.
    pub(super) fn close(&mut self) -> Option<Vec<u8>> {
        let pong = self.answer.take();
        if std::mem::replace(&mut self.closed, true) {
            return pong;
        }
        // 1000: the purpose is fulfilled.
        Some([pong.unwrap_or_default(), vec![FIN | CLOSE, 2, 0x03, 0xe8]].concat())
    }

    /// Writes the head of a frame with `len` bytes of payload; answers its length.
    pub(super) fn head(len: usize, out: &mut [u8; HEAD_MOST]) -> usize {
        let long = (len as u64).to_be_bytes();
        let short = u8::try_from(len).ok().filter(|len| *len < LEN_16);
        let (mark, digits) = match (short, long) {
            (Some(len), _) => (len, &[][..]),
            (None, [0, 0, 0, 0, 0, 0, ..]) => (LEN_16, &long[6..]),
            _ => (LEN_64, &long[..]),
        };
        let head = [FIN | BINARY, mark].into_iter().chain(digits.iter().copied());
        out.iter_mut().zip(head).map(|(to, from)| *to = from).count()
    }

    /// Looks at a head that may go on.
    fn on_head(&mut self, head: &[u8]) -> Result<(), FrameError> {
        let Some((&[first, second], rest)) = head.split_first_chunk() else { return Ok(()) };
        let (kind, fin, short) = (first & 0x0f, first & FIN != 0, second & !MASKED);
        if first & RESERVED != 0 {
            return Err(FrameError::Reserved(first));
        }
        if second & MASKED == 0 {
            return Err(FrameError::Unmasked);
        }
        let (len, mask) = match short {
            LEN_16 => rest.split_first_chunk().map(|(len, rest)| (u64::from(u16::from_be_bytes(*len)), rest)),
            LEN_64 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest)),
            len => Some((u64::from(len), rest)),
        }
        .unzip();
        if matches!(kind, CLOSE..=PONG) && (!fin || short > 125) {
            return Err(FrameError::Control(len.unwrap_or(u64::from(short))));
        }
        let (Some(len), Some(Some(mask))) = (len, mask.map(|rest| rest.first_chunk::<4>())) else { return Ok(()) };
        let least = match short {
            LEN_16 => u64::from(LEN_16),
            LEN_64 => 1 << 16,
            _ => 0,
        };
        if len < least || len >> 63 != 0 {
            return Err(FrameError::Length(len));
        }
        self.begin(kind, fin, len, Mask(*mask))
    }

    /// A head is complete.
    fn begin(&mut self, kind: u8, fin: bool, len: u64, mask: Mask) -> Result<(), FrameError> {
        match kind {
            CONTINUATION | BINARY => {
                if (kind == BINARY) == self.in_message {
                    return Err(FrameError::Order(self.in_message));
                }
                self.in_message = !fin;
                self.state = if len == 0 { State::default() } else { State::Payload { left: len, mask } };
            }
            CLOSE..=PONG => {
                let left = usize::try_from(len).unwrap_or(CONTROL_MOST);
                self.state = State::default();
                if left == 0 {
                    self.on_control(kind, &[]);
                } else {
                    self.state = State::Control { kind, content: Vec::with_capacity(left), left, mask };
                }
            }
            _ => return Err(FrameError::Kind(kind)),
        }
        Ok(())
    }

    fn on_control(&mut self, kind: u8, content: &[u8]) {
        let answer = |kind| [&[FIN | kind, content.len() as u8], content].concat();
        match kind {
            PING if !self.closed => self.answer = Some(answer(PONG)),
            CLOSE => {
                self.over = true;
                if !std::mem::replace(&mut self.closed, true) {
                    self.answer = Some(answer(CLOSE));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame, written from RFC 6455's figure.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..126 => bytes.push(0x80 | len as u8),
            len @ 126..65536 => {
                bytes.push(0xfe);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(0xff);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(payload.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]));
        bytes
    }

    /// All payload, given in pieces of `step` bytes.
    fn decode(websocket: &mut WebSocket, bytes: &[u8], step: usize) -> Result<Vec<u8>, FrameError> {
        let mut all = Vec::new();
        for piece in bytes.chunks(step) {
            let mut piece = piece.to_vec();
            let len = websocket.decode(&mut piece)?;
            all.extend(&piece[..len]);
        }
        Ok(all)
    }

    #[test]
    fn the_example_of_the_rfc() {
        let mut masked = [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let len = WebSocket::default().decode(&mut masked).unwrap();
        assert_eq!(&masked[..len], b"Hello");
    }

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_payload() {
        let long: Vec<u8> = (0..70_000).map(|n| n as u8).collect();
        let bytes = [
            frame(0x82, b"one"),
            frame(0x02, b"tw"),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x8a, b"a pong that nobody asked for"),
            frame(0x80, b"o"),
            frame(0x82, &long[..300]),
            frame(0x82, &long),
        ]
        .concat();
        let expected = [&b"onetwo"[..], &long[..300], &long].concat();
        for step in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut websocket = WebSocket::default();
            assert!(decode(&mut websocket, &bytes, step).unwrap() == expected, "{step}");
            assert_eq!(websocket.take_answer().unwrap(), b"\x8a\x04ping");
            assert!(!websocket.is_over());
        }
    }

    #[test]
    fn closing_is_answered_once_and_ends_the_stream() {
        let mut websocket = WebSocket::default();
        let bytes = [frame(0x82, b"last"), frame(0x88, b"\x03\xe8bye"), frame(0x82, b"behind")].concat();
        assert_eq!(decode(&mut websocket, &bytes, bytes.len()).unwrap(), b"last");
        assert!(websocket.is_over());
        assert_eq!(websocket.take_answer().unwrap(), b"\x88\x05\x03\xe8bye");
        assert_eq!(websocket.close(), None);
        let mut first = WebSocket::default();
        assert_eq!(first.close().unwrap(), b"\x88\x02\x03\xe8");
        assert_eq!(decode(&mut first, &frame(0x88, b"\x03\xe8"), 3).unwrap(), b"");
        assert!(first.is_over() && !first.has_answer());
    }

    #[test]
    fn what_the_rfc_forbids_is_an_error() {
        let unmasked = vec![0x82, 1, 0];
        let long_control = [&[0x89, 0xfe, 0, 126][..], &[0; 130]].concat();
        let padded = vec![0x82, 0xfe, 0, 125, 0, 0, 0, 0];
        let padded_64 = vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0];
        let negative = vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (bytes, error) in [
            (unmasked, FrameError::Unmasked),
            (frame(0xc2, b"x"), FrameError::Reserved(0xc2)),
            (frame(0x81, b"text"), FrameError::Kind(1)),
            (frame(0x83, b"x"), FrameError::Kind(3)),
            (frame(0x8b, b"x"), FrameError::Kind(11)),
            (frame(0x09, b"x"), FrameError::Control(1)),
            (long_control, FrameError::Control(126)),
            (padded, FrameError::Length(125)),
            (padded_64, FrameError::Length(65535)),
            (negative, FrameError::Length(1 << 63)),
            (frame(0x80, b"x"), FrameError::Order(false)),
            ([frame(0x02, b"x"), frame(0x82, b"y")].concat(), FrameError::Order(true)),
        ] {
            for step in [1, bytes.len()] {
                assert_eq!(decode(&mut WebSocket::default(), &bytes, step), Err(error), "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_flood_of_pings_keeps_one_answer() {
        let mut websocket = WebSocket::default();
        for n in 0..10_000_u16 {
            decode(&mut websocket, &frame(0x89, &n.to_be_bytes()), 4).unwrap();
        }
        assert_eq!(websocket.take_answer().unwrap(), [0x8a, 2, 0x27, 0x0f]);
        assert!(!websocket.has_answer());
    }

    #[test]
    fn heads_are_as_short_as_they_can_be() {
        for (len, expected) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65535, &[0x82, 126, 255, 255]),
            (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut head = [0; HEAD_MOST];
            let written = WebSocket::head(len, &mut head);
            assert_eq!(&head[..written], expected);
        }
    }
}
