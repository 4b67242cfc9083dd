//! Payloads: bytes that core never looks into.

use super::{DecodeError, EncodeError, Field, Reader, Writer};

/// Payload bytes: borrowed where they lie, or promised.
///
/// What is received is always `Here`. What is sent may be `Promised`: core writes the length, the
/// host sends the bytes behind the head that core wrote, from wherever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// The bytes.
    Here(&'a [u8]),
    /// This many bytes, sent by the host right behind the message's head.
    Promised(usize),
}

impl<'a> Data<'a> {
    /// Number of bytes.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::Promised(n) => *n,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are here.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Promised(_) => &[],
        }
    }

    /// Writes or promises them.
    ///
    /// # Errors
    /// When there is no room, or something was promised before.
    #[inline]
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Here(bytes) => w.put(bytes),
            Self::Promised(n) => w.promise(*n),
        }
    }
}

macro_rules! sized {
    ($($name:ident $size:ident $n:literal;)*) => {$(
        #[doc = concat!("`", stringify!($size), "` size, then that many payload bytes.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub Data<'a>);

        impl<'a> Field<'a> for $name<'a> {
            const WIRE: &'static str = concat!(stringify!($size), " size, bytes");
            const MIN: usize = $n;

            #[inline]
            fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
                let size = usize::try_from($size::read(r)?).unwrap_or(usize::MAX);
                Ok(Self(Data::Here(r.take(size)?)))
            }

            #[inline]
            fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
                let count = self.0.len();
                $size::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
                self.0.write(w)
            }

            #[inline]
            fn inline_size(&self) -> usize {
                Self::MIN.saturating_add(self.0.len())
            }
        }
    )*};
}
sized! { Sized32 u32 4; Sized64 u64 8; }

/// Payload bytes to the end of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest<'a>(pub Data<'a>);

impl<'a> Field<'a> for Rest<'a> {
    const WIRE: &'static str = "bytes to the end";
    const MIN: usize = 0;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(Data::Here(r.rest())))
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.write(w)
    }

    #[inline]
    fn inline_size(&self) -> usize {
        self.0.len()
    }
}
