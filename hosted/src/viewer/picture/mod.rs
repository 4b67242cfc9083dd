//! What one viewer is sent of the picture: scrolls, fills and images.

mod cache;
mod choice;
mod content;
mod encode;
mod encoded;
mod glz;
mod lossy;
mod message;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use sumac_backends::Frame;
use sumac_core::channel::Refused;
use sumac_core::channel::display::DisplayServer;
use sumac_core::proto::caps::DisplayCaps;
use sumac_core::proto::display::{ImageCompression, Init, ServerMessage};
use sumac_core::proto::picture::ImageFlags;
use tokio::time::Instant;

pub(crate) use encode::Encoders;
pub(super) use message::{draw_jpeg, wire_rect};

use crate::config::Config;
use crate::connection::{Close, Line};
use crate::plan::{Pending, Region, find_fills, natural_parts};
use crate::source::Rect;
use cache::PixmapCache;
use choice::{Choice, Kind};
use content::Content;
use encoded::{Body, Encoded, from_cache};
use glz::{Glz, GlzDictionaries};
use lossy::Lossy;

/// Pixels of the largest image: more are sent in bands, so that an image fits a GLZ window and the
/// client draws while the next one is on its way.
const MAX_PIXELS: u32 = 1 << 18;
/// The same on a slow link, where an image on its way is one that others wait for.
const SLOW_PIXELS: u32 = 1 << 15;

/// What the display channels of a session share.
#[derive(Default)]
pub(super) struct Shared {
    dictionaries: GlzDictionaries,
    /// Pixmap caches of the client that a channel uses: they are kept account of by channel, so
    /// none is used by two.
    caches: RefCell<BTreeSet<u8>>,
}

/// Draws for one viewer.
pub(super) struct Painter {
    encoders: Rc<RefCell<Encoders>>,
    choice: Choice,
    glz: Option<Glz>,
    cache: Option<PixmapCache>,
    lossy: Lossy,
    images: u64,
    /// Where drawing goes on: what is above had its turn.
    resume: u32,
}

impl Painter {
    pub(super) fn new(config: &Config, encoders: Rc<RefCell<Encoders>>, local: bool) -> Self {
        Self {
            encoders,
            choice: Choice::new(config, local),
            glz: None,
            cache: None,
            lossy: Lossy::default(),
            images: 0,
            resume: 0,
        }
    }

    /// The client said what it keeps.
    pub(super) fn on_init(&mut self, init: &Init, shared: &Shared) {
        self.glz = shared.dictionaries.get(init.glz_dictionary_id, init.glz_dictionary_window_size);
        self.choice.glz = self.glz.is_some();
        self.cache = shared.caches.borrow_mut().insert(init.pixmap_cache_id).then(PixmapCache::default);
    }

    /// The number of the next image of its dictionary; 0 when it has none.
    pub(super) fn glz_next(&self) -> u64 {
        self.glz.as_ref().map_or(0, Glz::next_id)
    }

    /// The client comes from another server, which would have given this number to the next image.
    pub(super) fn go_on(&self, glz_next: u64) {
        self.glz.iter().for_each(|glz| glz.go_on(glz_next));
    }

    /// The client's own word on compression.
    pub(super) fn prefer(&mut self, wish: ImageCompression) {
        self.choice.prefer(wish);
    }

    /// The surface was made anew.
    pub(super) fn on_new_surface(&mut self) {
        self.lossy.clear();
    }

