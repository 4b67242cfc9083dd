//! Numbers with names: open enums and flags.

/// A number with known names; unknown ones are values too.
macro_rules! open_enum {
    ($(#[$m:meta])* pub struct $name:ident : $t:ident { $($(#[$vm:meta])* $v:ident = $n:literal),* $(,)? }) => {
        $(#[$m])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $t);

        impl $name {
            $($(#[$vm])* pub const $v: Self = Self($n);)*
            /// All numbers with a name.
            pub const KNOWN: &'static [Self] = &[$(Self::$v),*];

            /// The number's name, if it has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($n => Some(stringify!($v)),)* _ => None }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($name), "({})"), self.0),
                }
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                #[derive(defmt::Format)]
                #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
                enum $name { $($v,)* Unknown($t) }
                let known = match self.0 { $($n => $name::$v,)* n => $name::Unknown(n) };
                defmt::Format::format(&known, f);
            }
        }

        impl $crate::wire::Field<'_> for $name {
            const WIRE: &'static str = concat!(stringify!($t), " ", stringify!($name));
            const MIN: usize = size_of::<$t>();
            const FIXED: bool = true;
            #[inline]
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                <$t as $crate::wire::Field<'_>>::read(r).map(Self)
            }
            #[inline]
            fn write(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                $crate::wire::Field::write(&self.0, w)
            }
        }

        impl $crate::wire::Sample for $name {
            fn sample(s: &mut $crate::wire::Sampler) -> Self {
                s.pick(Self::KNOWN).unwrap_or(Self(0))
            }
        }
    };
}

/// A word of flags; unknown bits are kept.
macro_rules! flags {
    ($(#[$($m:tt)*])* pub struct $name:ident : $t:ident { $($(#[$($vm:tt)*])* const $v:ident = $n:expr;)* }) => {
        bitflags::bitflags! {
            $(#[$($m)*])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            pub struct $name: $t {
                $($(#[$($vm)*])* const $v = $n;)*
                const _ = !0;
            }
        }

        /// As the number of its bits.
        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                #[derive(defmt::Format)]
                struct $name($t);
                defmt::Format::format(&$name(self.bits()), f);
            }
        }

        impl $crate::wire::Field<'_> for $name {
            const WIRE: &'static str = concat!(stringify!($t), " flags ", stringify!($name));
            const MIN: usize = size_of::<$t>();
            const FIXED: bool = true;
            #[inline]
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                <$t as $crate::wire::Field<'_>>::read(r).map(Self::from_bits_retain)
            }
            #[inline]
            fn write(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                $crate::wire::Field::write(&self.bits(), w)
            }
        }

        impl $crate::wire::Sample for $name {
            fn sample(s: &mut $crate::wire::Sampler) -> Self {
                Self::from_bits_retain(<$t as $crate::wire::Sample>::sample(s))
            }
        }
    };
}
