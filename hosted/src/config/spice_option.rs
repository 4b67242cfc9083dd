//! QEMU's `-spice` option string: `port=5900,addr=127.0.0.1,disable-ticketing=on`.
//!
//! Words and escapes are QEMU's: a comma ends a value, `,,` is a comma in it, a boolean word without
//! a value means `on`, the last of several equal words wins. A word that QEMU knows and this build
//! does not serve is an error.
//!
//! As in QEMU, `password=` can be seen by everybody who may list processes; a file is safer.

use std::ffi::OsStr;
use std::str::FromStr;

use sumac_core::link::Security;
use zeroize::Zeroizing;

use super::{ChannelWord, Config, Family, KeyPassword, Ticketing, Tls, UnixAddress, ValueError};
use crate::auth::{Password, PasswordError};

/// Words that are served.
const SERVED: &[&str] = &[
    "addr",
    "disable-agent-file-xfer",
    "disable-copy-paste",
    "disable-ticketing",
    "gl",
    "image-compression",
    "ipv4",
    "ipv6",
    "jpeg-wan-compression",
    "password",
    "plaintext-channel",
    "playback-compression",
    "port",
    "rendernode",
    "sasl",
    "seamless-migration",
    "streaming-video",
    "tls-channel",
    "tls-port",
    "unix",
    "video-codecs",
    "x509-cacert-file",
    "x509-cert-file",
    "x509-dir",
    "x509-key-file",
    "x509-key-password",
    "zlib-glz-wan-compression",
];

/// Words that QEMU knows and this build does not serve.
const UNSERVED: &[&str] = &["agent-mouse", "max-refresh-rate", "password-secret", "tls-ciphers", "x509-dh-key-file"];

/// What is wrong with an option string. The message names the word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// Nobody knows this word.
    #[error("unknown word '{word}'; supported are {}", SERVED.join(", "))]
    Unknown {
        /// The word.
        word: String,
    },
    /// QEMU knows it, this build does not serve it.
    #[error("'{word}' is a word of QEMU's that is not in this build yet; supported are {}", SERVED.join(", "))]
    NotBuilt {
        /// The word.
        word: String,
    },
    /// A word that is not a boolean stands alone.
    #[error("'{word}' needs a value, as in {word}=VALUE")]
    NoValue {
        /// The word.
        word: String,
    },
    /// The value does not fit the word.
    #[error("{word}: {source}")]
    Value {
        /// The word.
        word: String,
        /// What is wrong with it.
        source: ValueError,
    },
    /// The password cannot be one; its text is not repeated.
    #[error("password: {0}")]
    Password(PasswordError),
    /// `unix=on` without a path.
    #[error("unix=on needs addr=PATH")]
    UnixWithoutPath,
}

/// Changes `config` as QEMU's option string `text` asks; leaves it alone when there is an error.
pub fn apply_spice_options(text: &str, config: &mut Config) -> Result<(), OptionError> {
    let mut wanted = Wanted::default();
    for (word, value) in split(text) {
        wanted.take(&word, value)?;
    }
    wanted.apply(config)
}

/// What the string says so far. Words may come in any order, so they are joined at the end.
#[derive(Default)]
struct Wanted {
    addr: Option<String>,
    port: Option<u16>,
    tls_port: Option<u16>,
    tls: Tls,
    channel_security: Vec<(ChannelWord, Security)>,
    unix: bool,
    ipv4: bool,
    ipv6: bool,
    password: Option<Password>,
    disable_ticketing: Option<bool>,
    sasl: Option<bool>,
    disable_copy_paste: Option<bool>,
    disable_agent_file_xfer: Option<bool>,
    image_compression: Option<super::ImageCompression>,
    playback_compression: Option<bool>,
    jpeg_wan_compression: Option<super::WanCompression>,
    zlib_glz_wan_compression: Option<super::WanCompression>,
    streaming_video: Option<super::StreamingVideo>,
    video_codecs: Option<super::VideoCodecs>,
    rendernode: Option<String>,
}

