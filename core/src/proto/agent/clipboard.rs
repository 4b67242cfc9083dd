//! The clipboard, with the forms it had before every agent knew selections.

use zerocopy::little_endian::U32;

use super::{AgentCaps, AgentMessage};
use crate::limits;
use crate::wire::{DecodeError, EncodeError, Field, Message, Padded, Reader, Rest, RestOf, Writer};

open_enum! {
    /// Which clipboard.
    pub struct Selection: u8 {
        /// What is cut and copied.
        CLIPBOARD = 0,
        /// What is marked.
        PRIMARY = 1,
        /// The third one of X.
        SECONDARY = 2,
    }
}

open_enum! {
    /// What is in the clipboard.
    pub struct ClipboardType: u32 {
        /// Nothing.
        NONE = 0,
        /// Text in UTF-8.
        UTF8_TEXT = 1,
        /// A PNG picture.
        IMAGE_PNG = 2,
        /// A BMP picture.
        IMAGE_BMP = 3,
        /// A TIFF picture.
        IMAGE_TIFF = 4,
        /// A JPEG picture.
        IMAGE_JPG = 5,
        /// `copy` or `cut`, then paths on the WebDAV channel, NUL between them.
        FILE_LIST = 6,
    }
}

message! {
    /// VD_AGENT_CLIPBOARD: the content, as requested.
    4 pub struct Clipboard<'a> {
        /// Which clipboard; with CLIPBOARD_SELECTION.
        selection: Padded<Selection, 3>,
        /// What it is.
        kind: ClipboardType,
        /// The content.
        data: Rest<'a>,
    }
}

message! {
    /// VD_AGENT_CLIPBOARD_GRAB: I have something.
    7 pub struct ClipboardGrab<'a> {
        /// Which clipboard; with CLIPBOARD_SELECTION.
        selection: Padded<Selection, 3>,
        /// Counts the grabs, so that the later of two that cross wins; with CLIPBOARD_GRAB_SERIAL.
        serial: u32,
        /// [`ClipboardType`] numbers it can be had as.
        types: RestOf<'a, U32, { limits::CLIPBOARD_TYPES }>,
    }
}

message! {
    /// VD_AGENT_CLIPBOARD_REQUEST: give it to me.
    8 pub struct ClipboardRequest {
        /// Which clipboard; with CLIPBOARD_SELECTION.
        selection: Padded<Selection, 3>,
        /// As what.
        kind: ClipboardType,
    }
}

message! {
    /// VD_AGENT_CLIPBOARD_RELEASE: I have nothing any more.
    9 pub struct ClipboardRelease {
        /// Which clipboard; with CLIPBOARD_SELECTION.
        selection: Padded<Selection, 3>,
    }
}

message! {
    /// VD_AGENT_MAX_CLIPBOARD, client to agent.
    14 pub struct MaxClipboard {
        /// Bytes; negative for no limit.
        max: i32,
    }
}

/// Which fields the clipboard messages have: what agent and client announced decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentForms {
    /// CLIPBOARD_SELECTION: they begin with a selection; without it, it is the clipboard.
    pub selection: bool,
    /// CLIPBOARD_GRAB_SERIAL: grabs have a serial; without it, it is 0.
    pub serial: bool,
}

impl AgentForms {
    /// The forms in force between these two.
    #[must_use]
    pub const fn between(one: AgentCaps, other: AgentCaps) -> Self {
        let both = one.intersection(other);
        Self {
            selection: both.contains(AgentCaps::CLIPBOARD_SELECTION),
            serial: both.contains(AgentCaps::CLIPBOARD_GRAB_SERIAL),
        }
    }

