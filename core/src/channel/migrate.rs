//! Moving a session to another server without the viewer noticing ("seamless").
//!
//! ```text
//!  source   Here ──MIGRATE──► Leaving ──FLUSH_MARK, then MIGRATE_DATA──► Gone
//!  target   the client's first message is that MIGRATE_DATA; the machine begins where the other one ended
//! ```
//!
//! What travels in MIGRATE_DATA is this server's own: a header with [`VERSION`], then one of the
//! structures here. It went through the client, so all of it is checked like anything else of a
//! client's. libspice-server has another form and counts its versions from 1: each of the two refuses
//! the other's version, and the client then moves without its state ("semi-seamless").

use super::{Channel, Common, Refused, Transmit};
use crate::limits;
use crate::proto::common::{ChannelType, Migrate, MigrateData, MigrateFlags};
use crate::proto::inputs::MouseButtons;
use crate::wire::{Counted, Data, DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Rest, Writer};

/// The version of the structures here, for MIGRATE_BEGIN_SEAMLESS and MIGRATE_DST_DO_SEAMLESS: only
/// equal ones understand each other. Far above those of libspice-server, which takes all that are
/// not above its own.
pub const VERSION: u32 = 0x5355_0001;

/// The first word of all data.
const MAGIC: u32 = u32::from_le_bytes(*b"SUMC");

/// A server's machine whose client can move to another server.
pub trait Migrates: Channel {
    /// The part that all channels share, for [`Common::migrate`] and [`Common::migrate_data`].
    fn common_mut(&mut self) -> &mut Common;
}

macro_rules! migrates {
    ($([$($n:tt)*] $machine:ty;)*) => {$(
        impl<$($n)*> Migrates for $machine {
            fn common_mut(&mut self) -> &mut Common {
                &mut self.common
            }
        }
    )*};
}

migrates! {
    [] super::main::MainServer;
    [const KEPT: usize] super::display::DisplayServer<KEPT>;
    [] super::inputs::InputsServer;
    [const KEPT: usize] super::cursor::CursorServer<KEPT>;
    [] super::playback::PlaybackServer;
    [] super::record::RecordServer;
    [] super::smartcard::SmartcardServer;
    [] super::vmc::VmcServer;
    [] super::port::PortServer;
}

/// How far a channel's client has moved away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    Here,
    /// MIGRATE was sent.
    Leaving,
    /// So was MIGRATE_DATA, or none is to be.
    Gone,
}

impl Common {
    /// Says MIGRATE: nothing but MIGRATE_DATA can be said after it, and without
    /// [`MigrateFlags::NEED_DATA_TRANSFER`] nothing at all.
    ///
    /// # Errors
    /// It was said before, or `out` is too small.
    pub fn migrate(&mut self, flags: MigrateFlags, out: &mut [u8]) -> Result<Transmit, Refused> {
        if self.stay != Stay::Here {
            return Err(Refused::Misuse("MIGRATE was sent before"));
        }
        let transmit = self.frame(&Migrate { flags }, out)?;
        self.stay = if flags.contains(MigrateFlags::NEED_DATA_TRANSFER) { Stay::Leaving } else { Stay::Gone };
        Ok(transmit)
    }

    /// Says MIGRATE_DATA of `len` bytes, which the host promises.
    ///
    /// # Errors
    /// It is not due, or `out` is too small.
    pub fn migrate_data(&mut self, len: usize, out: &mut [u8]) -> Result<Transmit, Refused> {
        if self.stay != Stay::Leaving {
            return Err(Refused::Misuse("MIGRATE_DATA comes once, behind MIGRATE"));
        }
        let transmit = self.frame(&MigrateData { data: Rest(Data::Promised(len)) }, out)?;
        self.stay = Stay::Gone;
        Ok(transmit)
    }

    /// Whether MIGRATE was said.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.stay != Stay::Here
    }

    /// Numbers what is said next as if this many messages had been said already: at the target.
    pub fn continue_from(&mut self, sent: u64) {
        self.outgoing.continue_from(sent);
    }
}

/// What a channel of this type has to do before its client moves.
#[must_use]
pub fn flags(kind: ChannelType) -> MigrateFlags {
    match kind {
        // Sound is new or lost, and the pointer is told anew.
        ChannelType::PLAYBACK | ChannelType::RECORD | ChannelType::CURSOR => MigrateFlags::empty(),
        _ => MigrateFlags::NEED_FLUSH | MigrateFlags::NEED_DATA_TRANSFER,
    }
}

