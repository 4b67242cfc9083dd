//! GLZ data to pictures. The data is not trusted.

use super::header::{GlzPicture, HEADER};
use crate::image::lz::decode::repeat;
use crate::image::lz::token::{MAX_LITERALS, TokenReader};
use crate::image::lz::unit::{Alpha, Rgb, Rgb16, Unit};
use crate::image::{ImageError, PixelFormat};

/// The images that GLZ data may refer to, kept by the decoder in memory lent for good.
pub struct GlzWindow<'m> {
    /// Packed pixels of the images, one after the other in a circle.
    ring: &'m mut [u8],
    /// The images in the window, oldest at `first`, in a circle.
    images: &'m mut [GlzKept],
    first: usize,
    count: usize,
    /// Where the next image goes in the ring.
    end: usize,
    /// Bytes of the ring in use.
    used: usize,
    next_id: u64,
}

/// The place of one image in a [`GlzWindow`]; lend some of [`GlzKept::EMPTY`].
#[derive(Clone, Copy, Debug)]
pub struct GlzKept {
    start: usize,
    len: usize,
    format: PixelFormat,
}

impl GlzKept {
    /// No image.
    pub const EMPTY: Self = Self { start: 0, len: 0, format: PixelFormat::Rgb32 };
}

impl<'m> GlzWindow<'m> {
    /// An empty window. A ring of four times the pixels announced as `glz_dictionary_window_size`
    /// in the display channel's INIT holds every image in use, in bytes; `images` bounds their
    /// number. `next_id` is the number of the first image, 0 but after a migration.
    pub fn new(ring: &'m mut [u8], images: &'m mut [GlzKept], next_id: u64) -> Self {
        Self { ring, images, first: 0, count: 0, end: 0, used: 0, next_id }
    }

    /// The number of the image that must be decoded next.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Decodes GLZ data into packed rows at the front of `out`, and keeps the picture for others
    /// to refer to. The fourth byte of RGB32 pixels becomes 0.
    ///
    /// Images are decoded in the order of their numbers over all channels: any other is refused
    /// with [`ImageError::Order`], to be tried again in its turn.
    pub fn decode(&mut self, data: &[u8], out: &mut [u8]) -> Result<GlzPicture, ImageError> {
        let picture = GlzPicture::parse(data)?;
        if picture.id != self.next_id {
            return Err(ImageError::Order { got: picture.id, want: self.next_id });
        }
        let lent = out.len();
        let out = out.get_mut(..picture.len).ok_or(ImageError::Output { needed: picture.len, got: lent })?;
        self.forget_before(picture.window_head);
        let free = self.ring.len() - self.used;
        if self.count == self.images.len() || picture.len > free {
            return Err(ImageError::Scratch { needed: self.used + picture.len, got: self.ring.len() });
        }
        let mut tokens = TokenReader::new(data, HEADER);
        match picture.format {
            PixelFormat::Rgb16 => self.stream::<Rgb16, 2>(&picture, &mut tokens, out)?,
            PixelFormat::Rgb24 => self.stream::<Rgb, 3>(&picture, &mut tokens, out)?,
            PixelFormat::Rgba => {
                self.stream::<Rgb, 4>(&picture, &mut tokens, out)?;
                self.stream::<Alpha, 4>(&picture, &mut tokens, out)?;
            }
            _ => self.stream::<Rgb, 4>(&picture, &mut tokens, out)?,
        }
        tokens.finish()?;
        self.keep(&picture, out);
        Ok(picture)
    }

    /// One token stream into pixels of `SIZE` bytes each.
    fn stream<U: Unit, const SIZE: usize>(
        &self,
        picture: &GlzPicture,
        tokens: &mut TokenReader<'_>,
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        let (pixels, _) = out.as_chunks_mut::<SIZE>();
        let mut done = 0;
        while done < pixels.len() {
            let room = pixels.len() - done;
            let control = tokens.byte()?;
            if control < MAX_LITERALS {
                let length = control + 1;
                if length > room {
                    let at = tokens.at();
                    return Err(ImageError::Length { at, length, room });
                }
                let bytes = tokens.bytes(length * U::BYTES)?.chunks_exact(U::BYTES);
                for (pixel, bytes) in pixels[done..done + length].iter_mut().zip(bytes) {
                    U::read(bytes, pixel);
                }
                done += length;
                continue;
            }
            let len = tokens.match_length::<U>(control, room)?;
            let (image, reach) = reference(tokens, control)?;
            if image == 0 {
                let distance = reach + 1;
                if distance > done {
                    return Err(ImageError::Distance { at: tokens.at(), distance, produced: done });
                }
                repeat_unit::<U, SIZE>(pixels, done, distance, len);
            } else {
                let kept = self.kept(picture, image, tokens.at())?;
                let pixels = &mut pixels[done..done + len];
                self.copy::<U, SIZE>(&kept, reach, pixels, tokens.at())?;
            }
            done += len;
        }
        Ok(())
    }