    /// Decodes the body of the message `kind`; the number counts bytes behind the end.
    ///
    /// # Errors
    /// When the body is not that message, or no message has this number.
    pub fn decode<'a>(self, kind: u32, body: &'a [u8]) -> Result<(AgentMessage<'a>, usize), DecodeError> {
        let id = u16::try_from(kind).unwrap_or(u16::MAX);
        let mut r = Reader::new(body);
        let message = match id {
            Clipboard::ID => self.clipboard(&mut r).map(AgentMessage::Clipboard),
            ClipboardGrab::ID => self.grab(&mut r).map(AgentMessage::ClipboardGrab),
            ClipboardRequest::ID => self.request(&mut r).map(AgentMessage::ClipboardRequest),
            ClipboardRelease::ID => self
                .selection(&mut r)
                .map(|selection| AgentMessage::ClipboardRelease(ClipboardRelease { selection }))
                .map_err(|e| e.at("ClipboardRelease.selection")),
            _ => return AgentMessage::decode(id, body),
        };
        message.map(|message| (message, r.trailing()))
    }

    /// Writes the body.
    ///
    /// # Errors
    /// When there is no room.
    pub fn encode(self, message: &AgentMessage<'_>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        match message {
            AgentMessage::Clipboard(m) => {
                write_if(self.selection, &m.selection, w)?;
                m.kind.write(w)?;
                m.data.write(w)
            }
            AgentMessage::ClipboardGrab(m) => {
                write_if(self.selection, &m.selection, w)?;
                write_if(self.serial, &m.serial, w)?;
                m.types.write(w)
            }
            AgentMessage::ClipboardRequest(m) => {
                write_if(self.selection, &m.selection, w)?;
                m.kind.write(w)
            }
            AgentMessage::ClipboardRelease(m) => write_if(self.selection, &m.selection, w),
            other => other.encode(w),
        }
    }

    /// Bytes of the body, promised ones included.
    #[must_use]
    pub fn size(self, message: &AgentMessage<'_>) -> usize {
        use AgentMessage as M;
        let selection = match message {
            M::Clipboard(_) | M::ClipboardGrab(_) | M::ClipboardRequest(_) | M::ClipboardRelease(_)
                if !self.selection =>
            {
                4
            }
            _ => 0,
        };
        let serial = if matches!(message, M::ClipboardGrab(_)) && !self.serial { 4 } else { 0 };
        message.size().saturating_sub(selection).saturating_sub(serial)
    }

    fn selection(self, r: &mut Reader<'_>) -> Result<Padded<Selection, 3>, DecodeError> {
        if self.selection { Padded::read(r) } else { Ok(Padded(Selection::CLIPBOARD)) }
    }

    fn clipboard<'a>(self, r: &mut Reader<'a>) -> Result<Clipboard<'a>, DecodeError> {
        Ok(Clipboard {
            selection: self.selection(r).map_err(|e| e.at("Clipboard.selection"))?,
            kind: Field::read(r).map_err(|e| e.at("Clipboard.kind"))?,
            data: Field::read(r)?,
        })
    }

    fn grab<'a>(self, r: &mut Reader<'a>) -> Result<ClipboardGrab<'a>, DecodeError> {
        Ok(ClipboardGrab {
            selection: self.selection(r).map_err(|e| e.at("ClipboardGrab.selection"))?,
            serial: if self.serial { u32::read(r).map_err(|e| e.at("ClipboardGrab.serial"))? } else { 0 },
            types: Field::read(r).map_err(|e| e.at("ClipboardGrab.types"))?,
        })
    }

    fn request(self, r: &mut Reader<'_>) -> Result<ClipboardRequest, DecodeError> {
        Ok(ClipboardRequest {
            selection: self.selection(r).map_err(|e| e.at("ClipboardRequest.selection"))?,
            kind: Field::read(r).map_err(|e| e.at("ClipboardRequest.kind"))?,
        })
    }
}

/// Writes a field that is there only in some forms.
fn write_if<'a>(there: bool, field: &impl Field<'a>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
    if there { field.write(w) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: AgentForms = AgentForms { selection: false, serial: false };
    const SELECTION: AgentForms = AgentForms { selection: true, serial: false };
    const SERIAL: AgentForms = AgentForms { selection: false, serial: true };
    const ALL: AgentForms = AgentForms { selection: true, serial: true };

    /// Decodes and encodes hand-written bytes, and cuts them short at every place.
    fn check(forms: AgentForms, kind: u32, body: &[u8], message: AgentMessage<'_>) {
        assert_eq!(forms.decode(kind, body), Ok((message, 0)), "{forms:?}");
        let mut out = [0xff; 32];
        let mut w = Writer::new(&mut out);
        forms.encode(&message, &mut w).unwrap();
        assert_eq!((w.written(), forms.size(&message)), (body, body.len()), "{forms:?}");
        for cut in 0..body.len() {
            match forms.decode(kind, &body[..cut]) {
                Ok((shorter, trailing)) => assert_eq!(forms.size(&shorter) + trailing, cut),
                Err(e) => assert!(e.at.contains('.'), "{e}"),
            }
        }
    }

    fn grab(selection: Selection, serial: u32) -> AgentMessage<'static> {
        let types = RestOf(const { &[U32::new(1), U32::new(2)] });
        AgentMessage::ClipboardGrab(ClipboardGrab { selection: Padded(selection), serial, types })
    }

    #[test]
    fn each_form_of_a_grab() {
        check(OLD, 7, &[1, 0, 0, 0, 2, 0, 0, 0], grab(Selection::CLIPBOARD, 0));
        check(SELECTION, 7, &[1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], grab(Selection::PRIMARY, 0));
        check(SERIAL, 7, &[9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], grab(Selection::CLIPBOARD, 9));
        check(ALL, 7, &[2, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], grab(Selection::SECONDARY, 9));
    }

    #[test]
    fn both_forms_of_the_others() {
        for (forms, selection, front) in [(OLD, Selection::CLIPBOARD, 4), (SELECTION, Selection::PRIMARY, 0)] {
            let selection = Padded(selection);
            let kind = ClipboardType::UTF8_TEXT;
            let data = Rest(crate::wire::Data::Here(b"hi"));
            let content = Clipboard { selection, kind, data };
            check(forms, 4, &[1, 0, 0, 0, 1, 0, 0, 0, b'h', b'i'][front..], AgentMessage::Clipboard(content));
            let request = ClipboardRequest { selection, kind };
            check(forms, 8, &[1, 0, 0, 0, 1, 0, 0, 0][front..], AgentMessage::ClipboardRequest(request));
            let release = ClipboardRelease { selection };
            check(forms, 9, &[1, 0, 0, 0][front..], AgentMessage::ClipboardRelease(release));
        }
    }

    #[test]
    fn other_messages_have_one_form() {
        check(OLD, 14, &[0xff, 0xff, 0xff, 0xff], AgentMessage::MaxClipboard(MaxClipboard { max: -1 }));
        let unknown = OLD.decode(0x1_0001, &[0; 13]).unwrap_err();
        assert_eq!(unknown.at, "agent");
    }

    #[test]
    fn forms_need_both_ends() {
        let all = AgentCaps::all();
        assert_eq!(AgentForms::between(all, all), ALL);
        assert_eq!(AgentForms::between(all, AgentCaps::CLIPBOARD_SELECTION), SELECTION);
        assert_eq!(AgentForms::between(AgentCaps::empty(), all), OLD);
    }
}
