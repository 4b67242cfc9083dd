//! The smart card channel: a viewer's reader in the guest, through a device that speaks VSCard.
//!
//! The device's messages are 12 bytes (type, reader, length, big-endian) and data; the channel has
//! the same three numbers little-endian.

use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use sumac_core::channel::Heard;
use sumac_core::channel::migrate::DeviceState;
use sumac_core::channel::smartcard::{READER, SmartcardEvent, SmartcardServer};
use sumac_core::channel::vmc::DeviceBytes;
use sumac_core::limits::SMARTCARD_BODY;
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::smartcard::{Data as Message, ServerMessage, SmartcardType};
use sumac_core::wire::{Counted, Data, Rest, Sized32};

use super::{Session, state_of};
use crate::connection::{Close, Handler, Line};
use crate::devices::Attached;

/// Unsent bytes up to which more is taken from the device.
const AHEAD: usize = 64 * 1024;
/// Bytes in front of the data of a message.
const HEAD: usize = 12;

/// The handler.
pub(super) struct Smartcard {
    session: Rc<Session>,
    attached: Attached,
    /// The beginning of a message of the device's.
    begun: BytesMut,
}

impl Smartcard {
    pub(super) fn new(session: Rc<Session>, attached: Attached) -> Self {
        Self { session, attached, begun: BytesMut::new() }
    }

    fn to_device(&self, kind: SmartcardType, data: &[u8]) -> Result<(), Close> {
        // A channel's message is small, so is its data.
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let head = [kind.0, READER, len].map(u32::to_be_bytes).concat();
        self.attached.push(&DeviceBytes::Plain(&head))?;
        Ok(self.attached.push(&DeviceBytes::Plain(data))?)
    }

    fn say(line: &mut Line<SmartcardServer>, kind: SmartcardType, data: Bytes) -> Result<(), Close> {
        // Versions are between the device and us; the rest is for who has a reader.
        if kind == SmartcardType::INIT || !line.machine.has_reader() && kind != SmartcardType::ERROR {
            return Ok(());
        }
        let message = Message { kind, reader_id: READER, data: Sized32(Data::Promised(data.len())) };
        line.send(&ServerMessage::Data(message), &[data]).map_err(Close::Refused)
    }
}

/// Takes a whole message from the front; an error when none can begin like this.
fn cut(bytes: &mut BytesMut) -> Result<Option<(SmartcardType, Bytes)>, Close> {
    let Some(mut head) = bytes.get(..HEAD) else { return Ok(None) };
    let (kind, _, len) = (head.get_u32(), head.get_u32(), head.get_u32());
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > SMARTCARD_BODY {
        return Err(Close::Ended("the smart card device sent a message that is too long"));
    }
    if bytes.len() < HEAD + len {
        return Ok(None);
    }
    bytes.advance(HEAD);
    Ok(Some((SmartcardType(kind), bytes.split_to(len).freeze())))
}

impl Handler for Smartcard {
    type Machine = SmartcardServer;

    fn on_open(&mut self, _line: &mut Line<SmartcardServer>) -> Result<(), Close> {
        Ok(())
    }

    fn state(&mut self, line: &mut Line<SmartcardServer>) -> Result<Vec<Bytes>, Close> {
        let (unsent, to_guest) = self.attached.drain();
        self.begun.extend_from_slice(&unsent);
        let state = DeviceState {
            guest_opened: 0,
            client_opened: line.machine.has_reader().into(),
            to_client: Counted::new(&self.begun),
            to_guest: Rest(Data::Promised(to_guest.len())),
        };
        state_of(ChannelType::SMARTCARD, line.machine.common().sent(), &state, vec![to_guest])
    }

    fn on_event(&mut self, _line: &mut Line<SmartcardServer>, event: SmartcardEvent<'_>) -> Result<(), Close> {
        match event {
            SmartcardEvent::Common(Heard::Disconnecting(_)) => Err(Close::Goodbye),
            SmartcardEvent::ToDevice { kind, data } => self.to_device(kind, data),
            _ => Ok(()),
        }
    }

    fn on_wake(&mut self, line: &mut Line<SmartcardServer>) -> Result<(), Close> {
        self.session.check()?;
        while line.unsent() <= AHEAD {
            let bytes = self.attached.take(AHEAD);
            if bytes.is_empty() {
                break;
            }
            self.begun.extend_from_slice(&bytes);
            while let Some((kind, data)) = cut(&mut self.begun)? {
                Self::say(line, kind, data)?;
            }
        }
        if self.attached.is_ended() {
            return Err(Close::Ended("the device was taken away"));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.attached.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_of_any_split() {
        let message = [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0x90, 0];
        let stream = [message, message].concat();
        for at in 0..stream.len() {
            let (mut bytes, mut got) = (BytesMut::new(), Vec::new());
            for piece in [&stream[..at], &stream[at..]] {
                bytes.extend_from_slice(piece);
                while let Some(message) = cut(&mut bytes).unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(got, [(), ()].map(|()| (SmartcardType::APDU, Bytes::from_static(&[0x90, 0]))), "{at}");
        }
    }

    #[test]
    fn a_length_is_checked_at_its_limit() {
        for (len, ok) in [(SMARTCARD_BODY, true), (SMARTCARD_BODY + 1, false), (0xffff_ffff, false)] {
            let head = [7, 0, len as u32].map(u32::to_be_bytes).concat();
            assert_eq!(cut(&mut BytesMut::from(&head[..])).is_ok(), ok, "{len}");
        }
    }
}