    /// The image `back` before `picture`, which must be of its format.
    fn kept(&self, picture: &GlzPicture, back: usize, at: usize) -> Result<GlzKept, ImageError> {
        let missing = ImageError::Reference { at, back: back as u64, kept: self.count as u64 };
        let n = self.count.checked_sub(back).ok_or(missing)?;
        let kept = self.images[(self.first + n) % self.images.len()];
        if kept.format != picture.format {
            return Err(missing);
        }
        Ok(kept)
    }

    /// Copies pixels from `offset` pixels into a kept image.
    fn copy<U: Unit, const SIZE: usize>(
        &self,
        kept: &GlzKept,
        offset: usize,
        pixels: &mut [[u8; SIZE]],
        at: usize,
    ) -> Result<(), ImageError> {
        let room = (kept.len / SIZE).saturating_sub(offset);
        if pixels.len() > room {
            return Err(ImageError::Length { at, length: pixels.len(), room });
        }
        let from = (kept.start + offset * SIZE) % self.ring.len();
        let (front, back) = self.ring.split_at(from);
        let source = back.iter().chain(front);
        if U::BYTES == 1 {
            let alphas = source.skip(SIZE - 1).step_by(SIZE);
            for (pixel, &alpha) in pixels.iter_mut().zip(alphas) {
                pixel[SIZE - 1] = alpha;
            }
            return Ok(());
        }
        let bytes = pixels.as_flattened_mut();
        let (first, second) = bytes.split_at_mut(bytes.len().min(back.len()));
        first.copy_from_slice(&back[..first.len()]);
        second.copy_from_slice(&front[..second.len()]);
        Ok(())
    }

    fn keep(&mut self, picture: &GlzPicture, pixels: &[u8]) {
        let slot = (self.first + self.count) % self.images.len();
        self.images[slot] = GlzKept { start: self.end, len: picture.len, format: picture.format };
        self.count += 1;
        self.used += picture.len;
        let (front, back) = self.ring.split_at_mut(self.end);
        let (first, second) = pixels.split_at(pixels.len().min(back.len()));
        back[..first.len()].copy_from_slice(first);
        front[..second.len()].copy_from_slice(second);
        self.end = (self.end + pixels.len()) % self.ring.len();
        self.next_id += 1;
    }

    /// Forgets all but the last `head` images.
    fn forget_before(&mut self, head: u32) {
        while self.count > head as usize {
            self.used -= self.images[self.first].len;
            self.first = (self.first + 1) % self.images.len();
            self.count -= 1;
        }
    }
}

/// The image number and the distance or offset after the length of a match.
#[inline(always)]
fn reference(tokens: &mut TokenReader<'_>, control: usize) -> Result<(usize, usize), ImageError> {
    let mut reach = (control & 0x0f) | (tokens.byte()? << 4);
    let flags = tokens.byte()?;
    let more = flags >> 6;
    let long = control & 0x10 != 0;
    let (mut image, shift) = if long {
        reach |= (flags & 0x1f) << 12;
        (0, 0)
    } else {
        (flags & 0x3f, 6)
    };
    for n in 0..more {
        image |= tokens.byte()? << (shift + 8 * n);
    }
    if long && flags & 0x20 != 0 {
        reach |= tokens.byte()? << 17;
    }
    Ok((image, reach))
}

/// Copies units inside the picture; `SIZE` bytes each, of which alpha is the last.
#[inline(always)]
fn repeat_unit<U: Unit, const SIZE: usize>(pixels: &mut [[u8; SIZE]], at: usize, distance: usize, len: usize) {
    if U::BYTES > 1 {
        return repeat(pixels, at, distance, len);
    }
    for i in at..at + len {
        pixels[i][SIZE - 1] = pixels[i - distance][SIZE - 1];
    }
}