impl Wanted {
    fn take(&mut self, word: &str, value: Option<String>) -> Result<(), OptionError> {
        match word {
            "addr" => self.addr = Some(text(word, value)?),
            "port" => self.port = Some(port(word, value)?),
            "tls-port" => self.tls_port = Some(port(word, value)?),
            "tls-channel" => self.channel_security.push((parsed(word, value)?, Security::Secured)),
            "plaintext-channel" => self.channel_security.push((parsed(word, value)?, Security::Unsecured)),
            "x509-dir" => self.tls.dir = Some(text(word, value)?.into()),
            "x509-cert-file" => self.tls.certificate = Some(text(word, value)?.into()),
            "x509-key-file" => self.tls.key = Some(text(word, value)?.into()),
            "x509-cacert-file" => self.tls.ca = Some(text(word, value)?.into()),
            "x509-key-password" => {
                self.tls.key_password = Some(KeyPassword::Text(Zeroizing::new(text(word, value)?)));
            }
            "unix" => self.unix = boolean(word, value)?,
            "ipv4" => self.ipv4 = boolean(word, value)?,
            "ipv6" => self.ipv6 = boolean(word, value)?,
            "password" => self.password = Some(Password::new(text(word, value)?).map_err(OptionError::Password)?),
            "disable-copy-paste" => self.disable_copy_paste = Some(boolean(word, value)?),
            "disable-agent-file-xfer" => self.disable_agent_file_xfer = Some(boolean(word, value)?),
            "disable-ticketing" => self.disable_ticketing = Some(boolean(word, value)?),
            "playback-compression" => self.playback_compression = Some(boolean(word, value)?),
            "image-compression" => self.image_compression = Some(parsed(word, value)?),
            "jpeg-wan-compression" => self.jpeg_wan_compression = Some(parsed(word, value)?),
            "zlib-glz-wan-compression" => self.zlib_glz_wan_compression = Some(parsed(word, value)?),
            "streaming-video" => self.streaming_video = Some(parsed(word, value)?),
            "video-codecs" | "video-codec" => self.video_codecs = Some(parsed(word, value)?),
            "sasl" => self.sasl = Some(boolean(word, value)?),
            "rendernode" => self.rendernode = Some(text(word, value)?),
            // Whether the pictures are drawn by GL is for their source to say.
            "gl" => drop(boolean(word, value)?),
            // libvirt always writes it. It says what to try when a virtual machine moves, and none does here.
            "seamless-migration" => drop(boolean(word, value)?),
            _ => return Err(unserved(word)),
        }
        Ok(())
    }

    fn apply(self, config: &mut Config) -> Result<(), OptionError> {
        if self.unix {
            let path = self.addr.filter(|path| !path.is_empty()).ok_or(OptionError::UnixWithoutPath)?;
            config.listen.unix = Some(UnixAddress::from(OsStr::new(&path)));
        } else if let Some(addr) = self.addr {
            config.listen.addr = addr;
        }
        config.listen.port = self.port.or(config.listen.port);
        config.listen.tls_port = self.tls_port.or(config.listen.tls_port);
        config.tls.overrule(self.tls);
        config.channel_security.extend(self.channel_security);
        config.listen.family = match (self.ipv4, self.ipv6) {
            (true, false) => Family::V4,
            (false, true) => Family::V6,
            _ => config.listen.family,
        };
        match (self.disable_ticketing, self.password) {
            (Some(true), _) => config.ticketing = Ticketing::Disabled,
            (_, Some(password)) => config.ticketing = Ticketing::Password(password),
            _ => {}
        }
        config.sasl.on = self.sasl.unwrap_or(config.sasl.on);
        config.image_compression = self.image_compression.unwrap_or(config.image_compression);
        config.copy_paste = self.disable_copy_paste.map_or(config.copy_paste, |off| !off);
        config.file_transfer = self.disable_agent_file_xfer.map_or(config.file_transfer, |off| !off);
        config.playback_compression = self.playback_compression.unwrap_or(config.playback_compression);
        config.jpeg_wan_compression = self.jpeg_wan_compression.unwrap_or(config.jpeg_wan_compression);
        config.zlib_glz_wan_compression = self.zlib_glz_wan_compression.unwrap_or(config.zlib_glz_wan_compression);
        config.streaming_video = self.streaming_video.unwrap_or(config.streaming_video);
        if let Some(codecs) = self.video_codecs {
            config.video_codecs = codecs;
        }
        if let Some(node) = self.rendernode {
            config.rendernode = Some(node.into());
        }
        Ok(())
    }
}

