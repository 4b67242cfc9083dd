//! [`Qmp`]: as much of QEMU's monitor protocol as it takes to hand over a file descriptor and to
//! hear of the machine's power.
//!
//! Lines of JSON both ways. QEMU greets; `qmp_capabilities` opens; then each command has one answer,
//! with events in between.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::{Context, bail, ensure};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Interest};
use tokio::net::UnixStream;

/// The longest line that is read, in bytes. Answers to our commands and events are far shorter.
const MAX_LINE: u64 = 64 * 1024;

/// A monitor that takes commands.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Waits for QEMU's greeting on this socket and opens the monitor. Needs a tokio runtime.
    pub(super) async fn open(socket: OwnedFd) -> anyhow::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        let mut qmp = Self { stream: BufReader::new(UnixStream::from_std(socket)?) };
        let greeting = qmp.line().await?.context("QEMU ended before it opened its monitor")?;
        ensure!(greeting.get("QMP").is_some(), "the monitor does not greet like QMP: {greeting}");
        qmp.execute(&json!({"execute": "qmp_capabilities"}), None).await?;
        Ok(qmp)
    }

    /// Makes QEMU speak D-Bus on this socket, as the server that the other end authenticates with.
    pub(super) async fn add_dbus_client(&mut self, socket: BorrowedFd<'_>) -> anyhow::Result<()> {
        let getfd = json!({"execute": "getfd", "arguments": {"fdname": "sumac-dbus"}});
        self.execute(&getfd, Some(socket)).await?;
        let arguments = json!({"protocol": "@dbus-display", "fdname": "sumac-dbus", "skipauth": true});
        self.execute(&json!({"execute": "add_client", "arguments": arguments}), None).await
    }

    /// Logs what happens to the machine until QEMU closes the monitor.
    pub(super) async fn log_events(&mut self) -> anyhow::Result<()> {
        while let Some(line) = self.line().await? {
            log_event(&line);
        }
        Ok(())
    }

    /// Gives a command, with a file descriptor if it takes one, and waits for the answer.
    async fn execute(&mut self, command: &Value, fd: Option<BorrowedFd<'_>>) -> anyhow::Result<()> {
        let name = command["execute"].as_str().unwrap_or_default();
        self.send(format!("{command}\n").as_bytes(), fd).await.with_context(|| format!("QMP {name}"))?;
        loop {
            let answer = self.line().await?.with_context(|| format!("QEMU ended before it answered {name}"))?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refused {name}: {}", error["desc"].as_str().unwrap_or("without a reason"));
            }
            if answer.get("return").is_some() {
                return Ok(());
            }
            log_event(&answer);
        }
    }

    /// The descriptor travels with the first byte.
    async fn send(&mut self, mut bytes: &[u8], mut fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let stream = self.stream.get_mut();
        while !bytes.is_empty() {
            let sent = stream.async_io(Interest::WRITABLE, || send_some(stream, bytes, fd)).await?;
            fd = None;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> anyhow::Result<Option<Value>> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await.context("reading QEMU's monitor")?;
        if line.is_empty() {
            return Ok(None);
        }
        ensure!(line.ends_with(b"\n"), "QEMU's monitor sent a line of more than {MAX_LINE} bytes, or half a line");
        serde_json::from_slice(&line).map(Some).context("QEMU's monitor sent what is not JSON")
    }
}

fn send_some(stream: &UnixStream, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<_> = fd.into_iter().collect();
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    Ok(sendmsg(stream, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Power events are worth a line; the rest is for whoever looks closely.
fn log_event(line: &Value) {
    let Some(event) = line["event"].as_str() else { return };
    let reason = line["data"]["reason"].as_str().unwrap_or("-");
    match event {
        "POWERDOWN" | "RESET" | "RESUME" | "SHUTDOWN" | "STOP" | "SUSPEND" | "SUSPEND_DISK" | "WAKEUP"
        | "GUEST_PANICKED" | "GUEST_CRASHLOADED" | "WATCHDOG" => tracing::info!(event, reason, "the virtual machine"),
        _ => tracing::debug!(event, "the virtual machine"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream as Peer;
    use std::thread;

    use super::*;

    /// Opens a monitor whose other end says `greeting` at once and then one of `answers` for each
    /// line that it reads; hands over a descriptor when it opened.
    fn talk(greeting: &'static str, answers: &'static [&'static str]) -> (anyhow::Result<()>, Vec<String>) {
        let (ours, mut theirs) = Peer::pair().unwrap();
        let peer = thread::spawn(move || {
            writeln!(theirs, "{greeting}").unwrap();
            let mut heard = Vec::new();
            let mut lines = io::BufReader::new(theirs.try_clone().unwrap()).lines();
            for answer in answers {
                let Some(Ok(line)) = lines.next() else { break };
                heard.push(line);
                write!(theirs, "{answer}").unwrap();
            }
            heard
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(async {
            let mut qmp = Qmp::open(ours.into()).await?;
            qmp.add_dbus_client(io::stdin().as_fd()).await?;
            qmp.log_events().await
        });
        (result, peer.join().unwrap())
    }

    const GREETING: &str = r#"{"QMP": {"version": {}}}"#;
    const DONE: &str = "{\"return\": {}}\n";

    #[test]
    fn hands_over_a_descriptor_between_events() {
        const EVENT: &str = "{\"event\": \"RESET\", \"data\": {}}\n{\"return\": {}}\n{\"event\": \"X\"}\n";
        let (result, heard) = talk(GREETING, &[DONE, EVENT, DONE]);
        result.unwrap();
        assert!(heard[1].contains("getfd") && heard[2].contains("@dbus-display"), "{heard:?}");
    }

    #[test]
    fn refusals_and_silence_are_errors_that_say_so() {
        let error = |greeting, answers| format!("{:#}", talk(greeting, answers).0.unwrap_err());
        assert_eq!(error("{}", &[]), "the monitor does not greet like QMP: {}");
        assert_eq!(error("hello", &[]).split(':').next(), Some("QEMU's monitor sent what is not JSON"));
        const REFUSAL: &str = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no fds\"}}\n";
        assert_eq!(error(GREETING, &[DONE, REFUSAL]), "QEMU refused getfd: no fds");
        assert_eq!(error(GREETING, &[DONE, DONE, ""]), "QEMU ended before it answered add_client");
    }
}
