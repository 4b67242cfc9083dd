//! `core/PROTOCOL.md`, written from the declarations and compared with them.
//!
//! `SUMAC_WRITE_PROTOCOL=1 cargo test -p sumac-core document` writes it anew.

use std::fmt::Write;
use std::string::{String, ToString};

use super::{
    TABLES, agent, common, cursor, display, draw, header, link, main, paint, picture, port, shape, stream_device, text,
    vmc,
};
use crate::wire::{FieldForm, Sender, Shape};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PROTOCOL.md");

const HEAD: &str = "\
# Messages on the wire

Written from the declarations in `src/proto/` by a test, which fails when this page is not what they say.
To write it anew: `SUMAC_WRITE_PROTOCOL=1 cargo test -p sumac-core document`.

All numbers are little-endian and unaligned; an *offset* is a `u32` from the start of the message's
body, 0 for none; *bytes to the end* is what is left of the body. The number in *least* is the
shortest body. The pieces of the link have no numbers on the wire; theirs count the order.

";

/// A structure that forms name.
type Structure = (&'static str, &'static [FieldForm]);

macro_rules! structures {
    ($($module:ident :: $name:ident),* $(,)?) => { &[$((stringify!($name), $module::$name::FIELDS)),*] };
}

const STRUCTURES: &[Structure] = structures![
    draw::Base,
    picture::Bitmap,
    paint::Brush,
    main::ChannelId,
    shape::Clip,
    vmc::Compressed,
    cursor::Cursor,
    cursor::CursorHeader,
    header::DataHeader,
    main::Destination,
    agent::DeviceDisplay,
    display::Head,
    picture::Image,
    picture::ImageBody,
    picture::JpegAlpha,
    paint::LineAttr,
    vmc::Lz4Block,
    picture::LzPalette,
    paint::Mask,
    header::MiniHeader,
    agent::Monitor,
    agent::MonitorSize,
    picture::Palette,
    shape::Path,
    paint::Pattern,
    shape::Point,
    shape::Point16,
    shape::PointFix,
    shape::Rect,
    display::ResourceId,
    link::SaslVerdict,
    shape::Segment,
    stream_device::StreamDevHeader,
    text::Text,
    shape::Transform,
    agent::VdAgentMessage,
    agent::VdiChunkHeader,
    common::WaitFor,
    port::WebdavFrame,
    picture::ZlibGlz,
];

fn fields(form: &[FieldForm]) -> String {
    if form.is_empty() {
        return "–".to_string();
    }
    let mut text = String::new();
    for (n, field) in form.iter().enumerate() {
        write!(text, "{}{field}", if n == 0 { "" } else { "; " }).unwrap();
    }
    text
}

fn document() -> String {
    let mut page = HEAD.to_string();
    for rows in TABLES {
        let Some(first) = rows.first() else { continue };
        let sender = match first.sender {
            Sender::Server => "what the server says",
            Sender::Client => "what a client says",
            Sender::Guest => "what the guest says",
            Sender::Either => "either way",
        };
        writeln!(page, "## {}: {sender}\n\n| no | name | fields | least |\n|---|---|---|---|", first.channel).unwrap();
        for row in *rows {
            writeln!(page, "| {} | {} | {} | {} |", row.id, row.name, fields(row.form), row.min).unwrap();
        }
        page.push('\n');
    }
    page.push_str("## Structures inside\n\n| name | fields |\n|---|---|\n");
    for (name, form) in STRUCTURES {
        writeln!(page, "| {name} | {} |", fields(form)).unwrap();
    }
    page
}

#[test]
#[cfg_attr(miri, ignore = "reads a file")]
fn the_page_says_what_the_declarations_say() {
    let page = document();
    if std::env::var_os("SUMAC_WRITE_PROTOCOL").is_some() {
        std::fs::write(PATH, &page).unwrap();
    }
    let written = std::fs::read_to_string(PATH).unwrap();
    for (line, (written, declared)) in written.lines().zip(page.lines()).enumerate() {
        assert_eq!(written, declared, "PROTOCOL.md, line {}; see its head", line + 1);
    }
    assert_eq!(written.len(), page.len(), "PROTOCOL.md; see its head");
}

#[test]
fn every_structure_that_is_named_is_described() {
    let all = TABLES.iter().copied().flatten().map(|row| row.form).chain(STRUCTURES.iter().map(|(_, form)| *form));
    for field in all.flatten() {
        let named = match field.shape {
            Shape::Plain | Shape::Bytes => field.wire,
            Shape::Pointer(to) => to,
            Shape::List { item, .. } => item,
        };
        let is_name = named.chars().next().is_some_and(char::is_uppercase) && !named.contains(' ');
        assert!(!is_name || STRUCTURES.iter().any(|(name, _)| *name == named), "{named} is not among the structures");
    }
}
