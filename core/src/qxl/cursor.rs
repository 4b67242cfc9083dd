//! Cursor commands, as messages of the cursor channel.

use super::abi;
use super::error::{QxlError, QxlErrorKind};
use super::image::{Parser, value};
use super::memory::{GuestMemory, behind};
use super::slots::to_u64;
use crate::limits;
use crate::proto::cursor::{
    Cursor, CursorFlags, CursorHeader, CursorType, Hide, Move, ServerMessage, Set, Shape, Trail,
};
use crate::proto::shape::Point16;
use crate::wire::{Data, Field, to_usize};

impl<'a, M: GuestMemory + ?Sized> Parser<'_, 'a, M> {
    pub(super) fn cursor_command(&mut self, address: u64) -> Result<ServerMessage<'a>, QxlError> {
        let head: abi::CursorCmd = self.view.read(address).map_err(|e| e.at("QXLCursorCmd"))?;
        let at = behind(address, abi::CursorCmd::MIN)?;
        Ok(match head.kind {
            0 => {
                let set: abi::CursorSet = self.view.read(at).map_err(|e| e.at("QXLCursorCmd.set"))?;
                let cursor = self.cursor(set.shape)?;
                ServerMessage::Set(Set { position: set.position, visible: (set.visible != 0).into(), cursor })
            }
            1 => {
                let position: Point16 = self.view.read(at).map_err(|e| e.at("QXLCursorCmd.position"))?;
                ServerMessage::Move(Move { position })
            }
            2 => ServerMessage::Hide(Hide {}),
            3 => {
                let length: u16 = self.view.read(at).map_err(|e| e.at("QXLCursorCmd.trail"))?;
                let frequency: u16 = self.view.read(behind(at, 2)?).map_err(|e| e.at("QXLCursorCmd.trail"))?;
                ServerMessage::Trail(Trail { length, frequency })
            }
            kind => return Err(value("QXLCursorCmd.type", kind.into())),
        })
    }

    /// A shape with as many bytes as its type, width and height take: clients do not look.
    fn cursor(&mut self, address: u64) -> Result<Cursor<'a>, QxlError> {
        let head: abi::Cursor = self.view.read(address).map_err(|e| e.at("QXLCursor"))?;
        let unknown = value("QXLCursorHeader.type", head.kind.into());
        let kind = u8::try_from(head.kind).map(CursorType).map_err(|_| unknown)?;
        for (at, size) in [("QXLCursorHeader.width", head.width), ("QXLCursorHeader.height", head.height)] {
            if size > limits::QXL_CURSOR {
                let kind = QxlErrorKind::TooMany { count: size.into(), max: limits::QXL_CURSOR.into() };
                return Err(QxlError { at, kind });
            }
        }
        let needed = shape_size(kind, head.width, head.height).ok_or(unknown)?;
        if to_usize(head.data_size) < needed {
            let kind = QxlErrorKind::Length { said: to_u64(needed), got: head.data_size.into() };
            return Err(QxlError { at: "QXLCursor.data_size", kind });
        }
        let data = self.scratch.take(needed)?;
        self.view.copy_chain_start(behind(address, abi::Cursor::MIN)?, data)?;
        let header = CursorHeader {
            unique: head.unique,
            kind,
            width: head.width,
            height: head.height,
            hot_spot_x: head.hot_spot_x,
            hot_spot_y: head.hot_spot_y,
        };
        let flags = if head.unique == 0 { CursorFlags::empty() } else { CursorFlags::CACHE_ME };
        Ok(Cursor { flags, shape: Shape::Here(header, Data::Here(data)) })
    }
}

/// Bytes of a shape: rows, palette, mask; `None` for types that there are not.
fn shape_size(kind: CursorType, width: u16, height: u16) -> Option<usize> {
    let (width, height) = (usize::from(width), usize::from(height));
    let rows = |bits: usize| width.saturating_mul(bits).div_ceil(8).saturating_mul(height);
    let colors = |count: usize| count.saturating_mul(size_of::<u32>());
    let masked = |bits, palette: usize| rows(bits).saturating_add(palette).saturating_add(rows(1));
    Some(match kind {
        CursorType::ALPHA => rows(32),
        CursorType::MONO => rows(1).saturating_mul(2),
        CursorType::COLOR4 => masked(4, colors(16)),
        CursorType::COLOR8 => masked(8, colors(256)),
        CursorType::COLOR16 => masked(16, 0),
        CursorType::COLOR24 => masked(24, 0),
        CursorType::COLOR32 => masked(32, 0),
        _ => return None,
    })
}
