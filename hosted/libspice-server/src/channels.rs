//! [`Channels`]: what the application is told of viewers' channels.

use std::collections::HashMap;
use std::ffi::c_int;
use std::net::SocketAddr;

use sumac::{ChannelNews, OpenChannel};

use crate::interfaces::Core;
use crate::interfaces::sys::ChannelEventInfo;

/// SPICE_CHANNEL_EVENT.
const CONNECTED: c_int = 1;
const INITIALIZED: c_int = 2;
const DISCONNECTED: c_int = 3;
/// SPICE_CHANNEL_EVENT_FLAG.
const TLS: c_int = 1;
const ADDRESSES: c_int = 2;

/// The information of each open channel, whose address is what the application knows it by.
#[derive(Default)]
pub(crate) struct Channels(HashMap<u64, Box<ChannelEventInfo>>);

/// Events of one channel, to be told without a lock.
pub(crate) struct Told {
    number: u64,
    info: Box<ChannelEventInfo>,
    opened: bool,
}

impl Channels {
    /// What is to be told.
    pub(crate) fn on_news(&mut self, news: ChannelNews) -> Option<Told> {
        match news {
            ChannelNews::Opened(channel) => Some(Told { number: channel.number, info: info(&channel), opened: true }),
            ChannelNews::Closed(channel) => {
                Some(Told { number: channel.number, info: self.0.remove(&channel.number)?, opened: false })
            }
        }
    }

    /// Keeps what was told, while the channel is open.
    pub(crate) fn keep(&mut self, told: Told) {
        if told.opened {
            self.0.insert(told.number, told.info);
        }
    }

    /// Those that are open.
    pub(crate) fn count_main(&self) -> usize {
        self.0.values().filter(|info| info.kind == 1).count()
    }
}

impl Told {
    /// Tells the application, on its main loop. A channel is connected and initialised at once: it is
    /// told of when it is linked.
    pub(crate) fn tell(&mut self, core: &Core) {
        if self.opened {
            core.channel_event(CONNECTED, &mut self.info);
            core.channel_event(INITIALIZED, &mut self.info);
        } else {
            core.channel_event(DISCONNECTED, &mut self.info);
        }
    }
}

fn info(channel: &OpenChannel) -> Box<ChannelEventInfo> {
    let flags = if channel.secure { TLS } else { 0 } | ADDRESSES;
    let numbers = [channel.session.cast_signed(), c_int::from(channel.kind.0), c_int::from(channel.id), flags];
    ChannelEventInfo::new(numbers, &bytes(channel.local), &bytes(channel.peer))
}

/// A `struct sockaddr`: one of a UNIX socket without a name for what is no IP.
fn bytes(address: Option<SocketAddr>) -> Vec<u8> {
    let family = |family: c_int| u16::try_from(family).unwrap_or(0).to_ne_bytes().to_vec();
    match address {
        None => family(libc::AF_UNIX),
        Some(SocketAddr::V4(address)) => {
            let mut bytes = family(libc::AF_INET);
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend([0; 8]);
            bytes
        }
        Some(SocketAddr::V6(address)) => {
            let mut bytes = family(libc::AF_INET6);
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.flowinfo().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend(address.scope_id().to_ne_bytes());
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_in_c() {
        let v4 = bytes(Some("127.0.0.1:5900".parse().unwrap()));
        assert_eq!(v4, [2, 0, 0x17, 0x0c, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let v6 = bytes(Some("[::1]:1".parse().unwrap()));
        assert_eq!((v6.len(), &v6[..4], v6[23]), (28, &[10, 0, 0, 1][..], 1));
        assert_eq!(bytes(None), [1, 0]);
    }
}
