//! LZ data to pictures. The data is not trusted.

use super::FAR;
use super::header::{HEADER, LzPicture};
use super::token::{MAX_LITERALS, TokenReader};
use super::unit::{Alpha, Byte, Rgb, Rgb16, Unit};
use crate::image::{ImageError, PixelFormat};

/// Decodes LZ data into packed rows at the front of `out`. The fourth byte of RGB32 pixels becomes
/// 0. Data of alpha alone is refused: see [`decode_alpha`].
pub fn decode(data: &[u8], out: &mut [u8]) -> Result<LzPicture, ImageError> {
    let picture = LzPicture::parse(data)?;
    if picture.alpha_only {
        return Err(ImageError::Format { got: super::header::XXXA });
    }
    let out = output(&picture, out)?;
    let mut tokens = TokenReader::new(data, HEADER);
    match picture.format {
        PixelFormat::Rgb16 => stream::<Rgb16, 2>(&mut tokens, out)?,
        PixelFormat::Rgb24 => stream::<Rgb, 3>(&mut tokens, out)?,
        PixelFormat::Rgb32 => stream::<Rgb, 4>(&mut tokens, out)?,
        PixelFormat::Rgba => {
            stream::<Rgb, 4>(&mut tokens, out)?;
            alpha(&mut tokens, out)?;
        }
        _ => stream::<Byte, 1>(&mut tokens, out)?,
    }
    tokens.finish()?;
    Ok(picture)
}

/// Decodes LZ data of alpha alone (type XXXA) into the fourth bytes of the RGBA pixels in `out`,
/// which keep their colours.
pub fn decode_alpha(data: &[u8], out: &mut [u8]) -> Result<LzPicture, ImageError> {
    let picture = LzPicture::parse(data)?;
    if !picture.alpha_only {
        return Err(ImageError::Format { got: super::header::type_of(picture.format) });
    }
    let out = output(&picture, out)?;
    let mut tokens = TokenReader::new(data, HEADER);
    alpha(&mut tokens, out)?;
    tokens.finish()?;
    Ok(picture)
}

fn output<'o>(picture: &LzPicture, out: &'o mut [u8]) -> Result<&'o mut [u8], ImageError> {
    let got = out.len();
    out.get_mut(..picture.len).ok_or(ImageError::Output { needed: picture.len, got })
}

/// A stream of units that lie side by side, `SIZE` bytes each.
fn stream<U: Unit, const SIZE: usize>(tokens: &mut TokenReader<'_>, out: &mut [u8]) -> Result<(), ImageError> {
    let (units, _) = out.as_chunks_mut::<SIZE>();
    let mut done = 0;
    while done < units.len() {
        let room = units.len() - done;
        match next::<U>(tokens, done, room)? {
            Token::Literals(len, bytes) => {
                let run = &mut units[done..done + len];
                for (unit, bytes) in run.iter_mut().zip(bytes.chunks_exact(U::BYTES)) {
                    U::read(bytes, unit);
                }
                done += len;
            }
            Token::Match(distance, len) => {
                repeat(units, done, distance, len);
                done += len;
            }
        }
    }
    Ok(())
}

/// A stream of the fourth bytes of four.
fn alpha(tokens: &mut TokenReader<'_>, out: &mut [u8]) -> Result<(), ImageError> {
    let (pixels, _) = out.as_chunks_mut::<4>();
    let mut done = 0;
    while done < pixels.len() {
        let room = pixels.len() - done;
        match next::<Alpha>(tokens, done, room)? {
            Token::Literals(len, bytes) => {
                for (pixel, &byte) in pixels[done..done + len].iter_mut().zip(bytes) {
                    pixel[3] = byte;
                }
                done += len;
            }
            Token::Match(distance, len) => {
                for i in done..done + len {
                    pixels[i][3] = pixels[i - distance][3];
                }
                done += len;
            }
        }
    }
    Ok(())
}

enum Token<'a> {
    /// This many units, and their bytes.
    Literals(usize, &'a [u8]),
    /// Distance and length, both checked against what there is.
    Match(usize, usize),
}

#[inline(always)]
fn next<'a, U: Unit>(tokens: &mut TokenReader<'a>, done: usize, room: usize) -> Result<Token<'a>, ImageError> {
    let control = tokens.byte()?;
    if control < MAX_LITERALS {
        let length = control + 1;
        if length > room {
            let at = tokens.at();
            return Err(ImageError::Length { at, length, room });
        }
        return Ok(Token::Literals(length, tokens.bytes(length * U::BYTES)?));
    }
    let len = tokens.match_length::<U>(control, room)?;
    let low = tokens.byte()?;
    let high = control & 31;
    let mut distance = (high << 8) + low + 1;
    if (high, low) == (31, 255) {
        distance = FAR + (tokens.byte()? << 8) + tokens.byte()?;
    }
    if distance > done {
        return Err(ImageError::Distance { at: tokens.at(), distance, produced: done });
    }
    Ok(Token::Match(distance, len))
}

/// Copies `len` units from `distance` before `at` to `at`; they may overlap.
#[inline(always)]
pub(in crate::image) fn repeat<T: Copy>(units: &mut [T], at: usize, distance: usize, len: usize) {
    let from = at - distance;
    if distance == 1 {
        let unit = units[from];
        units[at..at + len].fill(unit);
        return;
    }
    // What has been copied repeats the pattern, so each turn can copy twice as much.
    let mut done = 0;
    while done < len {
        let now = (distance + done).min(len - done);
        units.copy_within(from..from + now, at + done);
        done += now;
    }
}
