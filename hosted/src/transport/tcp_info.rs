//! What the kernel knows of a TCP connection's path.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::sys;

/// A look at a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    /// Bytes that the kernel has taken and the peer has not acknowledged.
    pub(crate) in_flight: u64,
    /// Bytes that the kernel has ever taken.
    pub(crate) handed: u64,
    /// About how many of them arrived, also behind others that did not: whole segments are counted.
    pub(crate) delivered: u64,
    /// Some were lost and are sent again.
    pub(crate) recovers: bool,
    /// Bytes that the congestion window allows on the way.
    pub(crate) window: u64,
    /// Smoothed round trip.
    pub(crate) rtt: Duration,
    /// Shortest round trip of the last minutes; 0 before the first.
    pub(crate) min_rtt: Duration,
    /// Bytes a second that were last delivered; 0 before there was a measurement.
    pub(crate) delivery_rate: u64,
    /// That rate was all there was to send, and not all that the link could carry.
    pub(crate) app_limited: bool,
}

impl TcpInfo {
    /// Asks the kernel; fails for what is not a TCP socket.
    pub(crate) fn of(socket: impl AsFd) -> io::Result<Self> {
        let mut bytes = [0; sys::TCP_INFO_BYTES];
        sys::tcp_info(socket.as_fd(), &mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    /// Picks the fields out of `struct tcp_info` of linux/tcp.h; those that a kernel before
    /// 4.19 does not have are 0.
    fn parse(info: &[u8; sys::TCP_INFO_BYTES]) -> Self {
        let u32_at = |at: usize| info[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let u64_at = |at: usize| info[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let micros = |at| Duration::from_micros(u32_at(at).into());
        let segment = u64::from(u32_at(SND_MSS));
        // A path that was never measured says "all ones".
        let min_rtt = if u32_at(MIN_RTT) == u32::MAX { Duration::ZERO } else { micros(MIN_RTT) };
        let sent = u64_at(BYTES_SENT).saturating_sub(u64_at(BYTES_RETRANS));
        let handed = sent + u64::from(u32_at(NOTSENT_BYTES));
        Self {
            in_flight: handed.saturating_sub(u64_at(BYTES_ACKED)),
            handed,
            delivered: u64::from(u32_at(DELIVERED)) * segment,
            recovers: info[CA_STATE] >= CA_RECOVERY,
            window: u64::from(u32_at(SND_CWND)) * segment,
            rtt: micros(RTT),
            min_rtt,
            delivery_rate: u64_at(DELIVERY_RATE),
            app_limited: info[FLAGS] & APP_LIMITED != 0,
        }
    }
}

// Offsets into `struct tcp_info`, which only ever grows at its end.
const CA_STATE: usize = 1;
/// `TCP_CA_Recovery`; `TCP_CA_Loss` is more.
const CA_RECOVERY: u8 = 3;
const FLAGS: usize = 7;
const APP_LIMITED: u8 = if cfg!(target_endian = "little") { 1 } else { 0x80 };
const SND_MSS: usize = 16;
const RTT: usize = 68;
const SND_CWND: usize = 80;
const BYTES_ACKED: usize = 120;
const NOTSENT_BYTES: usize = 144;
const MIN_RTT: usize = 148;
const DELIVERY_RATE: usize = 160;
const DELIVERED: usize = 192;
const BYTES_SENT: usize = 200;
const BYTES_RETRANS: usize = 208;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn bytes_that_the_peer_does_not_read_are_in_flight() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let idle = TcpInfo::of(&ours).unwrap();
        assert!(idle.in_flight == 0 && idle.window > 0, "{idle:?}");
        ours.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(n) = ours.write(&[7; 65536]) {
            sent += n as u64;
        }
        let full = TcpInfo::of(&ours).unwrap();
        assert!(full.in_flight > 0 && full.in_flight <= sent, "{full:?} of {sent}");
        assert!(full.handed == sent && full.delivered > 0 && !full.recovers, "{full:?} of {sent}");
        drop(ours);
        assert_eq!(theirs.read_to_end(&mut Vec::new()).unwrap() as u64, sent);
    }

    #[test]
    fn another_kind_of_socket_is_an_error() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(TcpInfo::of(&one).is_err());
    }
}
