//! [`FakeQemu`]: the other end of the D-Bus display, as a newer QEMU than the one installed would
//! be: it draws through dmabufs and shared memory. For tests.

use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::wire::{DynamicType, Fd, ObjectPath};
use zbus::{Connection, Guid, Message, MessageStream, Variant};

use super::Qemu;
use crate::config::{QemuAddress, QemuDisplay};
use crate::source::recorder::{Recorder, Told};
use crate::source::{Source, ToSource};

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A machine with one console, shown by a [`Qemu`] on a thread of its own.
pub(super) struct FakeQemu {
    stream: MessageStream,
    connection: Connection,
    pub(super) listener: Connection,
    /// Whether its mouse is a tablet.
    absolute: bool,
    /// Calls that came while another was waited for.
    heard: VecDeque<Message>,
    pub(super) told: Receiver<Told>,
    pub(super) source: Sender<ToSource>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl FakeQemu {
    /// A machine with a tablet or with a mouse, whose console has been registered for.
    pub(super) async fn start(absolute: bool) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (host, told) = Recorder::host();
        let (source, inbox) = channel();
        let address = QemuAddress::Socket(Arc::new(theirs.into()));
        let qemu = Box::new(Qemu::new(QemuDisplay { address, consoles: Vec::new() }));
        let thread = thread::spawn(move || qemu.run(host, inbox));
        let mut stream = server(ours).build_message_stream().await.unwrap();
        let connection = Connection::from(&stream);
        let listener = register(&connection, &mut stream, absolute).await;
        // The last questions before the session runs.
        for _ in ["Get", "GetManagedObjects"] {
            let question = stream.next().await.unwrap().unwrap();
            assert!(answered(&connection, &question, absolute).await);
        }
        while !matches!(told.recv_timeout(PATIENCE), Ok(Told::Mouse(mouse)) if mouse == absolute) {}
        Self { stream, connection, listener, absolute, heard: VecDeque::new(), told, source, thread }
    }

    /// Calls the listener, and waits for the answer.
    pub(super) async fn draw<B: Serialize + DynamicType>(
        &self,
        interface: &str,
        member: &str,
        body: &B,
    ) -> zbus::Result<Message> {
        let path = "/org/qemu/Display1/Listener";
        let call = self.listener.call_method(None::<&str>, path, Some(interface), member, body);
        tokio::time::timeout(PATIENCE, call).await.expect("an answer in time")
    }

    /// The next call of a method that is no question.
    pub(super) async fn hears(&mut self, member: &str) -> Message {
        let next = async {
            loop {
                if let Some(call) = self.heard.pop_front() {
                    return call;
                }
                let message = self.stream.next().await.expect("a call").unwrap();
                if !answered(&self.connection, &message, self.absolute).await {
                    self.heard.push_back(message);
                }
            }
        };
        let call = tokio::time::timeout(PATIENCE, next).await.expect("a call in time");
        assert_eq!(call.header().member().unwrap().as_str(), member);
        call
    }

    /// Says that a property of the console changed.
    pub(super) async fn changes(&mut self, interface: &str, name: &str, value: Variant<'_>) {
        let body = (interface, HashMap::from([(name, value)]), Vec::<&str>::new());
        let path = "/org/qemu/Display1/Console_0";
        let signal = "PropertiesChanged";
        self.connection
            .emit_signal(None::<&str>, path, "org.freedesktop.DBus.Properties", signal, &body)
            .await
            .unwrap();
    }

    /// What the source told last, skipping the rest.
    pub(super) fn tells<T>(&self, mut wanted: impl FnMut(Told) -> Option<T>) -> T {
        loop {
            let told = self.told.recv_timeout(PATIENCE).expect("to be told in time");
            if let Some(found) = wanted(told) {
                return found;
            }
        }
    }

    /// Ends the source, which must end well.
    pub(super) fn end(self) {
        // It may have been told already.
        let _ = self.source.send(ToSource::Quit);
        self.thread.join().unwrap().unwrap();
    }
}

/// QEMU is the server of every connection's authentication.
fn server(socket: UnixStream) -> Builder<'static> {
    Builder::unix_stream(socket).server(Guid::generate()).p2p()
}

/// Answers questions until the listener is registered.
async fn register(connection: &Connection, stream: &mut MessageStream, absolute: bool) -> Connection {
    loop {
        let message = stream.next().await.unwrap().unwrap();
        if message.header().member().is_some_and(|name| name.as_str() == "RegisterListener") {
            let body = message.body();
            let fd: Fd<'_> = body.deserialize().unwrap();
            let socket = UnixStream::from(std::os::fd::OwnedFd::try_from(fd).unwrap());
            connection.reply(&message.header(), &()).await.unwrap();
            return server(socket).build().await.unwrap();
        }
        answered(connection, &message, absolute).await;
    }
}

/// Answers a question about a property; whether it was one, or nothing that matters.
async fn answered(connection: &Connection, message: &Message, absolute: bool) -> bool {
    let header = message.header();
    if message.message_type() != Type::MethodCall {
        return true;
    }
    match header.member().map_or("", |name| name.as_str()) {
        "Get" => {}
        "GetManagedObjects" => {
            let nothing: HashMap<ObjectPath<'_>, HashMap<&str, HashMap<&str, Variant<'_>>>> = HashMap::new();
            connection.reply(&header, &nothing).await.unwrap();
            return true;
        }
        _ => return false,
    }
    let body = message.body();
    let (_, name): (&str, &str) = body.deserialize().unwrap();
    let value = match name {
        "ConsoleIDs" => Variant::from(vec![0_u32]),
        "IsAbsolute" => Variant::from(absolute),
        "Modifiers" => Variant::from(2_u32),
        "Name" => Variant::from("fake"),
        "Type" => Variant::from("Graphic"),
        _ => Variant::from(""),
    };
    connection.reply(&header, &value).await.unwrap();
    true
}
