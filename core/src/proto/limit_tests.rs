//! Every count at its limit, one past it, and at its type's maximum.

use std::vec;
use std::vec::Vec;

use super::agent::{AgentMessage, Monitor, MonitorSize, MonitorsConfig as AgentMonitors, MonitorsFlags};
use super::common::NotifyText;
use super::display::{self, Head};
use super::header::{SubMessage, SubMessages};
use super::link::{Caps, SaslData, SaslVerdict};
use super::paint::LineAttr;
use super::picture::Palette;
use super::shape::{Clip, Path, Segment};
use super::text::{Glyph, Glyphs, StringFlags, Text};
use super::{TABLES, agent, port};
use crate::limits;
use crate::wire::{
    Counted, DecodeError, DecodeErrorKind, EncodeError, Field, Items, Message, Reader, Repeat, RestOf, Row, Shape,
    Writer,
};

/// Lists above this many bytes are not walked under Miri.
const MOST: usize = if cfg!(miri) { 1 << 16 } else { 1 << 30 };

/// A count and what stands around it.
struct Around<'b> {
    before: &'b [u8],
    /// Bytes of the count.
    count: usize,
    after: &'b [u8],
    /// Fewest bytes of an item; zeros must be one.
    item: usize,
    /// Bytes behind the items.
    behind: usize,
    max: usize,
}

impl Around<'_> {
    /// A body with this count and this many items.
    fn body(&self, count: usize, items: usize) -> Vec<u8> {
        let mut body = self.before.to_vec();
        body.extend_from_slice(&count.to_le_bytes()[..self.count]);
        body.extend_from_slice(self.after);
        body.resize(body.len() + items * self.item + self.behind, 0);
        body
    }

    /// The largest count that can be written.
    fn type_max(&self) -> usize {
        u32::MAX as usize >> (32 - 8 * self.count)
    }

    fn check(&self, name: &str, read: impl Fn(&[u8]) -> Result<usize, DecodeError>) {
        if self.max.saturating_mul(self.item) > MOST {
            return;
        }
        assert_eq!(read(&self.body(self.max, self.max)), Ok(0), "{name} at its limit");
        for (count, items) in [(self.max + 1, self.max + 1), (self.type_max(), 0)] {
            if count <= self.max || count > self.type_max() {
                assert!(self.max >= self.type_max(), "{name}");
                continue;
            }
            let too_many = DecodeErrorKind::TooMany { count: count as u32, max: self.max as u32 };
            assert_eq!(read(&self.body(count, items)).map_err(|e| e.kind), Err(too_many), "{name}");
        }
    }

    /// For a structure by itself.
    fn check_field<T>(&self)
    where
        T: for<'a> FieldOf<'a>,
    {
        self.check(core::any::type_name::<T>(), |body| T::left_after(body));
    }
}

/// A structure with a lifetime, named without it.
trait FieldOf<'a> {
    /// Reads it; the bytes that are left.
    fn left_after(body: &'a [u8]) -> Result<usize, DecodeError>;
}

macro_rules! field_of {
    ($($t:ident),*) => {$(
        impl<'a> FieldOf<'a> for $t<'static> {
            fn left_after(body: &'a [u8]) -> Result<usize, DecodeError> {
                let mut r = Reader::new(body);
                <$t<'a> as Field<'a>>::read(&mut r)?;
                Ok(r.trailing())
            }
        }
    )*};
}

use agent::DeviceDisplay;
use port::WebdavFrame;
field_of!(
    SaslData,
    Clip,
    Segment,
    Path,
    Palette,
    LineAttr,
    NotifyText,
    SubMessages,
    SaslVerdict,
    DeviceDisplay,
    WebdavFrame,
    Caps,
    Text
);

/// The list among a message's fields and the bytes in front of it, when those are of fixed size.
fn list_of(row: &Row) -> Option<(usize, Shape)> {
    let mut before = 0;
    for field in row.form {
        if matches!(field.shape, Shape::List { .. }) {
            return Some((before, field.shape));
        }
        before += field.min;
    }
    None
}

#[test]
fn every_list_of_the_table() {
    let mut lists = 0;
    for row in TABLES.iter().copied().flatten() {
        let Some((before, Shape::List { count, item_min, max, .. })) = list_of(row) else { continue };
        let before = vec![0; before];
        let behind = row.min - before.len() - count;
        let around = Around { before: &before, count, after: &[], item: item_min, behind, max };
        let read = |body: &[u8]| {
            let mut out = vec![0; body.len()];
            (row.again)(body, &mut out).map(|(_, trailing)| trailing).map_err(|failure| match failure {
                crate::wire::Failure::Decode(e) => e,
                other => panic!("{}: {other:?}", row.name),
            })
        };
        if count == 0 {
            assert_eq!(read(&around.body(0, max)), Ok(0), "{} at its limit", row.name);
            let past = read(&around.body(0, max + 1)).map_err(|e| e.kind);
            let too_many = DecodeErrorKind::TooMany { count: max as u32 + 1, max: max as u32 };
            assert_eq!(past, Err(too_many), "{} past its limit", row.name);
        } else {
            around.check(row.name, read);
        }
        lists += 1;
    }
    assert!(lists >= 16, "only {lists} lists were found in the table");
}

