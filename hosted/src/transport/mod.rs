//! Byte streams from clients: who listens, who connected, and how many may wait unauthenticated.

pub(crate) use gate::{Gate, NotEntered};
pub use limits::{HANDSHAKE_TIME, Lobby, PlaceId};
pub use listen::{Entrance, ListenError, Listeners};
pub(crate) use listen::{from_tcp, from_unix};
pub use peer::{Peer, PeerKey};
pub use stream::Stream;
pub(crate) use tcp_info::TcpInfo;
pub use tls::{PemError, TlsError};
pub(crate) use unix::{SocketFile, listen_private};

mod gate;
pub(crate) mod http;
mod layers;
mod limits;
mod listen;
mod peer;
mod stream;
mod sys;
mod tcp;
mod tcp_info;
mod tls;
mod unix;
mod websocket;

/// The parts that fuzzers see.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    pub(crate) use super::tls::fuzzing::{certificates, private_key};
    pub(crate) use super::websocket::WebSocket;
}
