//! [`Settings`]: what the application said before the server began.

use std::ffi::c_int;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sumac::auth::{Password, TicketCheck};
use sumac::config::{Config, Family, KeyPassword, Security, Tls, UnixAddress};
use sumac::source::Identity;
use zeroize::Zeroizing;

/// What the functions of the interface return when something cannot be.
pub(crate) const FAILED: c_int = -1;

/// The configuration, and what the binary has elsewhere.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) tickets: TicketCheck,
    pub(crate) identity: Identity,
}

impl Default for Settings {
    /// As the interface has it: nothing listens, nobody gets in, a viewer replaces the one before.
    fn default() -> Self {
        let mut config = Config { exclusive: true, ..Config::default() };
        config.listen.addr = String::new();
        Self { config, tickets: TicketCheck::locked(), identity: Identity::default() }
    }
}

impl Settings {
    /// SPICE_ADDR_FLAG: 1 IPv4 only, 2 IPv6 only, 4 a UNIX socket.
    pub(crate) fn set_addr(&mut self, addr: String, flags: c_int) {
        let listen = &mut self.config.listen;
        if flags & 4 != 0 {
            listen.unix = Some(UnixAddress::Path(addr.into()));
            return;
        }
        listen.addr = addr;
        listen.family = match flags & 3 {
            1 => Family::V4,
            2 => Family::V6,
            _ => Family::Any,
        };
    }

    pub(crate) fn set_port(&mut self, port: c_int) -> c_int {
        match u16::try_from(port) {
            Ok(port) => {
                self.config.listen.port = (port != 0).then_some(port);
                0
            }
            Err(_) => FAILED,
        }
    }

    /// The certificate files; ciphers and Diffie-Hellman parameters are TLS 1.3's own.
    pub(crate) fn set_tls(&mut self, port: c_int, [ca, certificate, key, password]: [Option<String>; 4]) -> c_int {
        let (Ok(port), Some(certificate), Some(key)) = (u16::try_from(port), certificate, key) else { return FAILED };
        self.config.listen.tls_port = (port != 0).then_some(port);
        self.config.tls = Tls {
            certificate: Some(certificate.into()),
            key: Some(key.into()),
            ca: ca.map(Into::into),
            key_password: password.map(|text| KeyPassword::Text(Zeroizing::new(text))),
            ..Tls::default()
        };
        0
    }

    /// A password for `lifetime` seconds, 0 for ever; none locks everybody out.
    pub(crate) fn set_ticket(&mut self, password: Option<String>, lifetime: c_int) -> c_int {
        let Some(password) = password.filter(|text| !text.is_empty()) else {
            self.tickets = TicketCheck::locked();
            return 0;
        };
        let Ok(password) = Password::new(password) else { return FAILED };
        let lifetime = u64::try_from(lifetime).ok().filter(|seconds| *seconds != 0).map(Duration::from_secs);
        self.tickets = TicketCheck::password(password, lifetime, Instant::now());
        0
    }

    /// SPICE_CHANNEL_SECURITY: 1 in clear, 2 over TLS; no channel means all that are not named.
    pub(crate) fn set_channel_security(&mut self, channel: Option<String>, security: c_int) -> c_int {
        let security = match security {
            1 => Security::Unsecured,
            2 => Security::Secured,
            _ => Security::Any,
        };
        match channel.as_deref().unwrap_or("default").parse() {
            Ok(channel) => {
                self.config.channel_security.push((channel, security));
                0
            }
            Err(error) => {
                tracing::warn!(%error, "spice_server_set_channel_security");
                FAILED
            }
        }
    }
}

/// Sets a value by its number in the interface; numbers without a word change nothing.
pub(crate) fn set_by_number<T: FromStr>(place: &mut T, number: c_int, words: &[(c_int, &str)]) -> c_int {
    let word = words.iter().find(|(known, _)| *known == number).and_then(|(_, word)| word.parse().ok());
    match word {
        Some(value) => {
            *place = value;
            0
        }
        None => FAILED,
    }
}

/// SpiceImageCompression.
pub(crate) const IMAGE_COMPRESSION: &[(c_int, &str)] =
    &[(1, "off"), (2, "auto_glz"), (3, "auto_lz"), (4, "quic"), (5, "glz"), (6, "lz"), (7, "lz4")];
/// spice_wan_compression_t.
pub(crate) const WAN_COMPRESSION: &[(c_int, &str)] = &[(1, "auto"), (2, "always"), (3, "never")];
/// SPICE_STREAM_VIDEO.
pub(crate) const STREAMING_VIDEO: &[(c_int, &str)] = &[(1, "off"), (2, "all"), (3, "filter")];

#[cfg(test)]
mod tests {
    use super::*;
    use sumac::config::{ImageCompression, StreamingVideo, WanCompression};

    #[test]
    fn numbers_are_the_header_s() {
        let mut compression = ImageCompression::Off;
        assert_eq!((set_by_number(&mut compression, 7, IMAGE_COMPRESSION), compression), (0, ImageCompression::Lz4));
        assert_eq!((set_by_number(&mut compression, 0, IMAGE_COMPRESSION), compression), (-1, ImageCompression::Lz4));
        assert_eq!(set_by_number(&mut compression, 8, IMAGE_COMPRESSION), -1);
        let mut wan = WanCompression::Auto;
        assert_eq!((set_by_number(&mut wan, 3, WAN_COMPRESSION), wan), (0, WanCompression::Never));
        let mut video = StreamingVideo::Off;
        assert_eq!((set_by_number(&mut video, 3, STREAMING_VIDEO), video), (0, StreamingVideo::Filter));
    }

    #[test]
    fn nothing_listens_and_nobody_gets_in_unless_it_is_said() {
        let mut settings = Settings::default();
        let listen = &settings.config.listen;
        assert!(listen.port.is_none() && listen.tls_port.is_none() && listen.unix.is_none());
        assert_eq!((settings.set_port(65536), settings.set_port(-1), settings.set_port(5900)), (-1, -1, 0));
        assert_eq!(settings.config.listen.port, Some(5900));
        settings.set_addr("/run/s".into(), 4);
        assert_eq!(settings.config.listen.unix, Some(UnixAddress::Path("/run/s".into())));
        assert_eq!(settings.set_ticket(Some("x".repeat(61)), 0), -1);
        assert_eq!((settings.set_ticket(Some("x".into()), 0), settings.set_ticket(None, 0)), (0, 0));
        assert_eq!(settings.set_channel_security(Some("tunnels".into()), 1), -1);
        assert_eq!(settings.set_channel_security(None, 2), 0);
        assert_eq!(settings.set_tls(1, [None, Some("c".into()), None, None]), -1);
    }
}
