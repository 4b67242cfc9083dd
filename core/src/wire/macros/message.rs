//! A message, and all messages of a channel.

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
    ($(#[$m:meta])* $id:literal pub struct $name:ident<$lt:lifetime> {
        $($(#[$fm:meta])* $f:ident : $t:ty),* $(,)?
    }) => {
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
