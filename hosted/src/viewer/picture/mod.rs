//! What one viewer is sent of the picture: scrolls, fills and images.

mod encode;
mod message;

use sumac_backends::Frame;
use sumac_core::channel::Refused;
use sumac_core::channel::display::DisplayServer;
use sumac_core::proto::display::ServerMessage;

use bytes::Bytes;

pub(super) use encode::Compression;
use encode::PictureEncoder;
pub(super) use message::wire_rect;

use crate::connection::{Close, Line};
use crate::plan::{Pending, find_fills};

/// Draws for one viewer.
#[derive(Default)]
pub(super) struct Painter {
    encoder: Option<(Compression, PictureEncoder)>,
    images: u64,
}

impl Painter {
    /// Sends what is due of the newest picture, and leaves in `due` what the client's
    /// acknowledgement window holds back.
    pub(super) fn draw(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        due: &mut Pending,
        compression: Compression,
    ) -> Result<(), Close> {
        while let Some(scroll) = due.scrolls.first() {
            if !say(line, &message::copy_bits(*scroll), &[])? {
                return Ok(());
            }
            due.scrolls.remove(0);
        }
        for fill in find_fills(frame, &due.pixels) {
            if !say(line, &message::draw_fill(fill), &[])? {
                return Ok(());
            }
            due.pixels.subtract(fill.rect);
        }
        self.draw_images(line, frame, due, compression)
    }

    fn draw_images(
        &mut self,
        line: &mut Line<DisplayServer>,
        frame: &Frame,
        due: &mut Pending,
        compression: Compression,
    ) -> Result<(), Close> {
        if self.encoder.as_ref().is_none_or(|(kind, _)| *kind != compression) {
            self.encoder = Some((compression, PictureEncoder::new(compression)));
        }
        let Some((_, encoder)) = &mut self.encoder else { return Ok(()) };
        for rect in due.pixels.rects().to_vec() {
            if !line.machine.common().may_send() {
                return Ok(());
            }
            if let Some(encoded) = encoder.encode(frame, rect) {
                self.images += 1;
                let message = message::draw_copy(encoded.image(self.images, rect), rect);
                if !say(line, &message, &[encoded.payload])? {
                    return Ok(());
                }
            }
            due.pixels.subtract(rect);
        }
        Ok(())
    }
}

/// Says something; `false` when the client has to acknowledge what it got before.
fn say(line: &mut Line<DisplayServer>, message: &ServerMessage<'_>, payload: &[Bytes]) -> Result<bool, Close> {
    match line.send(message, payload) {
        Ok(()) => Ok(true),
        Err(Refused::Hold) => Ok(false),
        Err(refused) => Err(Close::Refused(refused)),
    }
}
