//! [`Tls`]: the files by which the server proves who it is; [`channel_policy`]: what may travel in clear.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use sumac_core::link::{Policy, Security};
use sumac_core::proto::common::ChannelType;
use zeroize::Zeroizing;

use super::ValueError;

/// Where certificates and keys are, in PEM. Nothing set means no TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A folder with QEMU's file names: `server-cert.pem`, `server-key.pem`, `ca-cert.pem`.
    pub dir: Option<PathBuf>,
    /// The server's certificate, then those between it and its CA; overrules the folder's.
    pub certificate: Option<PathBuf>,
    /// Its private key; overrules the folder's.
    pub key: Option<PathBuf>,
    /// The certificates of the CA: they go into the connection file, and clients' certificates are
    /// checked with them. Overrules the folder's.
    pub ca: Option<PathBuf>,
    /// What the private key is encrypted with.
    pub key_password: Option<KeyPassword>,
    /// Whether clients must have a certificate of that CA. Default: no.
    pub verify_client: bool,
}

/// The password of a private key.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyPassword {
    /// This one.
    Text(Zeroizing<String>),
    /// The first line of this file, read whenever the key is.
    File(PathBuf),
}

/// A channel type in `--tls-channel` and `--plaintext-channel`, or all that are not named there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelWord(Option<ChannelType>);

/// QEMU's names.
const CHANNELS: [(ChannelWord, &str); 12] = [
    (ChannelWord(None), "default"),
    (ChannelWord(Some(ChannelType::MAIN)), "main"),
    (ChannelWord(Some(ChannelType::DISPLAY)), "display"),
    (ChannelWord(Some(ChannelType::INPUTS)), "inputs"),
    (ChannelWord(Some(ChannelType::CURSOR)), "cursor"),
    (ChannelWord(Some(ChannelType::PLAYBACK)), "playback"),
    (ChannelWord(Some(ChannelType::RECORD)), "record"),
    (ChannelWord(Some(ChannelType::TUNNEL)), "tunnel"),
    (ChannelWord(Some(ChannelType::SMARTCARD)), "smartcard"),
    (ChannelWord(Some(ChannelType::USBREDIR)), "usbredir"),
    (ChannelWord(Some(ChannelType::PORT)), "port"),
    (ChannelWord(Some(ChannelType::WEBDAV)), "webdav"),
];

impl Tls {
    /// Whether there is to be TLS.
    pub fn is_wanted(&self) -> bool {
        self.dir.is_some() || self.certificate.is_some() || self.key.is_some()
    }

    /// Takes over what `other` says.
    pub fn overrule(&mut self, other: Self) {
        self.dir = other.dir.or(self.dir.take());
        self.certificate = other.certificate.or(self.certificate.take());
        self.key = other.key.or(self.key.take());
        self.ca = other.ca.or(self.ca.take());
        self.key_password = other.key_password.or(self.key_password.take());
        self.verify_client |= other.verify_client;
    }

    /// The file with the server's certificate.
    pub fn certificate_file(&self) -> Option<PathBuf> {
        self.certificate.clone().or_else(|| Some(self.dir.as_ref()?.join("server-cert.pem")))
    }

    /// The file with its private key.
    pub fn key_file(&self) -> Option<PathBuf> {
        self.key.clone().or_else(|| Some(self.dir.as_ref()?.join("server-key.pem")))
    }

    /// The file with the CA's certificates: the one that was named, or the folder's if it is there or
    /// needed.
    pub fn ca_file(&self) -> Option<PathBuf> {
        let in_dir = || self.dir.as_ref().map(|dir| dir.join("ca-cert.pem"));
        self.ca.clone().or_else(|| in_dir().filter(|path| self.verify_client || path.exists()))
    }

    /// All files that are read, at start and again on SIGHUP.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let password = match &self.key_password {
            Some(KeyPassword::File(path)) => Some(path.clone()),
            _ => None,
        };
        [self.certificate_file(), self.key_file(), self.ca_file(), password].into_iter().flatten().collect()
    }
}

