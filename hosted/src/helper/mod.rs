//! Processes in which encoders work: this program, started once more.
//!
//! ```text
//!   server ── a socket ──► spawner ── starts ──► encoder
//!      └─────── orders, pictures, packets ─────────┘
//! ```
//!
//! A server that has confined itself can start nothing, so a spawner is started before, which can start this
//! program and nothing else. Each encoder gets a process, and a new one when that has ended
//! ([`sumac_backends::isolated`]). All of them end when the server's end of their sockets is closed.

mod encoder;
mod spawner;

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use sumac_backends::{Backend, isolated::Isolated, registry, software};

use crate::config::Helper;

/// The last argument of the spawner; encoders have the name of their backend there.
const SPAWNER: &str = "spawner";
/// This program, whatever became of its file.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What a process is there for that was started for [`Helper`], by its last argument; answers when it is no
/// longer needed. Its standard input is a socket; it must have done nothing before.
///
/// # Errors
/// When it cannot do that; the server has noticed.
pub fn run(role: &str) -> anyhow::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    if role == SPAWNER { spawner::run(&socket) } else { encoder::run(role, socket) }
}

/// All backends of this build, those that `helper` is for in processes of their own.
pub(crate) fn backends(helper: &Helper) -> io::Result<Vec<&'static dyn Backend>> {
    let spawner = Arc::new(Spawner::start(&helper.arguments)?);
    let isolated = |backend: &&'static dyn Backend| -> &'static dyn Backend {
        if !helper.hardware && backend.name() != software::NAME {
            return *backend;
        }
        let spawner = Arc::clone(&spawner);
        let start = Box::new(move |name: &'static str, socket| spawner.ask(name, &socket));
        // Backends live as long as the process, and this is done once by a server.
        Box::leak(Box::new(Isolated::new(*backend, start)))
    };
    Ok(registry::backends().iter().map(isolated).collect())
}

/// The server's end.
struct Spawner(OwnedFd);

impl Spawner {
    fn start(arguments: &[OsString]) -> io::Result<Self> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        start_this(arguments, SPAWNER, theirs)?;
        Ok(Self(ours))
    }

    /// Has an encoder of this backend started, without waiting for it.
    fn ask(&self, backend: &str, socket: &OwnedFd) -> io::Result<()> {
        let fds = [socket.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        // There is space for it.
        let _: bool = ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.0, &[IoSlice::new(backend.as_bytes())], &mut ancillary, flags)?;
        Ok(())
    }
}

/// Starts this program with a socket. It has a process group of its own: what a terminal sends to the server's
/// group is for the server.
fn start_this(arguments: &[OsString], role: &str, socket: OwnedFd) -> io::Result<std::process::Child> {
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0(std::env::args_os().next().unwrap_or_else(|| THIS_PROGRAM.into()));
    command.args(arguments).arg(role).stdin(socket).stdout(Stdio::null()).process_group(0).spawn()
}
