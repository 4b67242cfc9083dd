//! [`parse`]: from a command in a ring to what it asks for.

use super::abi::{self, CommandType};
use super::drawable::Drawable;
use super::error::QxlError;
use super::image::{Parser, value};
use super::memory::{GuestMemory, Scratch, View, behind};
use super::slots::MemSlots;
use super::surface::{SurfaceCommand, Surfaces};
use crate::limits;
use crate::proto::cursor;
use crate::proto::shape::Rect;

flags! {
    /// What drivers for the first revision of the device write (QXL_COMMAND_FLAG).
    pub struct CommandFlags: u32 {
        /// QXLCompatDrawable and QXLCompatUpdateCmd.
        const COMPAT = 1;
        /// Colours are x1r5g5b5.
        const COMPAT_16BPP = 2;
    }
}

/// QXLCommandExt: a command of a ring, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The address of what it leads to. A release_resource for it names the host's address of this.
    pub data: u64,
    /// What that is.
    pub kind: CommandType,
    /// The group of memory slots for all its addresses.
    pub group: u32,
    /// Which structures it leads to.
    pub flags: CommandFlags,
}

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "without a heap there is nowhere else to put the largest")]
pub enum Parsed<'a> {
    /// Nothing.
    Nop,
    /// A drawing.
    Draw(Drawable<'a>),
    /// To render an area, which is inside its surface, and to notify_update with this number.
    Update {
        /// Which surface.
        surface_id: u32,
        /// Which part of it.
        area: Rect,
        /// What to say when it is done.
        update_id: u32,
    },
    /// Something about the cursor.
    Cursor(cursor::ServerMessage<'a>),
    /// A text to log, as printable ASCII.
    Message(&'a str),
    /// A surface to create or to destroy.
    Surface(SurfaceCommand),
}

/// Parses a command whose memory may change meanwhile: into `lent` all is copied that the result
/// borrows. When that is too small ([`super::QxlErrorKind::NoRoom`]), lend more and parse again.
///
/// # Errors
/// When anything that the command leads to is not in order. Nothing of it may be carried out then;
/// its resource is to be released.
pub fn parse<'a, M: GuestMemory + ?Sized>(
    memory: &M,
    slots: &MemSlots,
    surfaces: &Surfaces,
    command: &Command,
    lent: &'a mut [u8],
) -> Result<Parsed<'a>, QxlError> {
    let view = View::new(memory, slots, command.group);
    let mut parser = Parser { view, surfaces, flags: command.flags, scratch: Scratch::new(lent) };
    match command.kind {
        CommandType::NOP => Ok(Parsed::Nop),
        CommandType::DRAW => parser.drawable(command.data).map(Parsed::Draw),
        CommandType::UPDATE => parser.update(command.data),
        CommandType::CURSOR => parser.cursor_command(command.data).map(Parsed::Cursor),
        CommandType::MESSAGE => parser.message(command.data).map(Parsed::Message),
        CommandType::SURFACE => SurfaceCommand::parse(view, surfaces, command.data).map(Parsed::Surface),
        other => Err(value("QXLCommand.type", other.0)),
    }
}

impl<'a, M: GuestMemory + ?Sized> Parser<'_, 'a, M> {
    fn update(&self, address: u64) -> Result<Parsed<'a>, QxlError> {
        let compat = self.flags.contains(CommandFlags::COMPAT);
        let (surface_id, area, update_id) = if compat {
            let d: abi::CompatUpdateCmd = self.view.read(address).map_err(|e| e.at("QXLCompatUpdateCmd"))?;
            (0, d.area, d.update_id)
        } else {
            let d: abi::UpdateCmd = self.view.read(address).map_err(|e| e.at("QXLUpdateCmd"))?;
            (d.surface_id, d.area, d.update_id)
        };
        self.surfaces.check_area(surface_id, area).map_err(|e| e.at("QXLUpdateCmd.area"))?;
        Ok(Parsed::Update { surface_id, area, update_id })
    }

    /// A text up to its NUL, the end of its slot, or its limit.
    fn message(&mut self, address: u64) -> Result<&'a str, QxlError> {
        let text = behind(address, size_of::<u64>())?;
        let room = self.scratch.take(limits::QXL_MESSAGE)?;
        // Byte by byte: where the text ends is not known before, and its slot may end with it.
        let mut len = 0usize;
        for (n, byte) in room.iter_mut().enumerate() {
            match self.view.copy(behind(text, n)?, core::slice::from_mut(byte)) {
                Ok(()) if *byte == 0 => break,
                Ok(()) if matches!(*byte, b' '..=b'~') => {}
                Ok(()) => *byte = b'?',
                Err(e) if n == 0 => return Err(e.at("QXLMessage")),
                Err(_) => break,
            }
            len = len.saturating_add(1);
        }
        Ok(core::str::from_utf8(room.get(..len).unwrap_or_default()).unwrap_or_default())
    }
}