impl KeyPassword {
    /// The password.
    pub(crate) fn read(&self) -> io::Result<Zeroizing<String>> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                let text = Zeroizing::new(fs::read_to_string(path)?);
                Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
            }
        }
    }
}

impl fmt::Debug for KeyPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl FromStr for ChannelWord {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        CHANNELS.iter().find(|(_, word)| *word == text).map(|(channel, _)| *channel).ok_or_else(|| {
            let words: Vec<_> = CHANNELS.iter().map(|(_, word)| *word).collect();
            ValueError::Invalid { value: text.into(), expected: format!("one of {}", words.join(", ")) }
        })
    }
}

/// What holds after all of these were said; of two about the same channel, the later.
pub fn channel_policy(words: &[(ChannelWord, Security)]) -> Policy {
    let default =
        words.iter().rfind(|(channel, _)| channel.0.is_none()).map_or(Security::Any, |(_, security)| *security);
    words.iter().fold(Policy::all(default), |policy, (channel, security)| match channel.0 {
        Some(channel) => policy.with(channel, *security),
        None => policy,
    })
}

/// The channels that this policy lets over TLS, by name; `None` when that is all of them.
pub(crate) fn secure_channels(policy: &Policy) -> Option<Vec<&'static str>> {
    let over_tls = |channel: &ChannelWord| channel.0.is_some_and(|channel| policy.of(channel) != Security::Unsecured);
    let names: Vec<_> = CHANNELS.iter().filter(|(channel, _)| over_tls(channel)).map(|(_, word)| *word).collect();
    (names.len() + 1 < CHANNELS.len()).then_some(names)
}

/// The name of channels of this type.
pub(crate) fn channel_name(channel: ChannelType) -> &'static str {
    CHANNELS.iter().find(|(known, _)| known.0 == Some(channel)).map_or("other", |(_, word)| *word)
}

/// Whether any channel may be linked in clear.
pub(crate) fn allows_clear(policy: &Policy) -> bool {
    CHANNELS.iter().filter_map(|(channel, _)| channel.0).any(|channel| policy.of(channel) != Security::Secured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> ChannelWord {
        text.parse().unwrap()
    }

    #[test]
    fn a_folder_has_the_names_of_qemu_and_files_overrule_it() {
        assert!(!Tls::default().is_wanted());
        let tls = Tls { dir: Some("/pki".into()), key: Some("/k".into()), verify_client: true, ..Tls::default() };
        assert!(tls.is_wanted());
        assert_eq!(tls.certificate_file(), Some("/pki/server-cert.pem".into()));
        assert_eq!(tls.key_file(), Some("/k".into()));
        assert_eq!(tls.ca_file(), Some("/pki/ca-cert.pem".into()));
        assert_eq!(Tls { verify_client: false, ..tls }.ca_file(), None, "it is not there, and nobody needs it");
    }

    #[test]
    fn a_channel_has_what_was_said_last_or_the_default() {
        let policy = channel_policy(&[
            (word("main"), Security::Unsecured),
            (word("default"), Security::Secured),
            (word("main"), Security::Secured),
            (word("playback"), Security::Unsecured),
        ]);
        assert_eq!(policy.of(ChannelType::MAIN), Security::Secured);
        assert_eq!(policy.of(ChannelType::PLAYBACK), Security::Unsecured);
        assert_eq!(policy.of(ChannelType::WEBDAV), Security::Secured);
        let secure = secure_channels(&policy).unwrap();
        assert!(secure.contains(&"inputs") && !secure.contains(&"playback") && !secure.contains(&"default"));
        assert!(allows_clear(&policy));
        assert_eq!(secure_channels(&Policy::default()), None);
        assert!(!allows_clear(&Policy::all(Security::Secured)));
    }

    #[test]
    fn an_unknown_channel_is_an_error_that_names_the_others() {
        let error = "Main".parse::<ChannelWord>().unwrap_err().to_string();
        assert!(error.starts_with("'Main' is not one of default, main, display, inputs,"), "{error}");
    }

    #[test]
    fn a_password_is_not_shown() {
        let text = KeyPassword::Text(Zeroizing::new("secret".into()));
        assert_eq!(format!("{text:?}"), "Text(..)");
    }
}