    /// When [`refine`](Self::refine) has something to send.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lossy.deadline()
    }

    /// Sends without loss what was sent with loss and rested since; `video` is drawn by others.
    pub(super) fn refine(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        video: &[Rect],
    ) -> Result<(), Close> {
        let now = Instant::now();
        let mut rested = self.lossy.take_rested(now);
        video.iter().for_each(|rect| rested.subtract(*rect));
        let lossy = self.choice;
        self.choice = lossy.exact();
        for rect in rested.rects().to_vec() {
            self.draw_images(line, frame, rect, &mut rested, false)?;
        }
        self.choice = lossy;
        self.lossy.put_back(rested, now);
        Ok(())
    }

    /// Sends what is due of the newest picture, and leaves in `due` what there is no room for. With
    /// `whole` only the client's acknowledgement window holds something back.
    pub(super) fn draw(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        due: &mut Pending,
        whole: bool,
    ) -> Result<(), Close> {
        self.choice.lz4 = line.machine.caps().contains(DisplayCaps::LZ4_COMPRESSION);
        self.choice.slow = line.link().is_slow();
        if whole
            && due.scrolls.is_empty()
            && let [rect] = *due.pixels.rects()
        {
            return self.draw_whole(line, frame, rect, &mut due.pixels);
        }
        while let Some(scroll) = due.scrolls.first() {
            if !say(line, &message::copy_bits(*scroll), &[])? {
                return Ok(());
            }
            self.lossy.scrolled(scroll);
            due.scrolls.remove(0);
        }
        for fill in find_fills(frame, &due.pixels) {
            if !say(line, &message::draw_fill(fill), &[])? {
                return Ok(());
            }
            self.lossy.exact(fill.rect);
            due.pixels.subtract(fill.rect);
        }
        for rect in from_row(&due.pixels, self.resume) {
            if !self.draw_images(line, frame, rect, &mut due.pixels, whole)? {
                let left = due.pixels.rects().iter().map(|left| left.y);
                self.resume = left.filter(|y| *y >= rect.y).min().unwrap_or(0);
                return Ok(());
            }
        }
        self.resume = 0;
        Ok(())
    }

    /// Sends `rect` as one image: there are clients that take the first drawing for all of the picture.
    fn draw_whole(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        rect: Rect,
        due: &mut Region,
    ) -> Result<(), Close> {
        if !line.machine.common().may_send() {
            return Ok(());
        }
        let kind = self.choice.first(rect.width, rect.height);
        self.draw_image(line, frame, rect, kind, due).map(drop)
    }

    /// Sends `rect`, its natural parts apart, and takes out of `due` what was sent; answers whether
    /// that was all.
    fn draw_images(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        rect: Rect,
        due: &mut Region,
        whole: bool,
    ) -> Result<bool, Close> {
        let natural = if self.choice.looks() { natural_parts(frame, rect) } else { Vec::new() };
        let mut rest = Region::from(rect);
        natural.iter().for_each(|part| rest.subtract(*part));
        let parts = natural.iter().map(|part| (*part, true)).chain(rest.rects().iter().map(|part| (*part, false)));
        let most = if self.choice.slow { SLOW_PIXELS } else { MAX_PIXELS };
        for (band, natural) in parts.flat_map(|(part, natural)| bands(part, most).map(move |band| (band, natural))) {
            // An image of a dictionary that was encoded must be sent.
            if !line.machine.common().may_send() || !whole && !line.has_room() {
                return Ok(false);
            }
            let kind = self.choice.kind(band.width, band.height, natural);
            if !self.draw_image(line, frame, band, kind, due)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends one image and takes it out of `due`; `false` when the client has to acknowledge something
    /// first.
    fn draw_image(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        rect: Rect,
        kind: Kind,
        due: &mut Region,
    ) -> Result<bool, Close> {
        let content = self.encoders.borrow().content(kind, frame, rect);
        let kept = content.as_ref().zip(self.cache.as_ref()).and_then(|(c, cache)| cache.find(&line.machine, c));
        let said = match kept {
            Some(id) => {
                self.lossy.exact(rect);
                say(line, &message::draw_copy(from_cache(id, rect), rect), &[])?
            }
            None => match self.encode(kind, content, frame, rect) {
                Some(encoded) => self.send_image(line, encoded, content, rect)?,
                None => true,
            },
        };
        if said {
            due.subtract(rect);
        }
        Ok(said)
    }

    /// Sends an encoded image, which the client is to keep if it can be found again by its content.
    fn send_image(
        &mut self,
        line: &mut Line<DisplayServer>,
        encoded: Encoded,
        content: Option<Content>,
        rect: Rect,
    ) -> Result<bool, Close> {
        let is_lossy = encoded.body == Body::Jpeg;
        let keep = content.filter(|_| !is_lossy && PixmapCache::admits(&line.machine, rect.area()));
        let keep = keep.zip(self.cache.as_mut());
        let flags = if keep.is_some() { ImageFlags::CACHE_ME } else { ImageFlags::empty() };
        self.images += 1;
        let message = message::draw_copy(encoded.image(self.images, flags, rect), rect);
        if !say(line, &message, &[encoded.payload])? {
            return Ok(false);
        }
        if let Some((content, cache)) = keep {
            cache.insert(&line.machine, content, self.images);
        }
        match is_lossy {
            true => self.lossy.lossy(rect, Instant::now()),
            false => self.lossy.exact(rect),
        }
        Ok(true)
    }

    fn encode(&self, kind: Kind, content: Option<Content>, frame: &Frame, rect: Rect) -> Option<Encoded> {
        let mut encoders = self.encoders.borrow_mut();
        let encoded = match content {
            Some(content) => encoders.encode_known(kind, content, frame, rect),
            None => encoders.encode(kind, self.glz.as_ref(), frame, rect),
        }?;
        Some(if self.choice.deflates() { encoders.deflate(encoded) } else { encoded })
    }
}

/// The rectangles of a region, those from this row on first.
fn from_row(region: &Region, row: u32) -> Vec<Rect> {
    let (above, below): (Vec<Rect>, Vec<Rect>) = region.rects().iter().partition(|rect| rect.bottom() <= row);
    let (cut, below): (Vec<Rect>, Vec<Rect>) = below.into_iter().partition(|rect| rect.y < row);
    let lower = cut.iter().map(|rect| Rect { y: row, height: rect.bottom() - row, ..*rect });
    let upper = cut.iter().map(|rect| Rect { height: row - rect.y, ..*rect });
    lower.chain(below).chain(above).chain(upper).collect()
}

/// Cuts a rectangle into bands from the top, none with more pixels than `most`, or than a row.
fn bands(rect: Rect, most: u32) -> impl Iterator<Item = Rect> {
    let high = (most / rect.width.max(1)).max(1);
    let tops = (rect.y..rect.bottom()).step_by(high as usize);
    tops.map(move |y| Rect { y, height: high.min(rect.bottom() - y), ..rect })
}

/// Says something; `false` when the client has to acknowledge what it got before.
fn say(line: &mut Line<DisplayServer>, message: &ServerMessage<'_>, payload: &[Bytes]) -> Result<bool, Close> {
    match line.send(message, payload) {
        Ok(()) => Ok(true),
        Err(Refused::Hold) => Ok(false),
        Err(refused) => Err(Close::Refused(refused)),
    }
}

#[cfg(test)]
mod tests;
