//! Byte streams from clients: who listens, who connected, and how many may wait unauthenticated.

pub use limits::{HANDSHAKE_TIME, Lobby, PlaceId};
pub use listen::{ListenError, Listeners};
pub use peer::{Peer, PeerKey};
pub use stream::Stream;
pub(crate) use tcp_info::TcpInfo;

mod limits;
mod listen;
mod peer;
mod stream;
mod sys;
mod tcp;
mod tcp_info;
mod unix;
