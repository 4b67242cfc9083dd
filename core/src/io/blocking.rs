//! Over `embedded-io`: reading happens only when a byte is there, writing waits.

use embedded_io::{Read, ReadReady, Write};

use super::{Error, Line, PAYLOAD, Turn, Wire};
use crate::channel::{Channel, Poll, Refused};
use crate::link::{LinkPoll, Linking, Opened};
use crate::time::Millis;

/// Takes a turn at linking; `answer` answers a question and tells the bytes it wrote.
///
/// A question that is left open is answered later on the machine itself, between turns.
///
/// # Errors
/// The link or the stream is over.
pub fn link<S: Read + ReadReady + Write, L: Linking>(
    wire: &mut Wire<'_, S>,
    machine: &mut L,
    now: Millis,
    answer: impl FnOnce(&mut L, L::Question<'_>, &mut [u8]) -> Result<usize, Refused>,
) -> Result<Turn<Opened>, Error<S::Error>> {
    let until = loop {
        match machine.poll(now, wire.out)? {
            LinkPoll::Transmit(head) => put(wire, head, &[])?,
            LinkPoll::Wait(until) => break until,
            LinkPoll::Open(opened) => {
                flush(wire)?;
                return Ok(Turn::Got(opened));
            }
            LinkPoll::Closed(why) => {
                flush(wire)?;
                return Err(Error::Closed(why));
            }
        }
    };
    let want = machine.want();
    if want == 0 || !fill(wire, want)? {
        return Ok(Turn::Wait(until));
    }
    wire.filled = 0;
    let bytes = wire.inbox.get(..want).unwrap_or_default();
    let head = match machine.on_bytes(now, bytes) {
        Some(question) => answer(machine, question, wire.out)?,
        None => 0,
    };
    put(wire, head, &[])?;
    Ok(Turn::Again)
}

/// Takes a turn on an open channel; what `on_event` makes of a message is the turn's outcome.
///
/// # Errors
/// The channel or the stream is over.
pub fn turn<S: Read + ReadReady + Write, C: Channel, T>(
    wire: &mut Wire<'_, S>,
    line: &mut Line<C>,
    now: Millis,
    on_event: impl FnOnce(C::Event<'_>) -> T,
) -> Result<Turn<T>, Error<S::Error>> {
    let until = drain(wire, line, now)?;
    let want = line.framing.want();
    if !fill(wire, want)? {
        return Ok(Turn::Wait(until));
    }
    let Some(message) = line.framing.on_bytes(wire.received(want))? else { return Ok(Turn::Again) };
    let event = line.machine.on_message(now, message.id, message.body)?;
    Ok(event.map_or(Turn::Again, |event| Turn::Got(on_event(event))))
}

/// Says `message`, with the payload that it promised.
///
/// # Errors
/// `Refused` when it may not be said now: nothing was sent, and after `Hold` the channel goes on.
/// Otherwise the channel or the stream is over.
pub fn say<S: Read + ReadReady + Write, C: Channel>(
    wire: &mut Wire<'_, S>,
    line: &mut Line<C>,
    now: Millis,
    message: &C::Message<'_>,
    payload: &[u8],
) -> Result<(), Error<S::Error>> {
    drain(wire, line, now)?;
    let transmit = line.machine.send(now, message, wire.out)?;
    if transmit.body != payload.len() {
        return Err(PAYLOAD.into());
    }
    put(wire, transmit.head, payload)
}

/// Sends all that the machine itself wants to say; answers when it wants to be asked again.
fn drain<S: Write, C: Channel>(
    wire: &mut Wire<'_, S>,
    line: &mut Line<C>,
    now: Millis,
) -> Result<Option<Millis>, Error<S::Error>> {
    loop {
        match line.machine.poll(now, wire.out)? {
            Poll::Transmit(transmit) => put(wire, transmit.head, &[])?,
            Poll::Wait(until) => return Ok(until),
            Poll::Expired(why) => return Err(Error::Expired(why)),
        }
    }
}

/// Takes in what has arrived, up to `want` bytes; whether that is all of them.
fn fill<S: Read + ReadReady + Write>(wire: &mut Wire<'_, S>, want: usize) -> Result<bool, Error<S::Error>> {
    while !wire.room(want)?.is_empty() {
        if !wire.stream.read_ready().map_err(Error::Stream)? {
            flush(wire)?;
            return Ok(false);
        }
        let filled = wire.filled;
        let room = wire.inbox.get_mut(filled..want).unwrap_or_default();
        match wire.stream.read(room).map_err(Error::Stream)? {
            0 => return Err(Error::Eof),
            n => wire.filled = filled.saturating_add(n),
        }
    }
    Ok(true)
}

/// Writes `head` bytes of `out`, then `payload`.
fn put<S: Write>(wire: &mut Wire<'_, S>, head: usize, payload: &[u8]) -> Result<(), Error<S::Error>> {
    for mut bytes in [wire.out.get(..head).unwrap_or_default(), payload] {
        while !bytes.is_empty() {
            let n = wire.stream.write(bytes).map_err(Error::Stream)?;
            if n == 0 {
                return Err(Error::Eof);
            }
            wire.unflushed = true;
            bytes = bytes.get(n..).unwrap_or_default();
        }
    }
    Ok(())
}

fn flush<S: Write>(wire: &mut Wire<'_, S>) -> Result<(), Error<S::Error>> {
    if wire.unflushed {
        wire.stream.flush().map_err(Error::Stream)?;
        wire.unflushed = false;
    }
    Ok(())
}
