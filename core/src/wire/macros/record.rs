//! Fixed-size records, and the native integers they are made of.

/// A native integer to its wire form and back, where a trait's method could not be `const`.
macro_rules! native {
    (to u8, $n:expr) => {
        $n
    };
    (to u16, $n:expr) => {
        zerocopy::little_endian::U16::new($n)
    };
    (to u32, $n:expr) => {
        zerocopy::little_endian::U32::new($n)
    };
    (to u64, $n:expr) => {
        zerocopy::little_endian::U64::new($n)
    };
    (to i16, $n:expr) => {
        zerocopy::little_endian::I16::new($n)
    };
    (to i32, $n:expr) => {
        zerocopy::little_endian::I32::new($n)
    };
    (to i64, $n:expr) => {
        zerocopy::little_endian::I64::new($n)
    };
    (of u8, $w:expr) => {
        $w
    };
    (of $t:ident, $w:expr) => {
        $w.get()
    };
}

/// A fixed-size record that is looked at where it lies: native integers in, native integers out.
macro_rules! record {
    ($(#[$m:meta])* pub struct $name:ident { $($(#[$fm:meta])* $f:ident : $t:ident),* $(,)? }) => {
        $(#[$m])*
        ///
        #[doc = concat!("Wire form: " $(, "`", stringify!($f), ": ", stringify!($t), "` ")*)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout, zerocopy::Unaligned)]
        #[repr(C)]
        pub struct $name { $($f: <$t as $crate::wire::Native>::Wire),* }

        impl $name {
            /// Its fields, in wire order.
            pub const FIELDS: &'static [$crate::wire::FieldForm] =
                &[$($crate::wire::FieldForm::of::<$t>(stringify!($f))),*];

            /// From its fields, in wire order.
            #[must_use]
            #[allow(clippy::too_many_arguments)]
            pub const fn new($($f: $t),*) -> Self {
                Self { $($f: native!(to $t, $f)),* }
            }
            $(
                $(#[$fm])*
                #[must_use]
                #[inline]
                pub const fn $f(&self) -> $t { native!(of $t, self.$f) }
            )*
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($f), &self.$f()))*.finish()
            }
        }

        /// As a structure of native integers.
        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                #[derive(defmt::Format)]
                struct $name { $($f: $t),* }
                defmt::Format::format(&$name { $($f: self.$f()),* }, f);
            }
        }

        impl $crate::wire::Record for $name {
            const RECORD: &'static str = stringify!($name);
        }

        impl $crate::wire::Field<'_> for $name {
            const WIRE: &'static str = stringify!($name);
            const MIN: usize = size_of::<$name>();
            const FIXED: bool = true;
            #[inline]
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                let bytes: [u8; size_of::<$name>()] = r.array()?;
                Ok(zerocopy::transmute!(bytes))
            }
            #[inline]
            fn write(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                w.put(zerocopy::IntoBytes::as_bytes(self))
            }
        }

        impl $crate::wire::Sample for $name {
            fn sample(s: &mut $crate::wire::Sampler) -> Self {
                Self::new($(<$t as $crate::wire::Sample>::sample(s)),*)
            }
        }
    };
}
