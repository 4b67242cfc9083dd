//! Channels in the client's role: whatever a server says, the client's duties are done and nothing else.

use std::fmt::Debug;

use sumac_core::channel::client::{self, ClientChannel, Dialect};
use sumac_core::channel::{Channel, Negotiated, Poll};
use sumac_core::proto;
use sumac_core::time::Millis;
use sumac_core::wire::{Row, Sampler};

use super::input::Input;

/// A client's largest message here.
const ROOM: usize = 1 << 16;
const NOW: Millis = Millis(1000);

/// Input: a byte for the channel, one for its headers, then messages: a byte that says whether it is a
/// sample (its row, a seed) or bytes (a number, a block).
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 9 {
        0 => run::<client::Main>(proto::main::ServerMessage::TABLE, &mut input),
        1 => run::<client::Display>(proto::display::ServerMessage::TABLE, &mut input),
        2 => run::<client::Inputs>(proto::inputs::ServerMessage::TABLE, &mut input),
        3 => run::<client::Cursor>(proto::cursor::ServerMessage::TABLE, &mut input),
        4 => run::<client::Playback>(proto::playback::ServerMessage::TABLE, &mut input),
        5 => run::<client::Record>(proto::record::ServerMessage::TABLE, &mut input),
        6 => run::<client::Smartcard>(proto::smartcard::ServerMessage::TABLE, &mut input),
        7 => run::<client::Port>(proto::port::ServerMessage::TABLE, &mut input),
        _ => run::<client::Usbredir>(proto::vmc::ServerMessage::TABLE, &mut input),
    }
}

fn run<D: Dialect + Debug>(table: &[Row], input: &mut Input<'_>) {
    let negotiated = Negotiated { mini_header: input.byte() & 1 == 0, peer_caps: u32::MAX };
    let mut client = ClientChannel::<D>::new(negotiated, ROOM);
    let (mut heard, mut said) = (0_usize, 0_usize);
    while !input.is_empty() {
        let (id, body) = if input.byte() & 1 == 0 {
            let row = usize::from(input.byte()).checked_rem(table.len()).and_then(|n| table.get(n));
            let Some(row) = row else { return };
            let mut body = vec![0; 4096];
            let Ok(len) = (row.sample)(&mut Sampler::new(input.u16().into()), &mut body) else { continue };
            body.truncate(len);
            (row.id, body)
        } else {
            (input.u16(), input.block().to_vec())
        };
        if client.on_message(NOW, id, &body).is_err() {
            return;
        }
        heard += 1;
        said += answered(&mut client, negotiated.mini_header);
        // SET_ACK is echoed and may be due at once; PING has one answer.
        assert!(said <= heard * 2, "{said} answers to {heard} messages");
    }
}

/// Takes all that the client has to say; how many messages.
fn answered<D: Dialect>(client: &mut ClientChannel<D>, mini: bool) -> usize {
    let mut out = [0; 64];
    let mut count = 0;
    while let Ok(Poll::Transmit(transmit)) = client.poll(NOW, &mut out) {
        assert_eq!(transmit.body, 0);
        let mut bytes = Input::new(&out[if mini { 0 } else { 8 }..transmit.head]);
        let (id, size) = (bytes.u16(), bytes.u32());
        bytes.take(if mini { 0 } else { 4 });
        let body = bytes.rest();
        assert_eq!(u32::try_from(body.len()), Ok(size));
        let decoded = proto::common::ClientMessage::decode(id, body);
        assert!(matches!(id, 1..=3) && matches!(decoded, Ok((_, 0))), "message {id} is no duty of a client's");
        count += 1;
        assert!(count < 8, "the client talks without end");
    }
    count
}
