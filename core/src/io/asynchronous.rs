//! Over `embedded-io-async`: a turn waits for bytes, or for the host's wake-up.
//!
//! While a turn waits it drops an unfinished read when the host wakes it: the stream's `read` must
//! not lose bytes then, as its trait encourages.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll as Progress;

use embedded_io_async::{Read, Write};

use super::{Error, Line, PAYLOAD, Turn, Wire};
use crate::channel::{Channel, Poll, Refused};
use crate::link::{LinkPoll, Linking, Opened};
use crate::time::Millis;

/// Takes a turn at linking; `answer` answers a question and tells the bytes it wrote; `wake` ends
/// the turn at that time or earlier.
///
/// # Errors
/// The link or the stream is over.
pub async fn link<S: Read + Write, L: Linking>(
    wire: &mut Wire<'_, S>,
    machine: &mut L,
    now: impl Fn() -> Millis,
    wake: impl AsyncFnOnce(Option<Millis>),
    answer: impl AsyncFnOnce(&mut L, L::Question<'_>, &mut [u8]) -> Result<usize, Refused>,
) -> Result<Turn<Opened>, Error<S::Error>> {
    let until = loop {
        match machine.poll(now(), wire.out)? {
            LinkPoll::Transmit(head) => put(wire, head, &[]).await?,
            LinkPoll::Wait(until) => break until,
            LinkPoll::Open(opened) => {
                flush(wire).await?;
                return Ok(Turn::Got(opened));
            }
            LinkPoll::Closed(why) => {
                flush(wire).await?;
                return Err(Error::Closed(why));
            }
        }
    };
    let want = machine.want();
    if want == 0 {
        flush(wire).await?;
        wake(until).await;
        return Ok(Turn::Again);
    }
    if fill(wire, want, wake(until)).await? {
        wire.filled = 0;
        let bytes = wire.inbox.get(..want).unwrap_or_default();
        let head = match machine.on_bytes(now(), bytes) {
            Some(question) => answer(machine, question, wire.out).await?,
            None => 0,
        };
        put(wire, head, &[]).await?;
    }
    Ok(Turn::Again)
}

/// Takes a turn on an open channel; what `on_event` makes of a message is the turn's outcome;
/// `wake` ends the turn at that time or earlier.
///
/// # Errors
/// The channel or the stream is over.
pub async fn turn<S: Read + Write, C: Channel, T>(
    wire: &mut Wire<'_, S>,
    line: &mut Line<C>,
    now: impl Fn() -> Millis,
    wake: impl AsyncFnOnce(Option<Millis>),
    on_event: impl FnOnce(C::Event<'_>) -> T,
) -> Result<Turn<T>, Error<S::Error>> {
    let until = drain(wire, line, &now).await?;
    let want = line.framing.want();
    if !fill(wire, want, wake(until)).await? {
        return Ok(Turn::Again);
    }
    let Some(message) = line.framing.on_bytes(wire.received(want))? else { return Ok(Turn::Again) };
    let event = line.machine.on_message(now(), message.id, message.body)?;
    Ok(event.map_or(Turn::Again, |event| Turn::Got(on_event(event))))
}

/// Says `message`, with the payload that it promised.
///
/// # Errors
/// `Refused` when it may not be said now: nothing was sent, and after `Hold` the channel goes on.
/// Otherwise the channel or the stream is over.
pub async fn say<S: Read + Write, C: Channel>(
    wire: &mut Wire<'_, S>,
    line: &mut Line<C>,
    now: impl Fn() -> Millis,
    message: &C::Message<'_>,
    payload: &[u8],
) -> Result<(), Error<S::Error>> {
    drain(wire, line, &now).await?;
    let transmit = line.machine.send(now(), message, wire.out)?;
    if transmit.body != payload.len() {
        return Err(PAYLOAD.into());
    }
    put(wire, transmit.head, payload).await
}

/// Sends all that the machine itself wants to say; answers when it wants to be asked again.
async fn drain<S: Write, C: Channel>(
    wire: &mut Wire<'_, S>,
    line: &mut Line<C>,
    now: &impl Fn() -> Millis,
) -> Result<Option<Millis>, Error<S::Error>> {
    loop {
        match line.machine.poll(now(), wire.out)? {
            Poll::Transmit(transmit) => put(wire, transmit.head, &[]).await?,
            Poll::Wait(until) => return Ok(until),
            Poll::Expired(why) => return Err(Error::Expired(why)),
        }
    }
}

/// Reads once unless there are `want` bytes, or until woken; whether all of them are there.
async fn fill<S: Read + Write>(
    wire: &mut Wire<'_, S>,
    want: usize,
    wake: impl Future<Output = ()>,
) -> Result<bool, Error<S::Error>> {
    if wire.room(want)?.is_empty() {
        return Ok(true);
    }
    flush(wire).await?;
    let filled = wire.filled;
    let room = wire.inbox.get_mut(filled..want).unwrap_or_default();
    match first(wire.stream.read(room), wake).await {
        None => return Ok(false),
        Some(Err(e)) => return Err(Error::Stream(e)),
        Some(Ok(0)) => return Err(Error::Eof),
        Some(Ok(n)) => wire.filled = filled.saturating_add(n),
    }
    Ok(wire.filled == want)
}

/// What `work` comes to, unless `wake` is ready and it is not.
async fn first<T>(work: impl Future<Output = T>, wake: impl Future<Output = ()>) -> Option<T> {
    let (mut work, mut wake) = (pin!(work), pin!(wake));
    poll_fn(|context| {
        if let Progress::Ready(done) = work.as_mut().poll(context) {
            return Progress::Ready(Some(done));
        }
        wake.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Writes `head` bytes of `out`, then `payload`.
async fn put<S: Write>(wire: &mut Wire<'_, S>, head: usize, payload: &[u8]) -> Result<(), Error<S::Error>> {
    for mut bytes in [wire.out.get(..head).unwrap_or_default(), payload] {
        while !bytes.is_empty() {
            let n = wire.stream.write(bytes).await.map_err(Error::Stream)?;
            if n == 0 {
                return Err(Error::Eof);
            }
            wire.unflushed = true;
            bytes = bytes.get(n..).unwrap_or_default();
        }
    }
    Ok(())
}

async fn flush<S: Write>(wire: &mut Wire<'_, S>) -> Result<(), Error<S::Error>> {
    if wire.unflushed {
        wire.stream.flush().await.map_err(Error::Stream)?;
        wire.unflushed = false;
    }
    Ok(())
}
