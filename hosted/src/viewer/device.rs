//! USB redirection, port and WebDAV channels: a device's bytes to and from the viewer that has it.

use std::rc::Rc;

use bytes::Bytes;
use sumac_core::channel::Heard;
use sumac_core::channel::migrate::{DeviceState, Migrates};
use sumac_core::channel::port::{PortEvent, PortServer};
use sumac_core::channel::vmc::{Compressor, DeviceBytes, VmcEvent, VmcServer};
use sumac_core::limits::{MIGRATED, MIGRATED_DEVICE};
use sumac_core::proto::caps::VmcCaps;
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::port::{self, Event, Init, PortEvent as Happened};
use sumac_core::proto::vmc::{self, Compressed, CompressedData, Data as Plain, Lz4Block};
use sumac_core::wire::{Counted, Data, Rest, SizedAt};

use super::{Session, state_of};
use crate::connection::{Close, Handler, Line};
use crate::devices::Attached;

/// Unsent bytes up to which more is taken from the device: enough to keep the kernel busy.
const AHEAD: usize = 64 * 1024;
/// Most bytes of the device's in a message.
const UNIT: usize = 64 * 1024;
/// Fewer bytes than these are not worth a compressed message.
const COMPRESSED_LEAST: usize = 1000;

/// Bytes for the guest that can travel to another server.
const MIGRATED_MOST: usize = MIGRATED - 2 * MIGRATED_DEVICE;

/// The handler.
pub(super) struct Device<M: Carries> {
    session: Rc<Session>,
    attached: Attached,
    /// A local client's bytes are not compressed: copying them is cheaper.
    local: bool,
    compressor: Compressor,
    told: M::Told,
    kind: ChannelType,
    /// The client's program has the device open.
    opened: bool,
}

/// A machine that carries a device's bytes.
pub(super) trait Carries: Migrates + Sized {
    /// What the client has been told of the guest's end.
    type Told: Default;

    fn peer_caps(&self) -> VmcCaps;
    fn plain<'c>(data: Plain<'c>) -> Self::Message<'c>;
    fn compressed<'c>(data: CompressedData<'c>) -> Self::Message<'c>;
    fn said<'m>(event: Self::Event<'m>) -> Said<'m>;
    /// Says how the guest's end is, where the client does not know yet.
    fn tell(line: &mut Line<Self>, told: &mut Self::Told, attached: &Attached) -> Result<(), Close>;
    /// How many messages were said.
    fn sent(&self) -> u64;
    /// Whether the client was told that the guest has the device open.
    fn told_opened(told: &Self::Told) -> bool;
}