record! {
    /// In front of all data.
    pub struct Header {
        /// `MAGIC`.
        magic: u32,
        /// [`VERSION`].
        version: u32,
        /// The channel's type.
        kind: u32,
        /// Messages that the server had said, MIGRATE_DATA being the last.
        sent: u64,
    }
}

fields! {
    /// The main channel's state.
    pub struct MainState<'a> {
        /// The mouse mode in force, a bit of [`MouseModes`](crate::proto::main::MouseModes).
        mouse_mode: u16,
        /// The guest agent's stream: 0 there is none, 1 not opened by the client, 2 open.
        agent: u8,
        /// AGENT_DATA messages that the client may still send.
        from_client: u32,
        /// AGENT_DATA messages that it may still be sent.
        to_client: u32,
        /// AGENT_DATA messages that were taken and no token was handed back for.
        spent: u32,
        /// What is on its way, as the host has it.
        agent_data: Rest<'a>,
    }
}

fields! {
    /// A display channel's state.
    pub struct DisplayState {
        /// Pixels in a row of the primary surface; 0 when there is none.
        width: u32,
        /// Its rows.
        height: u32,
        /// Whether the client has said what it keeps: 1, and the next four are that.
        ready: u8,
        /// Of the pixmap cache.
        pixmap_cache_id: u8,
        /// In pixels.
        pixmap_cache_size: i64,
        /// Of the GLZ dictionary.
        glz_dictionary_id: u8,
        /// In pixels.
        glz_dictionary_window_size: i32,
        /// The number of the next GLZ image.
        glz_next: u64,
    }
}

fields! {
    /// The inputs channel's state.
    pub struct InputsState {
        /// Motions since the last acknowledgement.
        motions: u32,
        /// Buttons that are down.
        buttons: MouseButtons,
        /// Keys that are down, a bit for each scan code, those behind E0 from bit 128 on.
        held: [u8; 32],
    }
}

fields! {
    /// The state of a channel that carries a device's bytes.
    pub struct DeviceState<'a> {
        /// 1 when the client was told that the guest has the device open.
        guest_opened: u8,
        /// 1 when the client's program has it open.
        client_opened: u8,
        /// What the guest said and the client was not sent.
        to_client: Counted<'a, u32, u8, { limits::MIGRATED_DEVICE }>,
        /// What the client said and the guest did not read.
        to_guest: Rest<'a>,
    }
}

/// A state that travels.
pub trait State<'a>: Field<'a> {
    /// Whether `kind` is a channel whose state it is.
    fn is_of(kind: ChannelType) -> bool;
}

macro_rules! states {
    ($($state:ty: $($kind:ident)|+;)*) => {$(
        impl<'a> State<'a> for $state {
            fn is_of(kind: ChannelType) -> bool {
                [$(ChannelType::$kind),+].contains(&kind)
            }
        }
    )*};
}

states! {
    MainState<'a>: MAIN;
    DisplayState: DISPLAY;
    InputsState: INPUTS;
    DeviceState<'a>: USBREDIR | PORT | WEBDAV | SMARTCARD;
}

/// Writes what MIGRATE_DATA of a channel of type `kind` carries, which has said `sent` messages before
/// it; answers its length. The host may promise the end of it, which goes behind what was written.
///
/// # Errors
/// It does not fit.
pub fn write<'a, S: State<'a>>(kind: ChannelType, sent: u64, state: &S, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut w = Writer::new(out);
    Header::new(MAGIC, VERSION, u32::from(kind.0), sent.saturating_add(1)).write(&mut w)?;
    state.write(&mut w)?;
    Ok(w.position())
}

/// Reads it again; answers how many messages the source had said, and the state.
///
/// # Errors
/// It is not this server's, of another version, of another kind of channel, or not whole.
pub fn read<'a, S: State<'a>>(kind: ChannelType, data: &'a [u8]) -> Result<(u64, S), DecodeError> {
    let mut r = Reader::new(data);
    let header = Header::read(&mut r)?;
    let check = |at: &'static str, value: u32, right: bool| {
        let error = DecodeError::new(DecodeErrorKind::Value { value }).at(at);
        if right { Ok(()) } else { Err(error) }
    };
    check("migration data: magic", header.magic(), header.magic() == MAGIC)?;
    check("migration data: version", header.version(), header.version() == VERSION)?;
    check("migration data: channel", header.kind(), header.kind() == u32::from(kind.0) && S::is_of(kind))?;
    let state = S::read(&mut r)?;
    match r.rest().len() {
        0 => Ok((header.sent(), state)),
        bytes => Err(DecodeError::new(DecodeErrorKind::Trailing { bytes }).at("migration data")),
    }
}

#[cfg(test)]
mod tests;