/// Splits at single commas into words with their values.
fn split(text: &str) -> Vec<(String, Option<String>)> {
    let mut items = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends = c == ',' && chars.next_if_eq(&',').is_none();
        match items.last_mut() {
            Some(item) if !ends => item.push(c),
            _ => items.push(String::new()),
        }
    }
    // A comma at the end, and a string without any word, are no words.
    items.pop_if(|last| last.is_empty());
    let split_item = |item: String| match item.split_once('=') {
        Some((word, value)) => (word.to_owned(), Some(value.to_owned())),
        None => (item, None),
    };
    items.into_iter().map(split_item).collect()
}

/// Why a word is not served.
fn unserved(word: &str) -> OptionError {
    let word = word.to_owned();
    if UNSERVED.contains(&word.as_str()) { OptionError::NotBuilt { word } } else { OptionError::Unknown { word } }
}

fn text(word: &str, value: Option<String>) -> Result<String, OptionError> {
    value.ok_or_else(|| OptionError::NoValue { word: word.into() })
}

fn boolean(word: &str, value: Option<String>) -> Result<bool, OptionError> {
    match value.as_deref() {
        None | Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(bad(word, other, "on or off")),
    }
}

fn port(word: &str, value: Option<String>) -> Result<u16, OptionError> {
    let value = text(word, value)?;
    value.parse().map_err(|_| bad(word, &value, "a port number from 0 to 65535"))
}

fn parsed<T: FromStr<Err = ValueError>>(word: &str, value: Option<String>) -> Result<T, OptionError> {
    text(word, value)?.parse().map_err(|source| OptionError::Value { word: word.into(), source })
}

