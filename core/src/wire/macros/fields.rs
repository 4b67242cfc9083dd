//! Structures of fields, and structures that a number chooses.

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
            const FIXED: bool = true $(&& <$t as $crate::wire::Field<$lt>>::FIXED)*;
            #[inline]
            fn read(_r: &mut $crate::wire::Reader<$lt>) -> Result<Self, $crate::wire::DecodeError> {
                if Self::FIXED {
                    return match _r.window(Self::MIN) {
                        Some(mut _r) => Ok(Self { $($f: $crate::wire::Field::read(&mut _r)?),* }),
                        None => Err(_r.short_of(&[$((
                            concat!(stringify!($name), ".", stringify!($f)),
                            <$t as $crate::wire::Field<$lt>>::MIN,
                        )),*])),
                    };
                }
                $(let $f = <$t as $crate::wire::Field<$lt>>::read(_r)
                    .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($f))))?;)*
                Ok(Self { $($f),* })
            }
            #[inline]
            fn write(&self, _w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                if Self::FIXED {
                    let mut _w = _w.window(Self::MIN)?;
                    $($crate::wire::Field::write(&self.$f, &mut _w)?;)*
                    return Ok(());
                }
                $($crate::wire::Field::write(&self.$f, _w)?;)*
                Ok(())
            }
            #[inline]
            fn inline_size(&self) -> usize {
                0usize $(.saturating_add($crate::wire::Field::inline_size(&self.$f)))*
            }
            #[inline]
            fn write_targets(
                &self,
                _w: &mut $crate::wire::Writer<'_>,
                _at: usize,
            ) -> Result<(), $crate::wire::EncodeError> {
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
        #[doc = concat!("Wire form: `", stringify!($tag), "`, then"
            $(, " ", $n, " `", stringify!($v) $(, ": ", stringify!($t))?, "`")*)]
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
            #[inline]
            fn read_body(tag: $tag, r: &mut $crate::wire::Reader<$lt>) -> Result<Self, $crate::wire::DecodeError> {
                match tag {
                    $($n => Ok(Self::$v $((<$t as $crate::wire::Field<$lt>>::read(r)
                        .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($p))))?))?),)*
                    _ => Err($crate::wire::DecodeError::new(
                        $crate::wire::DecodeErrorKind::Value { value: u32::from(tag) }).at(stringify!($name))),
                }
            }
            #[inline]
            fn write_body(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                let _ = &w;
                match self { $(Self::$v $(($p))? => { $($crate::wire::Field::write($p, w)?;)? Ok(()) })* }
            }
            #[inline]
            fn body_size(&self) -> usize {
                match self { $(Self::$v $(($p))? => 0 $(+ $crate::wire::Field::inline_size($p))?,)* }
            }
        }

        impl<$lt> $crate::wire::Field<$lt> for $name<$lt> {
            const WIRE: &'static str = stringify!($name);
            const MIN: usize = size_of::<$tag>();
            #[inline]
            fn read(r: &mut $crate::wire::Reader<$lt>) -> Result<Self, $crate::wire::DecodeError> {
                let tag = <$tag as $crate::wire::Field<$lt>>::read(r)?;
                Self::read_body(tag, r)
            }
            #[inline]
            fn write(&self, w: &mut $crate::wire::Writer<'_>) -> Result<(), $crate::wire::EncodeError> {
                $crate::wire::Field::write(&self.tag(), w)?;
                self.write_body(w)
            }
            #[inline]
            fn inline_size(&self) -> usize {
                Self::MIN.saturating_add(self.body_size())
            }
            #[inline]
            fn write_targets(
                &self,
                w: &mut $crate::wire::Writer<'_>,
                at: usize,
            ) -> Result<(), $crate::wire::EncodeError> {
                self.write_body_targets(w, at.saturating_add(Self::MIN))
            }
            #[inline]
            fn targets_size(&self) -> usize {
                match self { $(Self::$v $(($p))? => 0 $(+ $crate::wire::Field::targets_size($p))?,)* }
            }
        }

        impl $name<'_> {
            #[inline]
            fn write_body_targets(
                &self,
                w: &mut $crate::wire::Writer<'_>,
                at: usize,
            ) -> Result<(), $crate::wire::EncodeError> {
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
