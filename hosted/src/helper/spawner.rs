//! The process that starts the encoders' processes.

use std::ffi::OsString;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::Child;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::start_this;
use crate::sandbox;

/// Encoders at once: more than there are streams.
const MOST: usize = 64;
/// Bytes of a backend's name at most.
const NAME: usize = 32;

/// An encoder's process, and what becomes readable when it has ended; without that it is looked after with the
/// next one.
struct Encoder(Child, Option<OwnedFd>);

/// Starts what the server asks for, until the server is gone.
pub(super) fn run(socket: &OwnedFd) -> anyhow::Result<()> {
    sandbox::enter_spawner();
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    arguments.pop();
    let mut encoders: Vec<Encoder> = Vec::new();
    loop {
        let asked = wait(socket, &encoders)?;
        encoders.retain_mut(|Encoder(child, _)| !matches!(child.try_wait(), Ok(Some(_))));
        if asked {
            let Some((name, theirs)) = receive(socket)? else { return Ok(()) };
            if encoders.len() >= MOST {
                tracing::error!(most = MOST, "too many encoders have processes of their own");
                continue;
            }
            // The server notices that nobody has the socket.
            match start(&arguments, &name, theirs) {
                Ok(encoder) => encoders.push(encoder),
                Err(error) => tracing::error!(%error, "cannot start a process for an encoder"),
            }
        }
    }
}

fn start(arguments: &[OsString], name: &str, socket: OwnedFd) -> std::io::Result<Encoder> {
    let child = start_this(arguments, name, socket)?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
    Ok(Encoder(child, ended))
}

/// Waits for the server or the end of an encoder; answers whether it is the server.
fn wait(socket: &OwnedFd, encoders: &[Encoder]) -> Result<bool, Errno> {
    let ended = encoders.iter().filter_map(|Encoder(_, ended)| ended.as_ref());
    let mut fds: Vec<_> = std::iter::once(socket).chain(ended).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    match poll(&mut fds, None) {
        Err(Errno::INTR) => Ok(false),
        answer => answer.map(|_| fds.first().is_some_and(|socket| !socket.revents().is_empty())),
    }
}

/// The name of a backend and a socket; `None` when the server is gone.
fn receive(socket: &OwnedFd) -> Result<Option<(String, OwnedFd)>, Errno> {
    let mut name = [0; NAME];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(fd.map(|fd| (String::from_utf8_lossy(name.get(..got).unwrap_or_default()).into_owned(), fd)))
}
