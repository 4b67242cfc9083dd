//! [`Newcomer`]: a connection from accept to its end.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::Engine;
use crate::connection::{LinkFailed, Linked, handshake};
use crate::ledger::Refused;
use crate::transport::{Entrance, Gate, HANDSHAKE_TIME, Lobby, NotEntered, Peer, Stream};
use crate::viewer;

/// How long a refused peer may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// A connection of which nothing is known.
pub(super) struct Newcomer {
    pub(super) gate: Rc<Gate>,
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) entrance: Entrance,
    /// The program that the server is in answers for it: no ticket is wanted.
    pub(super) trusted: bool,
}

/// Who waits to be linked, each with what tells it to leave for others.
pub(super) type Waiting = Rc<RefCell<Lobby<Rc<Notify>>>>;

/// A connection from accept to its end.
pub(super) async fn connection(engine: Rc<Engine>, lobby: Waiting, newcomer: Newcomer) {
    let Newcomer { gate, mut stream, peer, entrance, trusted } = newcomer;
    let leave = Rc::new(Notify::new());
    let (place, evicted) = lobby.borrow_mut().enter(peer.key(), Rc::clone(&leave));
    if let Some(evicted) = evicted {
        evicted.notify_one();
    }
    let linked = tokio::select! {
        linked = link(&engine, &gate, &mut stream, &peer, (entrance, trusted)) => linked,
        () = leave.notified() => {
            let (why, reason) = (Refused::Crowded, "too many connections wait to be linked");
            tracing::info!(%peer, reason, class = why.name(), "not linked");
            engine.displays().ledger().refuse(why);
            return;
        }
    };
    match linked {
        Ok(linked) => {
            lobby.borrow_mut().leave(place);
            viewer::run(&engine, stream, &peer, linked).await;
        }
        Err(error) => {
            match &error {
                // Browsers ask for many files.
                LinkFailed::NotEntered(NotEntered::Page(..)) => tracing::debug!(%peer, "{error}"),
                _ => {
                    let why = error.class();
                    tracing::info!(%peer, reason = %error, class = why.name(), "not linked");
                    engine.displays().ledger().refuse(why);
                }
            }
            linger(&mut stream).await;
            lobby.borrow_mut().leave(place);
        }
    }
}

/// From whatever the client speaks to an open channel, all of it within [`HANDSHAKE_TIME`].
async fn link(
    engine: &Engine,
    gate: &Gate,
    stream: &mut Stream,
    peer: &Peer,
    (entrance, trusted): (Entrance, bool),
) -> Result<Linked, LinkFailed> {
    let start = tokio::time::Instant::now();
    let entered = tokio::time::timeout(HANDSHAKE_TIME, gate.enter(stream, entrance)).await;
    entered.map_err(|_| LinkFailed::Late)??;
    handshake(engine, stream, peer, trusted, HANDSHAKE_TIME.saturating_sub(start.elapsed())).await
}

/// Lets the peer read why it was refused: closing a socket with unread bytes in it would make TCP
/// throw away what was sent last.
async fn linger(stream: &mut Stream) {
    let drain = async {
        stream.shutdown().await?;
        let mut scrap = [0; 1024];
        while stream.read(&mut scrap).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever goes wrong now, the connection is over.
    let _ = tokio::time::timeout(LINGER, drain).await;
}
