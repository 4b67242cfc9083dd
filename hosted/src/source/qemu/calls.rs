//! [`Calls`]: what QEMU calls on us, and the answers.
//!
//! QEMU takes a socket for each thing that it calls about and is the server of the authentication on
//! it. Calls come in order; what means nothing is answered with an error that says why.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use anyhow::Context;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use zbus::message::{Body, Flags, Type};
use zbus::names::OwnedUniqueName;
use zbus::wire::{DynamicType, Fd};
use zbus::{Connection, Message, MessageStream, Variant};

/// The interface of questions about properties.
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A connection on which QEMU calls.
pub(super) struct Calls {
    stream: MessageStream,
    connection: Connection,
    /// Calls that came while the connection was made.
    early: VecDeque<Call>,
}

/// One call.
#[derive(Clone)]
pub(super) struct Call {
    message: Message,
    connection: Connection,
}

/// The bytes at the end of a message's body, as they came.
pub(super) struct Tail {
    pub(super) body: Body,
    pub(super) len: usize,
}

impl Calls {
    /// Gives QEMU a socket by `register`, one of its methods, and expects its calls on it. These
    /// interfaces are announced beside the one that QEMU knows.
    ///
    /// QEMU may wait for our part of the authentication, and for answers to its questions, before it
    /// answers `register`.
    pub(super) async fn on_socket(
        interfaces: &[&str],
        register: impl AsyncFnOnce(Fd<'_>) -> zbus::Result<()>,
    ) -> anyhow::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let register = async {
            let theirs = OwnedFd::from(theirs);
            register(Fd::from(&theirs)).await
        };
        let mut register = std::pin::pin!(register);
        let mut registered = false;
        let connect = zbus::connection::Builder::unix_stream(ours).p2p().build_message_stream();
        let mut connect = std::pin::pin!(connect);
        let context = "giving QEMU a socket for its calls";
        let stream = loop {
            tokio::select! {
                result = &mut register, if !registered => {
                    result.context(context)?;
                    registered = true;
                }
                stream = &mut connect => break stream.context(context)?,
            }
        };
        let mut calls = Self::of(stream);
        if !registered {
            calls.during(interfaces, register).await.context(context)?;
        }
        Ok(calls)
    }

    /// Waits for the answer to `call`, and answers questions meanwhile, which QEMU may wait for.
    pub(super) async fn during<T>(
        &mut self,
        interfaces: &[&str],
        call: impl Future<Output = zbus::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut call = std::pin::pin!(call);
        let mut early = VecDeque::new();
        loop {
            tokio::select! {
                result = &mut call => {
                    self.early.append(&mut early);
                    return Ok(result?);
                }
                next = self.next() => {
                    let next = next?.context("QEMU closed the connection for its calls")?;
                    if !next.answer_question(interfaces).await? {
                        early.push_back(next);
                    }
                }
            }
        }
    }

    /// The calls among these messages.
    pub(super) fn of(stream: MessageStream) -> Self {
        let connection = Connection::from(&stream);
        Self { stream, connection, early: VecDeque::new() }
    }

    /// The next call; `None` when QEMU closed the connection. Cancel safe.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Call>> {
        if let Some(call) = self.early.pop_front() {
            return Ok(Some(call));
        }
        while let Some(message) = self.stream.next().await {
            let message = message?;
            if message.message_type() == Type::MethodCall {
                return Ok(Some(Call { message, connection: self.connection.clone() }));
            }
        }
        Ok(None)
    }

    /// The next call if it has arrived.
    pub(super) fn arrived(&mut self) -> Option<anyhow::Result<Option<Call>>> {
        self.next().now_or_never()
    }
}

impl Call {
    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    /// The interface and the method that is called.
    pub(super) fn name(&self) -> (String, String) {
        let header = self.message.header();
        let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
        (text(header.interface().map(|name| name.as_str())), text(header.member().map(|name| name.as_str())))
    }

    /// Answers it, if QEMU wants an answer.
    pub(super) async fn answer<B: Serialize + DynamicType>(&self, body: &B) -> zbus::Result<()> {
        if self.is_answered() { self.connection.reply(&self.message.header(), body).await } else { Ok(()) }
    }

    /// Answers it if it is a question about our properties; whether it was. The only one that any
    /// interface has is the list `Interfaces`.
    pub(super) async fn answer_question(&self, interfaces: &[&str]) -> zbus::Result<bool> {
        let (interface, member) = self.name();
        match (interface.as_str(), member.as_str()) {
            (PROPERTIES, "Get") => self.answer(&Variant::from(interfaces)).await?,
            (PROPERTIES, "GetAll") => {
                self.answer(&HashMap::from([("Interfaces", Variant::from(interfaces))])).await?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Says what is wrong with it.
    pub(super) async fn refuse(&self, error: &anyhow::Error) -> zbus::Result<()> {
        let (interface, member) = self.name();
        let error = format!("{error:#}");
        tracing::warn!(call = %format_args!("{interface}.{member}"), error, "QEMU's call means nothing");
        self.refuse_as("org.freedesktop.DBus.Error.InvalidArgs", &error).await
    }

    /// Whether QEMU called, whose own name this is on a bus. A socket has QEMU at its other end.
    pub(super) fn is_from(&self, owner: Option<&OwnedUniqueName>) -> bool {
        owner.is_none_or(|owner| self.message.header().sender() == Some(&**owner))
    }

    /// Says that the caller may not.
    pub(super) async fn is_not_allowed(&self) -> zbus::Result<()> {
        let (interface, member) = self.name();
        let header = self.message.header();
        tracing::debug!(sender = ?header.sender(), call = %format_args!("{interface}.{member}"), "not QEMU's call");
        self.refuse_as("org.freedesktop.DBus.Error.AccessDenied", "only the virtual machine may call").await
    }

    /// Says that there is no such method.
    pub(super) async fn is_unknown(&self) -> zbus::Result<()> {
        let (interface, member) = self.name();
        let error = "org.freedesktop.DBus.Error.UnknownMethod";
        self.refuse_as(error, &format!("there is no {interface}.{member} here")).await
    }

    async fn refuse_as(&self, error: &str, text: &str) -> zbus::Result<()> {
        if self.is_answered() {
            return self.connection.reply_error(&self.message.header(), error, &text).await;
        }
        Ok(())
    }

    fn is_answered(&self) -> bool {
        !self.message.header().primary().flags().contains(Flags::NO_REPLY_EXPECTED)
    }
}

impl AsRef<[u8]> for Tail {
    fn as_ref(&self) -> &[u8] {
        let bytes = self.body.data().bytes();
        &bytes[bytes.len().saturating_sub(self.len)..]
    }
}