#[test]
fn every_list_inside_a_structure() {
    let plain = Around { before: &[], count: 4, after: &[], item: 1, behind: 0, max: 0 };
    Around { before: &[1], item: 16, max: limits::CLIP_RECTS, ..plain }.check_field::<Clip<'static>>();
    Around { before: &[0], item: 8, max: limits::PATH_POINTS, ..plain }.check_field::<Segment<'static>>();
    Around { item: 5, max: limits::PATH_SEGMENTS, ..plain }.check_field::<Path<'static>>();
    Around { before: &[0; 8], count: 2, item: 4, max: limits::PALETTE, ..plain }.check_field::<Palette<'static>>();
    let style = Around { before: &[8], count: 1, after: &[6, 0, 0, 0], item: 4, max: limits::LINE_STYLE, ..plain };
    style.check_field::<LineAttr<'static>>();
    Around { behind: 1, max: limits::NOTIFY_TEXT, ..plain }.check_field::<NotifyText<'static>>();
    Around { before: &[1, 0, 0, 0], max: limits::SASL_REASON, ..plain }.check_field::<SaslVerdict<'static>>();
    Around { max: limits::SASL_DATA, ..plain }.check_field::<SaslData<'static>>();
    Around { before: &[0; 12], max: limits::DEVICE_ADDRESS, ..plain }.check_field::<DeviceDisplay<'static>>();
    Around { before: &[0; 8], count: 2, max: limits::WEBDAV_FRAME, ..plain }.check_field::<WebdavFrame<'static>>();
    for depth in [1, 2, 4] {
        let glyphs = Around { count: 2, after: &[depth], item: 20, max: limits::GLYPHS, ..plain };
        glyphs.check_field::<Text<'static>>();
    }
    // Words of either kind; the other kind has none.
    let common = Around { after: &[0, 0, 0, 0, 12, 0, 0, 0], item: 4, max: limits::CAP_WORDS, ..plain };
    common.check_field::<Caps<'static>>();
    let channel = Around { before: &[0; 4], after: &[12, 0, 0, 0], item: 4, max: limits::CAP_WORDS, ..plain };
    channel.check_field::<Caps<'static>>();
}

#[test]
fn messages_whose_count_stands_apart() {
    let heads = Around { before: &[], count: 2, after: &[9, 0], item: 28, behind: 0, max: limits::HEADS };
    heads.check("display heads", |body| display::MonitorsConfig::decode(body).map(|(_, trailing)| trailing));
    let plain = Around { count: 4, after: &[1, 0, 0, 0], item: 20, max: limits::AGENT_MONITORS, ..heads };
    plain.check("agent monitors", |body| AgentMonitors::decode(body).map(|(_, trailing)| trailing));
    let sized = Around { after: &[3, 0, 0, 0], item: 24, ..plain };
    sized.check("agent monitors with sizes", |body| AgentMonitors::decode(body).map(|(_, trailing)| trailing));
}

#[test]
fn sub_messages() {
    // Every offset leads to the one sub-message behind the offsets.
    let list = |count: u16, offsets: usize| {
        let mut body = count.to_le_bytes().to_vec();
        let target = 2 + 4 * offsets as u32;
        (0..offsets).for_each(|_| body.extend_from_slice(&target.to_le_bytes()));
        body.extend_from_slice(&[5, 0, 1, 0, 0, 0, 0]);
        SubMessages::at(&body, 0).map(|list| list.iter().count()).map_err(|e| e.kind)
    };
    let max = limits::SUB_MESSAGES;
    let too_many = |count| Err(DecodeErrorKind::TooMany { count, max: max as u32 });
    assert_eq!(list(max as u16, max), Ok(max));
    assert_eq!(list(max as u16 + 1, max + 1), too_many(max as u32 + 1));
    assert_eq!(list(u16::MAX, 0), too_many(u32::from(u16::MAX)));
}

#[test]
fn planes_of_a_scanout() {
    use super::gl::{GlScanout2Unix, PerPlane};
    let none = GlScanout2Unix::decode_exact(&[0; 60]).unwrap();
    let scanout = |num_planes, num_dma_bufs| {
        let (offset, stride) = (PerPlane([1, 2, 3, 4]), PerPlane([5, 6, 7, 8]));
        let scanout = GlScanout2Unix { offset, stride, num_planes, num_dma_bufs, ..none };
        scanout.planes().map(Iterator::last).map_err(|e| (e.at, e.kind))
    };
    let max = limits::PLANES as u16;
    assert_eq!((scanout(0, 0), scanout(2, 1), scanout(max, max)), (Ok(None), Ok(Some((2, 6))), Ok(Some((4, 8)))));
    for past in [max + 1, u16::MAX] {
        let too_many = DecodeErrorKind::TooMany { count: past.into(), max: max.into() };
        assert_eq!(scanout(past, 0), Err(("GlScanout2Unix.num_planes", too_many)));
        assert_eq!(scanout(0, past), Err(("GlScanout2Unix.num_dma_bufs", too_many)));
    }
}