fn bad(word: &str, value: &str, expected: &str) -> OptionError {
    let source = ValueError::Invalid { value: value.into(), expected: expected.into() };
    OptionError::Value { word: word.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ImageCompression, StreamingVideo, VideoCodec, WanCompression};

    fn apply(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        apply_spice_options(text, &mut config).map(|()| config).map_err(|error| error.to_string())
    }

    fn ticketing(text: &str) -> String {
        match apply(text).unwrap().ticketing {
            Ticketing::Password(password) => password.reveal().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn addresses_and_ports() {
        for (text, addr, port, family) in [
            ("", "127.0.0.1", Some(5900), Family::Any),
            ("port=5930", "127.0.0.1", Some(5930), Family::Any),
            ("port=0,addr=::1", "::1", Some(0), Family::Any),
            ("port=1,port=2", "127.0.0.1", Some(2), Family::Any),
            ("addr=,port=5901", "", Some(5901), Family::Any),
            ("addr=host,ipv4=on", "host", Some(5900), Family::V4),
            ("addr=host,ipv6", "host", Some(5900), Family::V6),
            ("addr=host,ipv4=on,ipv6=on", "host", Some(5900), Family::Any),
            ("port=65535,", "127.0.0.1", Some(65535), Family::Any),
        ] {
            let listen = apply(text).unwrap().listen;
            assert_eq!((listen.addr.as_str(), listen.tcp_port(), listen.family), (addr, port, family), "{text}");
        }
    }

    #[test]
    fn a_unix_socket_takes_the_address() {
        let listen = apply("unix=on,addr=/run/a,,b").unwrap().listen;
        assert_eq!(listen.unix, Some(UnixAddress::Path("/run/a,b".into())));
        assert_eq!(listen.tcp_port(), None);
        let abstract_name = apply("addr=@name,unix=on,port=5900").unwrap().listen;
        assert_eq!(abstract_name.unix, Some(UnixAddress::Abstract(b"name".to_vec())));
        assert_eq!(abstract_name.tcp_port(), Some(5900));
        assert_eq!(apply("unix=off,addr=::1").unwrap().listen.unix, None);
        assert_eq!(apply("unix=on").unwrap_err(), "unix=on needs addr=PATH");
        assert_eq!(apply("unix=on,addr=").unwrap_err(), "unix=on needs addr=PATH");
    }

    #[test]
    fn passwords() {
        assert_eq!(ticketing("password=se,,cr=et"), "se,cr=et");
        assert_eq!(ticketing("disable-ticketing=on"), "Disabled");
        assert_eq!(ticketing("disable-ticketing"), "Disabled");
        assert_eq!(ticketing("password=x,disable-ticketing=on"), "Disabled");
        assert_eq!(ticketing("disable-ticketing=off"), "Generated");
        assert_eq!(ticketing("disable-ticketing=off,password=x"), "x");
        assert_eq!(apply("password=").unwrap_err(), "password: the password is empty");
        let long = apply(&format!("password={}", "x".repeat(61))).unwrap_err();
        assert_eq!(long, "password: the password has 61 bytes, the most that SPICE allows is 60");
    }

    #[test]
    fn pictures() {
        let config = apply("image-compression=off,streaming-video=all,video-codecs=spice:mjpeg").unwrap();
        assert_eq!(config.image_compression, ImageCompression::Off);
        assert_eq!(config.streaming_video, StreamingVideo::All);
        assert_eq!(config.video_codecs.as_slice(), [VideoCodec::Mjpeg]);
        let zip = apply("image-compression=zip").unwrap_err();
        assert_eq!(zip, "image-compression: 'zip' is not one of off, auto_glz, auto_lz, quic, glz, lz, lz4");
        let config = apply("jpeg-wan-compression=always,zlib-glz-wan-compression=never").unwrap();
        assert_eq!(config.jpeg_wan_compression, WanCompression::Always);
        assert_eq!(config.zlib_glz_wan_compression, WanCompression::Never);
    }

    #[test]
    fn sound_and_what_passes() {
        for (text, expected) in [
            ("", (true, true, true)),
            ("playback-compression=off", (false, true, true)),
            ("disable-copy-paste", (true, false, true)),
            ("disable-agent-file-xfer=on", (true, true, false)),
            ("playback-compression=on,disable-copy-paste=off,disable-agent-file-xfer=off", (true, true, true)),
        ] {
            let config = apply(text).unwrap();
            assert_eq!((config.playback_compression, config.copy_paste, config.file_transfer), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let served = SERVED.join(", ");
        for (text, expected) in [
            ("prot=5900", format!("unknown word 'prot'; supported are {served}")),
            ("=5", format!("unknown word ''; supported are {served}")),
            ("port=1,,addr=x", "port: '1,addr=x' is not a port number from 0 to 65535".into()),
            ("port=65536", "port: '65536' is not a port number from 0 to 65535".into()),
            ("port=-1", "port: '-1' is not a port number from 0 to 65535".into()),
            ("port", "'port' needs a value, as in port=VALUE".into()),
            ("addr", "'addr' needs a value, as in addr=VALUE".into()),
            ("disable-ticketing=yes", "disable-ticketing: 'yes' is not on or off".into()),
            ("streaming-video=on", "streaming-video: 'on' is not one of off, all, filter".into()),
            ("tls-ciphers=x", not_built("tls-ciphers")),
            ("tls-channel=x", "tls-channel: 'x' is not one of default, main, display, inputs, cursor, playback, record, tunnel, smartcard, usbredir, port, webdav".into()),
            ("gl=yes", "gl: 'yes' is not on or off".to_owned()),
            ("seamless-migration=2", "seamless-migration: '2' is not on or off".into()),
        ] {
            assert_eq!(apply(text).unwrap_err(), expected, "{text}");
        }
    }

    fn not_built(word: &str) -> String {
        let served = SERVED.join(", ");
        format!("'{word}' is a word of QEMU's that is not in this build yet; supported are {served}")
    }

    #[test]
    fn every_word_of_qemu_is_known() {
        for word in UNSERVED {
            assert_eq!(apply(&format!("{word}=some")).unwrap_err(), not_built(word));
        }
        for word in SERVED {
            assert!(!apply(word).is_err_and(|error| error.contains("supported are")), "{word}");
        }
    }

    #[test]
    fn an_error_changes_nothing() {
        let mut config = Config::default();
        apply_spice_options("port=1,disable-ticketing=on,nonsense", &mut config).unwrap_err();
        assert_eq!(config.listen, Config::default().listen);
        assert!(matches!(config.ticketing, Ticketing::Generated));
    }

    #[test]
    fn what_is_not_said_stays() {
        let mut config = Config { ticketing: Ticketing::Disabled, ..Config::default() };
        config.listen.port = Some(7);
        apply_spice_options("addr=::1", &mut config).unwrap();
        assert_eq!(config.listen.port, Some(7));
        assert!(matches!(config.ticketing, Ticketing::Disabled));
    }
}