/// What a client said.
pub(super) enum Said<'m> {
    Common(Heard<'m>),
    Bytes(DeviceBytes<'m>),
    Happened(Happened),
    Nothing,
}

impl<M: Carries> Device<M> {
    pub(super) fn new(session: Rc<Session>, attached: Attached, kind: ChannelType, local: bool) -> Self {
        let (compressor, told) = (Compressor::default(), M::Told::default());
        Self { session, attached, local, compressor, told, kind, opened: false }
    }

    fn set_opened(&mut self, opened: bool) {
        self.opened = opened;
        self.attached.set_opened(opened);
    }

    fn say(&mut self, line: &mut Line<M>, bytes: Bytes) -> Result<(), Close> {
        let may = !self.local && line.machine.peer_caps().contains(VmcCaps::DATA_COMPRESS_LZ4);
        let block = if may { self.compress(&bytes) } else { None };
        let sent = match (block, u32::try_from(bytes.len())) {
            (Some(block), Ok(uncompressed_size)) => {
                let data = Rest(Data::Promised(block.len()));
                let data = Compressed::Lz4(Lz4Block { uncompressed_size, data });
                line.send(&M::compressed(CompressedData { data }), &[block])
            }
            _ => line.send(&M::plain(Plain { data: Rest(Data::Promised(bytes.len())) }), &[bytes]),
        };
        sent.map_err(Close::Refused)
    }

    /// The bytes as a block, if it is shorter.
    fn compress(&mut self, bytes: &[u8]) -> Option<Bytes> {
        if bytes.len() <= COMPRESSED_LEAST {
            return None;
        }
        let mut out = vec![0; Compressor::max_len(bytes.len())];
        let len = self.compressor.compress(bytes, &mut out).filter(|&len| len < bytes.len())?;
        out.truncate(len);
        Some(out.into())
    }
}

impl Device<PortServer> {
    /// The client comes from another server, where it was told this.
    pub(super) fn resume(&mut self, state: &DeviceState<'_>) {
        self.told = PortTold { named: true, opened: state.guest_opened != 0, breaks: self.attached.guest().breaks };
        self.set_opened(state.client_opened != 0);
    }
}

impl<M: Carries> Handler for Device<M> {
    type Machine = M;

    fn on_open(&mut self, line: &mut Line<M>) -> Result<(), Close> {
        M::tell(line, &mut self.told, &self.attached)
    }

    fn on_event(&mut self, line: &mut Line<M>, event: M::Event<'_>) -> Result<(), Close> {
        match M::said(event) {
            Said::Common(Heard::Disconnecting(_)) => return Err(Close::Goodbye),
            // One that leaves is read whether the guest reads or not.
            Said::Bytes(bytes) if line.is_leaving() && self.attached.waiting() + bytes.len() > MIGRATED_MOST => {
                return Err(Close::Ended("the client said too much before it went to another server"));
            }
            Said::Bytes(bytes) => self.attached.push(&bytes)?,
            Said::Happened(Happened::OPENED) => self.set_opened(true),
            Said::Happened(Happened::CLOSED) => self.set_opened(false),
            Said::Happened(Happened::BREAK) => self.attached.send_break(),
            Said::Common(_) | Said::Happened(_) | Said::Nothing => {}
        }
        Ok(())
    }

    fn on_wake(&mut self, line: &mut Line<M>) -> Result<(), Close> {
        self.session.check()?;
        M::tell(line, &mut self.told, &self.attached)?;
        while line.unsent() <= AHEAD {
            let bytes = self.attached.take(UNIT);
            if bytes.is_empty() {
                break;
            }
            self.say(line, bytes)?;
        }
        // What the source said before it ended has been taken.
        if self.attached.is_ended() && line.unsent() <= AHEAD {
            return Err(Close::Ended("the device was taken away"));
        }
        Ok(())
    }

    fn state(&mut self, line: &mut Line<M>) -> Result<Vec<Bytes>, Close> {
        let (to_client, to_guest) = self.attached.drain();
        let state = DeviceState {
            guest_opened: M::told_opened(&self.told).into(),
            client_opened: self.opened.into(),
            to_client: Counted::new(&to_client),
            to_guest: Rest(Data::Promised(to_guest.len())),
        };
        state_of(self.kind, M::sent(&line.machine), &state, vec![to_guest])
    }

    fn is_full(&self) -> bool {
        self.attached.is_full()
    }
}

impl Carries for VmcServer {
    type Told = ();

    fn peer_caps(&self) -> VmcCaps {
        self.caps()
    }

    fn plain<'c>(data: Plain<'c>) -> vmc::ServerMessage<'c> {
        vmc::ServerMessage::Data(data)
    }

    fn compressed<'c>(data: CompressedData<'c>) -> vmc::ServerMessage<'c> {
        vmc::ServerMessage::CompressedData(data)
    }

    fn said<'m>(event: Self::Event<'m>) -> Said<'m> {
        match event {
            VmcEvent::Common(heard) => Said::Common(heard),
            VmcEvent::Bytes(bytes) => Said::Bytes(bytes),
            _ => Said::Nothing,
        }
    }

    fn tell(_: &mut Line<Self>, (): &mut (), _: &Attached) -> Result<(), Close> {
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.common().sent()
    }

    fn told_opened((): &()) -> bool {
        false
    }
}

/// What the client of a port knows.
#[derive(Default)]
pub(super) struct PortTold {
    named: bool,
    opened: bool,
    breaks: u64,
}

impl Carries for PortServer {
    type Told = PortTold;

    fn peer_caps(&self) -> VmcCaps {
        self.caps()
    }

    fn plain<'c>(data: Plain<'c>) -> port::ServerMessage<'c> {
        port::ServerMessage::Data(data)
    }

    fn compressed<'c>(data: CompressedData<'c>) -> port::ServerMessage<'c> {
        port::ServerMessage::CompressedData(data)
    }

    fn said<'m>(event: Self::Event<'m>) -> Said<'m> {
        match event {
            PortEvent::Common(heard) => Said::Common(heard),
            PortEvent::Bytes(bytes) => Said::Bytes(bytes),
            PortEvent::Happened(happened) => Said::Happened(happened),
            _ => Said::Nothing,
        }
    }

    fn sent(&self) -> u64 {
        self.common().sent()
    }

    fn told_opened(told: &PortTold) -> bool {
        told.opened
    }

    fn tell(line: &mut Line<Self>, told: &mut PortTold, attached: &Attached) -> Result<(), Close> {
        let guest = attached.guest();
        if !told.named {
            let name: Vec<u8> = attached.name().bytes().chain([0]).collect();
            let init = Init { name: SizedAt(Some(&name)), opened: guest.opened.into() };
            line.send(&port::ServerMessage::Init(init), &[]).map_err(Close::Refused)?;
            *told = PortTold { named: true, opened: guest.opened, breaks: guest.breaks };
        }
        let mut say = |event| line.send(&port::ServerMessage::Event(Event { event }), &[]).map_err(Close::Refused);
        if guest.opened != told.opened {
            told.opened = guest.opened;
            say(if guest.opened { Happened::OPENED } else { Happened::CLOSED })?;
        }
        if guest.breaks != told.breaks {
            // Breaks that come in one go are one.
            told.breaks = guest.breaks;
            say(Happened::BREAK)?;
        }
        Ok(())
    }
}
