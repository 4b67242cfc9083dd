//! Core does not allocate: a whole session, both roles, under an allocator that counts.

mod sys;

pub(crate) use sys::live;

use core::convert::Infallible;
use std::cell::RefCell;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use sumac_core::io::Wire;
use sumac_core::time::Millis;

use crate::peer::{self, Peer};
use crate::session::{self, PORTS, Server};

const PIPE: usize = 32 * 1024;

/// Bytes on their way, in memory that was taken before.
struct Pipe {
    bytes: Box<[u8]>,
    from: usize,
    len: usize,
}

impl Pipe {
    fn new() -> RefCell<Self> {
        RefCell::new(Self { bytes: memory(PIPE), from: 0, len: 0 })
    }
}

fn memory(len: usize) -> Box<[u8]> {
    vec![0; len].into()
}

/// One end of a connection.
struct End<'p> {
    from: &'p RefCell<Pipe>,
    to: &'p RefCell<Pipe>,
}

impl ErrorType for End<'_> {
    type Error = Infallible;
}

impl ReadReady for End<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.from.borrow().len != 0)
    }
}

impl Read for End<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Infallible> {
        let mut pipe = self.from.borrow_mut();
        let n = room.len().min(pipe.len);
        for byte in &mut room[..n] {
            *byte = pipe.bytes[pipe.from];
            pipe.from = (pipe.from + 1) % PIPE;
        }
        pipe.len -= n;
        Ok(n)
    }
}

impl Write for End<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let mut pipe = self.to.borrow_mut();
        assert!(bytes.len() <= PIPE - pipe.len, "the script never has that much on its way");
        for &byte in bytes {
            let at = (pipe.from + pipe.len) % PIPE;
            pipe.bytes[at] = byte;
            pipe.len += 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Link, main, display, a picture, a key press and its tile: the allocations of all of it, machines
/// of both roles and drivers included, and the turns it took.
fn scripted_session() -> (u64, u64) {
    let pipes = [(); PORTS].map(|()| [Pipe::new(), Pipe::new()]);
    let mut lent = [(); PORTS].map(|()| [memory(session::INBOX), memory(session::OUT)]);
    let mut lent_to_peer = [(); PORTS].map(|()| [memory(peer::INBOX), memory(peer::OUT)]);
    let before = sys::allocations();
    let mut lent = pipes.iter().zip(&mut lent);
    let mut wire = || {
        let ([a, b], [inbox, out]) = lent.next().expect("memory for each port");
        Wire::new(End { from: a, to: b }, inbox, out)
    };
    let mut server = Server::new([wire(), wire(), wire()], Millis(0));
    let mut lent = pipes.iter().zip(&mut lent_to_peer);
    let mut wire = || {
        let ([a, b], [inbox, out]) = lent.next().expect("memory for each port");
        Wire::new(End { from: b, to: a }, inbox, out)
    };
    let mut peer = Peer::new([wire(), wire(), wire()], Millis(0));
    let mut watching = true;
    for turn in 0..10_000 {
        let now = Millis(turn);
        if watching {
            watching = peer.step(now).expect("the server keeps the protocol");
        }
        if !server.step(now).expect("the peer keeps the protocol") {
            return (sys::allocations() - before, turn);
        }
    }
    panic!("the script stopped at {:?}", peer.progress());
}

#[test]
fn a_scripted_session_allocates_nothing() {
    let (allocated, turns) = scripted_session();
    assert_eq!(allocated, 0, "in {turns} turns");
    let before = sys::allocations();
    drop(Box::new(turns));
    assert_eq!(sys::allocations() - before, 1, "the allocator counts");
}

#[test]
fn a_connection_takes_less_than_4_kib() {
    let bytes = session::bytes_per_connection::<End<'_>>();
    assert!(bytes < 4096, "{bytes}");
}
