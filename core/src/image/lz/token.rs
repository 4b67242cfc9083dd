//! Tokens, as far as LZ and GLZ agree: literal runs and the coding of lengths.

use super::unit::Unit;
use crate::image::ImageError;

/// Longest literal run; control bytes below it mean literals.
pub(in crate::image) const MAX_LITERALS: usize = 32;
/// Coded lengths from this one on continue in further bytes.
const LONG: usize = 7;

/// Writes tokens to lent memory; `None` means that it is full.
pub(in crate::image) struct TokenWriter<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> TokenWriter<'a> {
    pub(in crate::image) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Bytes written.
    pub(in crate::image) fn len(&self) -> usize {
        self.at
    }

    pub(in crate::image) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    #[inline(always)]
    pub(in crate::image) fn literals<U: Unit>(&mut self, units: &[u32]) -> Option<()> {
        for run in units.chunks(MAX_LITERALS) {
            let room = self.out.get_mut(self.at..)?;
            let (control, room) = room.get_mut(..1 + run.len() * U::BYTES)?.split_first_mut()?;
            *control = run.len() as u8 - 1;
            for (&unit, out) in run.iter().zip(room.chunks_exact_mut(U::BYTES)) {
                U::write(unit, out);
            }
            self.at += 1 + run.len() * U::BYTES;
        }
        Some(())
    }

    /// The control byte of a match, with `low` as its low five bits, and the rest of its length.
    #[inline(always)]
    pub(in crate::image) fn match_length<U: Unit>(&mut self, len: usize, low: u8) -> Option<()> {
        let coded = len - U::BIAS;
        if coded < LONG {
            return self.bytes(&[((coded as u8) << 5) | low]);
        }
        self.bytes(&[((LONG as u8) << 5) | low])?;
        let rest = coded - LONG;
        let full = rest / 255;
        let room = self.out.get_mut(self.at..)?.get_mut(..full)?;
        room.fill(255);
        self.at += full;
        self.bytes(&[(rest % 255) as u8])
    }
}

/// Reads tokens.
pub(in crate::image) struct TokenReader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> TokenReader<'a> {
    /// Reads `data` from byte `at` on.
    pub(in crate::image) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    /// Where reading has come to.
    pub(in crate::image) fn at(&self) -> usize {
        self.at
    }

    #[inline(always)]
    pub(in crate::image) fn byte(&mut self) -> Result<usize, ImageError> {
        let &byte = self.data.get(self.at).ok_or(self.truncated())?;
        self.at += 1;
        Ok(usize::from(byte))
    }

    #[inline(always)]
    pub(in crate::image) fn bytes(&mut self, len: usize) -> Result<&'a [u8], ImageError> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..len).ok_or(self.truncated())?;
        self.at += len;
        Ok(bytes)
    }

    /// The length of the match whose control byte was `control`, no more than `room`.
    #[inline(always)]
    pub(in crate::image) fn match_length<U: Unit>(&mut self, control: usize, room: usize) -> Result<usize, ImageError> {
        let mut len = (control >> 5) + U::BIAS;
        if control >> 5 == LONG {
            loop {
                let more = self.byte()?;
                len += more;
                if more < 255 || len > room {
                    break;
                }
            }
        }
        if len > room {
            return Err(ImageError::Length { at: self.at, length: len, room });
        }
        Ok(len)
    }

    /// Nothing may follow the last token.
    pub(in crate::image) fn finish(self) -> Result<(), ImageError> {
        match self.data.len() - self.at {
            0 => Ok(()),
            left => Err(ImageError::Trailing { at: self.at, left }),
        }
    }

    fn truncated(&self) -> ImageError {
        ImageError::Truncated { at: self.data.len() }
    }
}
