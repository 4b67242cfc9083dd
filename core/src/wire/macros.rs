//! Declarations: a structure's fields, an open enum, flags, a message, a channel.

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

/// A structure of fields: the part that `message!` shares with structures inside messages.
macro_rules! fields {
    ($(#[$m:meta])* pub struct $name:ident { $($(#[$fm:meta])* $f:ident : $t:ty),* $(,)? }) => {
        fields!(@struct [$(#[$m])*] $name [] { $($(#[$fm])* $f: $t),* });
        fields!(@field [impl<'a>] ['a] [$name] $name { $($f: $t),* });
        impl $crate::wire::Sample for $name {
            fn sample(_s: &mut $crate::wire::Sampler) -> Self {
                Self { $($f: $crate::wire::Sample::sample(_s)),* }
            }
        }
    };
    ($(#[$m:meta])* pub struct $name:ident<$lt:lifetime> { $($(#[$fm:meta])* $f:ident : $t:ty),* $(,)? }) => {
        fields!(@struct [$(#[$m])*] $name [<$lt>] { $($(#[$fm])* $f: $t),* });
        fields!(@field [impl<$lt>] [$lt] [$name<$lt>] $name { $($f: $t),* });
        impl $crate::wire::Sample for $name<'static> {
            fn sample(_s: &mut $crate::wire::Sampler) -> Self {
                Self { $($f: $crate::wire::Sample::sample(_s)),* }
            }
        }
    };
    (@struct [$(#[$m:meta])*] $name:ident [$($g:tt)*] { $($(#[$fm:meta])* $f:ident : $t:ty),* }) => {
        $(#[$m])*
        ///
        #[doc = concat!("Wire form: " $(, "`", stringify!($f), ": ", stringify!($t), "` ")*)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $($g)* { $($(#[$fm])* pub $f: $t),* }
    };
    (@field [$($imp:tt)*] [$lt:lifetime] [$($ty:tt)*] $name:ident { $($f:ident : $t:ty),* }) => {
        $($imp)* $($ty)* {
            /// Its fields, in wire order.
            pub const FIELDS: &'static [$crate::wire::FieldForm] =
                &[$($crate::wire::FieldForm::of::<$t>(stringify!($f))),*];
        }
        $($imp)* $crate::wire::Field<$lt> for $($ty)* {
            const WIRE: &'static str = stringify!($name);
            const MIN: usize = 0usize $(.saturating_add(<$t as $crate::wire::Field<$lt>>::MIN))*;
            #[inline]
            fn read(_r: &mut $crate::wire::Reader<$lt>) -> Result<Self, $crate::wire::DecodeError> {
                $(let $f = <$t as $crate::wire::Field<$lt>>::read(_r)
                    .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($f))))?;)*
                Ok(Self { $($f),* })
            }
            #[inline]
            fn write(&self, _w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                $($crate::wire::Field::write(&self.$f, _w)?;)*
                Ok(())
            }
            #[inline]
            fn inline_size(&self) -> usize {
                0usize $(.saturating_add($crate::wire::Field::inline_size(&self.$f)))*
            }
            #[inline]
            fn write_targets(&self, _w: &mut $crate::wire::Writer<'_>, _at: usize) -> Result<(), $crate::wire::EncodeError> {
                $(
                    $crate::wire::Field::write_targets(&self.$f, _w, _at)?;
                    let _at = _at.saturating_add($crate::wire::Field::inline_size(&self.$f));
                )*
                Ok(())
            }
            #[inline]
            fn targets_size(&self) -> usize {
                0usize $(.saturating_add($crate::wire::Field::targets_size(&self.$f)))*
            }
        }
    };
}

/// A number that says which structure follows; a number without a variant is an error.
///
/// The body can be read and written apart from the number, for structures that carry the number
/// further ahead.
macro_rules! tagged {
    ($(#[$m:meta])* pub enum $name:ident<$lt:lifetime> : $tag:ident {
        $($(#[$vm:meta])* $n:literal $v:ident $(($p:ident : $t:ty))?),* $(,)?
    }) => {
        $(#[$m])*
        ///
        #[doc = concat!("Wire form: `", stringify!($tag), "`, then" $(, " ", $n, " `", stringify!($v) $(, ": ", stringify!($t))?, "`")*)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name<$lt> { $($(#[$vm])* $v $(($t))?),* }

        impl<$lt> $name<$lt> {
            /// The number, then what each number has.
            pub const FIELDS: &'static [$crate::wire::FieldForm] = &[
                $crate::wire::FieldForm::of::<$tag>("number"),
                $(tagged!(@form $n $v $($t)?)),*
            ];

            /// The number on the wire.
            #[must_use]
            pub const fn tag(&self) -> $tag {
                match self { $(tagged!(@pattern $v $($p)?) => $n,)* }
            }
            fn read_body(tag: $tag, r: &mut $crate::wire::Reader<$lt>) -> Result<Self, $crate::wire::DecodeError> {
                match tag {
                    $($n => Ok(Self::$v $((<$t as $crate::wire::Field<$lt>>::read(r)
                        .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($p))))?))?),)*
                    _ => Err($crate::wire::DecodeError::new(
                        $crate::wire::DecodeErrorKind::Value { value: u32::from(tag) }).at(stringify!($name))),
                }
            }
            fn write_body(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                let _ = &w;
                match self { $(Self::$v $(($p))? => { $($crate::wire::Field::write($p, w)?;)? Ok(()) })* }
            }
            fn body_size(&self) -> usize {
                match self { $(Self::$v $(($p))? => 0 $(+ $crate::wire::Field::inline_size($p))?,)* }
            }
        }

        impl<$lt> $crate::wire::Field<$lt> for $name<$lt> {
            const WIRE: &'static str = stringify!($name);
            const MIN: usize = size_of::<$tag>();
            fn read(r: &mut $crate::wire::Reader<$lt>) -> Result<Self, $crate::wire::DecodeError> {
                let tag = <$tag as $crate::wire::Field<$lt>>::read(r)?;
                Self::read_body(tag, r)
            }
            fn write(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                $crate::wire::Field::write(&self.tag(), w)?;
                self.write_body(w)
            }
            fn inline_size(&self) -> usize {
                Self::MIN.saturating_add(self.body_size())
            }
            fn write_targets(&self, w: &mut $crate::wire::Writer<'_>, at: usize) -> Result<(), $crate::wire::EncodeError> {
                self.write_body_targets(w, at.saturating_add(Self::MIN))
            }
            fn targets_size(&self) -> usize {
                match self { $(Self::$v $(($p))? => 0 $(+ $crate::wire::Field::targets_size($p))?,)* }
            }
        }

        impl $name<'_> {
            fn write_body_targets(&self, w: &mut $crate::wire::Writer<'_>, at: usize) -> Result<(), $crate::wire::EncodeError> {
                let _ = (&w, at);
                match self { $(Self::$v $(($p))? => { $($crate::wire::Field::write_targets($p, w, at)?;)? Ok(()) })* }
            }
        }

        impl $crate::wire::Sample for $name<'static> {
            fn sample(s: &mut $crate::wire::Sampler) -> Self {
                let make = [$((|_s| Self::$v $(({ let $p = $crate::wire::Sample::sample(_s); $p }))?)
                    as fn(&mut $crate::wire::Sampler) -> Self),*];
                make[s.below(make.len())](s)
            }
        }
    };
    (@form $n:literal $v:ident) => {
        $crate::wire::FieldForm::words(concat!($n, " ", stringify!($v)), "nothing", 0)
    };
    (@form $n:literal $v:ident $t:ty) => { $crate::wire::FieldForm::of::<$t>(concat!($n, " ", stringify!($v))) };
    (@pattern $v:ident) => { Self::$v };
    (@pattern $v:ident $p:ident) => { Self::$v(_) };
}

/// A message: a number and a structure of fields.
macro_rules! message {
    ($(#[$m:meta])* $id:literal pub struct $name:ident { $($(#[$fm:meta])* $f:ident : $t:ty),* $(,)? }) => {
        fields! {
            $(#[$m])*
            ///
            #[doc = concat!("Message number ", $id, ".")]
            pub struct $name { $($(#[$fm])* $f: $t),* }
        }
        impl<'a> $crate::wire::Message<'a> for $name {
            const ID: u16 = $id;
            const NAME: &'static str = stringify!($name);
            const FORM: &'static [$crate::wire::FieldForm] = Self::FIELDS;
        }
    };
    ($(#[$m:meta])* $id:literal pub struct $name:ident<$lt:lifetime> { $($(#[$fm:meta])* $f:ident : $t:ty),* $(,)? }) => {
        fields! {
            $(#[$m])*
            ///
            #[doc = concat!("Message number ", $id, ".")]
            pub struct $name<$lt> { $($(#[$fm])* $f: $t),* }
        }
        impl<$lt> $crate::wire::Message<$lt> for $name<$lt> {
            const ID: u16 = $id;
            const NAME: &'static str = stringify!($name);
            const FORM: &'static [$crate::wire::FieldForm] = Self::FIELDS;
        }
    };
}

/// All messages of one channel and direction: the enum, its decoder, its rows of the table.
///
/// `$($lt)?` marks the messages that borrow. With `else Common(T)` every other number is asked of
/// `T`, the messages common to all channels.
macro_rules! channel_messages {
    ($(#[$m:meta])* pub enum $name:ident<'a> [$channel:literal, $sender:ident] {
        $($v:ident $(<$lt:lifetime>)?),* $(,)?
    } $(else Common($common:ty))?) => {
        $(#[$m])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name<'a> {
            $(#[doc = concat!("See [`", stringify!($v), "`].")] $v($v $(<$lt>)?),)*
            $(/// A message that every channel has.
            Common($common),)?
        }

        impl<'a> $name<'a> {
            /// Decodes the body of message `id`; the number counts bytes behind the end.
            ///
            /// # Errors
            /// When the body is not that message, or no message has this number.
            pub fn decode(id: u16, body: &'a [u8]) -> Result<(Self, usize), $crate::wire::DecodeError> {
                use $crate::wire::Message;
                $(if id == <$v as Message<'_>>::ID {
                    return <$v as Message<'_>>::decode(body).map(|(m, trailing)| (Self::$v(m), trailing));
                })*
                $(return <$common>::decode(id, body).map(|(m, trailing)| (Self::Common(m), trailing));)?
                #[allow(unreachable_code)]
                Err($crate::wire::DecodeError::new($crate::wire::DecodeErrorKind::UnknownMessage { id }).at($channel))
            }

            /// The message's number.
            #[must_use]
            pub fn id(&self) -> u16 {
                match self {
                    $(Self::$v(_) => <$v as $crate::wire::Message<'_>>::ID,)*
                    $(Self::Common(m) => <$common>::id(m),)?
                }
            }

            /// The message's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$v(_) => <$v as $crate::wire::Message<'_>>::NAME,)*
                    $(Self::Common(m) => <$common>::name(m),)?
                }
            }

            /// Writes the body.
            ///
            /// # Errors
            /// When there is no room.
            pub fn encode(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                match self {
                    $(Self::$v(m) => $crate::wire::Message::encode(m, w),)*
                    $(Self::Common(m) => <$common>::encode(m, w),)?
                }
            }

            /// Bytes of the body, promised ones included.
            #[must_use]
            pub fn size(&self) -> usize {
                match self {
                    $(Self::$v(m) => $crate::wire::Message::size(m),)*
                    $(Self::Common(m) => <$common>::size(m),)?
                }
            }

            /// One row a message, those common to all channels left out.
            pub const TABLE: &'static [$crate::wire::Row] = &[$($crate::wire::Row {
                channel: $channel,
                sender: $crate::wire::Sender::$sender,
                id: <$v as $crate::wire::Message<'_>>::ID,
                name: <$v as $crate::wire::Message<'_>>::NAME,
                min: <$v as $crate::wire::Field<'_>>::MIN,
                form: <$v as $crate::wire::Message<'_>>::FORM,
                again: |body, out| $crate::wire::again::<$v>(body, out),
                sample: |s, out| {
                    let message = <$v as $crate::wire::Sample>::sample(s);
                    let mut w = $crate::wire::Writer::new(out);
                    $crate::wire::Message::encode(&message, &mut w)?;
                    Ok(w.position())
                },
            }),*];
        }
    };
}