#[test]
fn what_is_sent_keeps_the_limits_too() {
    fn count_of<'a>(field: &impl Field<'a>) -> Result<(), EncodeError> {
        let mut out = vec![0; field.inline_size() + 64];
        field.write(&mut Writer::new(&mut out))
    }
    fn both<'a, A: Field<'a>, B: Field<'a>>(fits: &A, past: &B, count: usize) {
        assert_eq!(count_of(fits), Ok(()));
        assert_eq!(count_of(past), Err(EncodeError::Count { count }));
    }
    both(&Counted::<u8, u8, 3>::new(&[0; 3]), &Counted::<u8, u8, 3>::new(&[0; 4]), 4);
    both(&Counted::<u8, u8, 999>::new(&[0; 255]), &Counted::<u8, u8, 999>::new(&[0; 256]), 256);
    both(&RestOf::<'_, u8, 3>(&[0; 3]), &RestOf::<'_, u8, 3>(&[0; 4]), 4);
    let segment = Segment { flags: super::shape::PathFlags::BEGIN, points: Counted::new(&[]) };
    let (three, four) = ([segment; 3], [segment; 4]);
    both(&Repeat::<u8, _, 3>::new(Items::Here(&three)), &Repeat::<u8, _, 3>::new(Items::Here(&four)), 4);
    both(
        &LineAttr { flags: Default::default(), style: Some(&[Default::default(); 255]) },
        &LineAttr { flags: Default::default(), style: Some(&[Default::default(); 256]) },
        256,
    );

    let heads = [Head::new(0, 0, 1, 1, 0, 0, 0); limits::HEADS + 1];
    let config = |n: usize| display::MonitorsConfig { max_allowed: 0, heads: &heads[..n] };
    both(&config(limits::HEADS), &config(limits::HEADS + 1), limits::HEADS + 1);

    let monitors = [Monitor::new(1, 1, 32, 0, 0); limits::AGENT_MONITORS + 1];
    let config = |n: usize| AgentMonitors { flags: MonitorsFlags::USE_POS, monitors: &monitors[..n], sizes: None };
    both(&config(limits::AGENT_MONITORS), &config(limits::AGENT_MONITORS + 1), limits::AGENT_MONITORS + 1);
    let uneven = AgentMonitors { sizes: Some(&[MonitorSize::new(1, 1)]), ..config(2) };
    assert_eq!(count_of(&uneven), Err(EncodeError::Count { count: 1 }));

    let words = vec![zerocopy::little_endian::U32::new(1); limits::CAP_WORDS + 1];
    let caps = |n: usize| Caps { common: super::caps::CapWords(&words[..n]), channel: Default::default() };
    both(&caps(limits::CAP_WORDS), &caps(limits::CAP_WORDS + 1), limits::CAP_WORDS + 1);

    let messages = [SubMessage::new(1, &[]); limits::SUB_MESSAGES + 1];
    both(&SubMessages::new(&messages[1..]), &SubMessages::new(&messages), limits::SUB_MESSAGES + 1);
}

#[test]
#[cfg_attr(miri, ignore = "writes thousands of glyphs one by one")]
fn text_that_is_sent_keeps_the_limit_too() {
    let point = super::shape::Point::new(0, 0);
    let glyph = Glyph::<1> { render_pos: point, glyph_origin: point, width: 0, height: 0, data: &[] };
    let glyphs = vec![glyph; limits::GLYPHS + 1];
    let mut out = vec![0; 20 * limits::GLYPHS + 64];
    let mut write = |n: usize| {
        let text = Text { flags: StringFlags::empty(), glyphs: Glyphs::A1(Items::Here(&glyphs[..n])) };
        text.write(&mut Writer::new(&mut out))
    };
    assert_eq!(write(limits::GLYPHS), Ok(()));
    assert_eq!(write(limits::GLYPHS + 1), Err(EncodeError::Count { count: limits::GLYPHS + 1 }));
}

#[test]
fn sizes_that_multiply_do_not_overflow() {
    // A bitmap of 2³²−1 rows of 2³²−1 bytes, and a glyph of 65535² pixels.
    let mut bitmap = [0xff; 32];
    bitmap[..2].copy_from_slice(&[8, 0]);
    let error = super::picture::Bitmap::read(&mut Reader::new(&bitmap)).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::Short { .. } | DecodeErrorKind::Offset { .. }), "{error}");
    let glyph = Glyph::<8>::read(&mut Reader::new(&[0xff; 24])).unwrap_err();
    assert_eq!(glyph.kind, DecodeErrorKind::Short { needed: 65535 * 65535, got: 4 });
}

#[test]
fn numbers_past_every_message_are_unknown() {
    for id in [0, 17, u16::MAX] {
        let error = AgentMessage::decode(id, &[]).unwrap_err();
        assert_eq!((error.at, error.kind), ("agent", DecodeErrorKind::UnknownMessage { id }));
    }
}
