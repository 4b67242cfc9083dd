//! Every message of the table: what decodes can be encoded, and decodes to the same again.

use sumac_core::proto::common::ServerMessage;
use sumac_core::proto::{self, TABLES};
use sumac_core::wire::{Failure, Row, Writer};

use super::input::Input;

/// Pointers may all lead to one target, which is written once for each of them; no more than this
/// much for each byte of input.
const GROWTH: usize = 64;

/// Input: messages, each a table's number, a row's number, and a block that is the body.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    while !input.is_empty() {
        let table = input.below(TABLES.len());
        let row = TABLES[table][input.below(TABLES[table].len())];
        let body = input.block();
        if exaggerates(&row, body) {
            continue;
        }
        if let Some(again) = by_row(&row, body) {
            assert_eq!(by_row(&row, &again).as_ref(), Some(&again), "{} comes back as it was written", row.name);
        }
        VALUES[table](&row, body);
    }
}

/// Whether this is a LIST with a message that announces more bytes than there are, as libspice-server
/// does. Written again, it would reach into the message behind it.
fn exaggerates(row: &Row, body: &[u8]) -> bool {
    let Ok((ServerMessage::List(list), _)) = ServerMessage::decode(row.id, body) else { return false };
    row.name == "List" && list.messages.iter().any(|m| m.body.len() < m.size as usize)
}

/// Decodes and encodes; `None` when the bytes are not that message.
fn by_row(row: &Row, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; body.len().saturating_add(GROWTH).saturating_mul(GROWTH)];
    match (row.again)(body, &mut out) {
        Ok((len, trailing)) => {
            assert!(trailing <= body.len() && len >= row.min, "{}", row.name);
            out.truncate(len);
            Some(out)
        }
        Err(Failure::Decode(_)) => None,
        Err(failure) => {
            assert_eq!(failure, Failure::Size { said: 0, written: 0 }, "{} from {} bytes", row.name, body.len());
            None
        }
    }
}

macro_rules! values {
    ($($module:ident :: $messages:ident),* $(,)?) => {
        /// For each table, what compares values by their type.
        const VALUES: &[fn(&Row, &[u8])] = &[$(|row, body| {
            use proto::$module::$messages;
            let Ok((message, _)) = $messages::decode(row.id, body) else { return };
            assert_eq!((message.id(), message.name()), (row.id, row.name));
            let mut out = vec![0; message.size()];
            let mut w = Writer::new(&mut out);
            assert_eq!(message.encode(&mut w), Ok(()), "{}", row.name);
            assert_eq!(w.position(), message.size(), "{}", row.name);
            assert_eq!($messages::decode(row.id, w.written()), Ok((message, 0)), "{}", row.name);
        }),*];
    };
}

values! {
    common::ServerMessage, common::ClientMessage, main::ServerMessage, main::ClientMessage,
    display::ServerMessage, display::ClientMessage, inputs::ServerMessage, inputs::ClientMessage,
    cursor::ServerMessage, playback::ServerMessage, record::ServerMessage, record::ClientMessage,
    vmc::ServerMessage, vmc::ClientMessage, port::ServerMessage, port::ClientMessage,
    smartcard::ServerMessage, smartcard::ClientMessage, agent::AgentMessage,
    stream_device::GuestMessage, stream_device::ServerMessage, link::ServerPiece, link::ClientPiece,
}

const _: () = assert!(VALUES.len() == TABLES.len());
