//! Port and WebDAV channels, server role: a device's bytes, its name, its events.
//!
//! ```text
//!  Fresh ──INIT──► Open ──DATA, COMPRESSED_DATA, EVENT──► Open
//! ```
//!
//! INIT is said once, before anything else. What a client says is taken in from the first moment on.

use super::vmc::{DeviceBytes, may_compress, opened};
use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::caps::VmcCaps;
use crate::proto::common;
use crate::proto::port::{ClientMessage, PortEvent as Happened, ServerMessage};
use crate::time::Millis;
use crate::wire::EncodeError;

/// The machine.
#[derive(Clone, Debug)]
pub struct PortServer {
    pub(super) common: Common,
    caps: VmcCaps,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Open,
}

/// What the client wants from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// Bytes for the device.
    Bytes(DeviceBytes<'m>),
    /// Something happened to the client's end; numbers without a name are dropped.
    Happened(Happened),
}

impl PortServer {
    /// For a client that just linked.
    #[must_use]
    pub const fn new(negotiated: Negotiated) -> Self {
        Self {
            common: Common::new(negotiated),
            caps: VmcCaps::from_bits_retain(negotiated.peer_caps),
            stage: Stage::Fresh,
        }
    }

    /// The client comes from another server: it has had INIT.
    pub fn resume(&mut self) {
        self.stage = Stage::Open;
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// What the client can do on this channel.
    #[must_use]
    pub const fn caps(&self) -> VmcCaps {
        self.caps
    }
}

impl Channel for PortServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = PortEvent<'m>;

    fn max_body(&self) -> usize {
        limits::VMC_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<PortEvent<'m>>, PeerError> {
        use ClientMessage as M;
        Ok(match self.common.accept(now, ClientMessage::decode(id, body))? {
            None => None,
            Some(M::Common(m)) => self.common.on_message(now, &m)?.map(PortEvent::Common),
            Some(M::Data(m)) => Some(PortEvent::Bytes(DeviceBytes::Plain(m.data.0.bytes()))),
            Some(M::CompressedData(m)) => Some(PortEvent::Bytes(opened(&m)?)),
            Some(M::ClientEvent(m)) => m.event.name().is_some().then_some(PortEvent::Happened(m.event)),
        })
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        use ServerMessage as M;
        match (message, self.stage) {
            (M::Init(_), Stage::Open) => return Err(Refused::Misuse("INIT was sent before")),
            (M::Data(_) | M::CompressedData(_) | M::Event(_), Stage::Fresh) => {
                return Err(Refused::Misuse("INIT comes first"));
            }
            (M::CompressedData(_), Stage::Open) => may_compress(self.caps)?,
            (M::Common(common::ServerMessage::SetAck(_)), _) => {
                return Err(Refused::Misuse("windows are opened by the machine"));
            }
            _ => {}
        }
        let transmit = self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))?;
        if matches!(message, M::Init(_)) {
            self.stage = Stage::Open;
        }
        Ok(transmit)
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.common.poll(now, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::port::{Event, Init};
    use crate::proto::vmc::{Compressed, CompressedData, Data as Bytes};
    use crate::wire::{Data, Rest, Sampler, SizedAt};

    const NOW: Millis = Millis(1);
    const DATA: ServerMessage<'static> = ServerMessage::Data(Bytes { data: Rest(Data::Promised(9)) });
    const OPENED: ServerMessage<'static> = ServerMessage::Event(Event { event: Happened::OPENED });

    fn fresh(caps: VmcCaps) -> PortServer {
        PortServer::new(Negotiated { mini_header: true, peer_caps: caps.bits() })
    }

    fn init() -> ServerMessage<'static> {
        ServerMessage::Init(Init { name: SizedAt(Some(b"com\0")), opened: 1 })
    }

    fn open(caps: VmcCaps) -> PortServer {
        let mut port = fresh(caps);
        let mut out = [0; 32];
        assert_eq!(port.send(NOW, &init(), &mut out), Ok(Transmit { head: 19, body: 0 }));
        assert_eq!(out[..19], [201, 0, 13, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 1, b'c', b'o', b'm', 0]);
        port
    }

    #[test]
    fn the_name_comes_first_and_once() {
        for early in [DATA, OPENED] {
            assert!(matches!(fresh(VmcCaps::all()).send(NOW, &early, &mut [0; 32]), Err(Refused::Misuse(_))));
        }
        let mut port = open(VmcCaps::empty());
        assert!(matches!(port.send(NOW, &init(), &mut [0; 32]), Err(Refused::Misuse(_))));
        assert_eq!(port.send(NOW, &DATA, &mut [0; 32]), Ok(Transmit { head: 6, body: 9 }));
        assert_eq!(port.send(NOW, &OPENED, &mut [0; 32]), Ok(Transmit { head: 7, body: 0 }));
    }

    #[test]
    fn compressed_data_needs_its_capability() {
        let data = CompressedData { data: Compressed::None(Rest(Data::Here(b"x"))) };
        let message = ServerMessage::CompressedData(data);
        let refused = open(VmcCaps::empty()).send(NOW, &message, &mut [0; 32]);
        assert_eq!(refused, Err(Refused::Unsupported("DATA_COMPRESS_LZ4")));
        assert!(open(VmcCaps::all()).send(NOW, &message, &mut [0; 32]).is_ok());
    }

    #[test]
    fn clients_are_heard_from_the_first_moment_on() {
        let port = &mut fresh(VmcCaps::empty());
        for (number, event) in [(0, Happened::OPENED), (1, Happened::CLOSED), (2, Happened::BREAK)] {
            assert_eq!(port.on_message(NOW, 201, &[number]), Ok(Some(PortEvent::Happened(event))));
        }
        assert_eq!(port.on_message(NOW, 201, &[3]), Ok(None), "an event without a name");
        let bytes = PortEvent::Bytes(DeviceBytes::Plain(b"ls\n"));
        assert_eq!(port.on_message(NOW, 101, b"ls\n"), Ok(Some(bytes)));
        assert!(port.on_message(NOW, 201, &[]).is_err());
    }

    #[test]
    fn a_refusal_for_lack_of_room_changes_nothing() {
        let port = &mut fresh(VmcCaps::empty());
        assert!(matches!(port.send(NOW, &init(), &mut [0; 18]), Err(Refused::Encode(_))));
        assert_eq!(port.common().sent(), 0);
        assert!(port.send(NOW, &init(), &mut [0; 19]).is_ok());
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error() {
        let mut sampler = Sampler::new(8);
        let port = &mut fresh(VmcCaps::empty());
        for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
            let body: [u8; 12] = core::array::from_fn(|_| sampler.number().to_le_bytes()[0]);
            let id = sampler.pick(&[6, 101, 102, 201, 202]).unwrap_or(0);
            if let Ok(Some(PortEvent::Bytes(bytes))) = port.on_message(NOW, id, &body[..sampler.below(13)]) {
                assert!(bytes.len() <= limits::VMC_BODY);
            }
        }
    }
}
