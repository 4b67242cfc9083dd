//! [`Observer`]: what an embedding program hears of channels.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use sumac_core::proto::common::ChannelType;

use crate::transport::Stream;

/// Called on the server's thread; it must not wait.
pub type Observer = Box<dyn Fn(ChannelNews) + Send>;

/// A channel of a viewer, from when it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenChannel {
    /// A number that no other channel of this server has.
    pub number: u64,
    /// The viewer's session: the connection id of its links.
    pub session: u32,
    /// What the channel is for.
    pub kind: ChannelType,
    /// Which of its kind.
    pub id: u8,
    /// Whether it is inside TLS.
    pub secure: bool,
    /// The server's end; `None` for what is no IP.
    pub local: Option<SocketAddr>,
    /// The viewer's end.
    pub peer: Option<SocketAddr>,
}

/// What happened to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelNews {
    /// It is open.
    Opened(OpenChannel),
    /// It was open, and is no more.
    Closed(OpenChannel),
}

impl OpenChannel {
    pub(super) fn new(number: u64, session: u32, (kind, id): (ChannelType, u8), stream: &Stream) -> Self {
        let ip = |address| SocketAddr::try_from(address).ok();
        let local = rustix::net::getsockname(stream.as_fd()).ok().and_then(ip);
        let peer = rustix::net::getpeername(stream.as_fd()).ok().flatten().and_then(ip);
        Self { number, session, kind, id, secure: stream.is_secure(), local, peer }
    }
}

/// A channel of which the program was told; it hears of the end when this is dropped.
pub(crate) struct Observed<'o> {
    observer: Option<&'o Observer>,
    channel: OpenChannel,
}

impl<'o> Observed<'o> {
    pub(super) fn new(observer: Option<&'o Observer>, channel: OpenChannel) -> Self {
        if let Some(tell) = observer {
            tell(ChannelNews::Opened(channel));
        }
        Self { observer, channel }
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if let Some(tell) = self.observer {
            tell(ChannelNews::Closed(self.channel));
        }
    }
}
