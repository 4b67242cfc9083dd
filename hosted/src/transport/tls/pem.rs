//! Certificates and private keys from PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{PemObject, SectionKind, SliceIter};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{subject, sys};
use crate::config::KeyPassword;

/// What is wrong with a file: which, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {reason}", file.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct PemError {
    file: PathBuf,
    /// Where the section begins.
    line: Option<usize>,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Pem(String),
    #[error("there is no {0} in it (no BEGIN {1})")]
    Nothing(&'static str, &'static str),
    #[error("this is no X.509 certificate")]
    NotACertificate,
    #[error("the key is encrypted: name a file with its password with --x509-key-password-file")]
    Encrypted,
    #[error("the password does not open the key")]
    WrongPassword,
    #[error("the password's file {}: {source}", file.display())]
    PasswordFile { file: PathBuf, source: io::Error },
}

impl PemError {
    fn new(file: &Path, reason: Reason) -> Self {
        Self { file: file.into(), line: None, reason }
    }

    pub(super) fn not_a_certificate(file: &Path) -> Self {
        Self::new(file, Reason::NotACertificate)
    }
}

/// All certificates of a file; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let bytes = fs::read(file).map_err(|error| PemError::new(file, error.into()))?;
    let mut found = Vec::new();
    for section in sections(file, &bytes) {
        let (line, kind, der) = section?;
        if kind == SectionKind::Certificate {
            if subject::subject(&der).is_none() {
                return Err(PemError { file: file.into(), line: Some(line), reason: Reason::NotACertificate });
            }
            found.push(CertificateDer::from(der));
        }
    }
    if found.is_empty() {
        return Err(PemError::new(file, Reason::Nothing("certificate", "CERTIFICATE")));
    }
    Ok(found)
}

/// The first private key of a file: PKCS #8, PKCS #1 or SEC 1, encrypted or not.
pub(crate) fn private_key(file: &Path, password: Option<&KeyPassword>) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = Zeroizing::new(fs::read(file).map_err(|error| PemError::new(file, error.into()))?);
    if is_encrypted(&bytes) {
        let password = password.ok_or_else(|| PemError::new(file, Reason::Encrypted))?;
        let password = password.read().map_err(|source| {
            let at = if let KeyPassword::File(path) = password { path.clone() } else { PathBuf::new() };
            PemError::new(file, Reason::PasswordFile { file: at, source })
        })?;
        let pkcs8 = sys::decrypt_key(&bytes, &password).ok_or_else(|| PemError::new(file, Reason::WrongPassword))?;
        return Ok(PrivateKeyDer::Pkcs8(pkcs8.into()));
    }
    for section in sections(file, &bytes) {
        let (_, kind, der) = section?;
        if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            return Ok(key);
        }
    }
    Err(PemError::new(file, Reason::Nothing("private key", "PRIVATE KEY")))
}

/// Certificates as a file has them.
pub(super) fn text(certificates: &[CertificateDer<'_>]) -> String {
    use base64::Engine as _;
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = base64::engine::general_purpose::STANDARD.encode(certificate);
        for (n, c) in encoded.chars().enumerate() {
            if n > 0 && n % 64 == 0 {
                text.push('\n');
            }
            text.push(c);
        }
        text.push_str("\n-----END CERTIFICATE-----\n");
    }
    text
}

/// PKCS #8 says it in the section's name, older files in a header of the section.
fn is_encrypted(pem: &[u8]) -> bool {
    pem.split(|&byte| byte == b'\n').any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    })
}

/// The sections, each with the line at which it begins.
fn sections<'b>(
    file: &'b Path,
    bytes: &'b [u8],
) -> impl Iterator<Item = Result<(usize, SectionKind, Vec<u8>), PemError>> + 'b {
    let begins = |line: &&[u8]| line.starts_with(b"-----BEGIN ");
    let mut starts = bytes.split(|&byte| byte == b'\n').enumerate().filter(move |(_, line)| begins(line));
    // Sections of a kind that the reader does not know are passed over, so their lines are, too.
    let known =
        |kind: &[u8]| [&b"CERTIFICATE"[..], b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"].contains(&kind);
    let mut next_line = move || {
        starts.find(|(_, line)| {
            let name = line.strip_prefix(b"-----BEGIN ").unwrap_or_default().trim_ascii_end();
            known(name.strip_suffix(b"-----").unwrap_or(name))
        })
    };
    SliceIter::<(SectionKind, Vec<u8>)>::new(bytes)
        .filter(|section| !matches!(section, Ok((kind, _)) if !is_read(*kind)))
        .map(move |section| {
            let line = next_line().map_or(1, |(n, _)| n + 1);
            let broken = |error: rustls::pki_types::pem::Error| PemError {
                file: file.into(),
                line: Some(line),
                reason: Reason::Pem(error.to_string()),
            };
            section.map(|(kind, der)| (line, kind, der)).map_err(broken)
        })
}

fn is_read(kind: SectionKind) -> bool {
    matches!(
        kind,
        SectionKind::Certificate | SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
    )
}
