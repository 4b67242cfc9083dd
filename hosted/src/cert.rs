//! [`make`]: a CA and a server certificate in the files that QEMU and `--x509-dir` expect.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Who may read a private key, and who a certificate.
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
/// No certificate ends before the operator wants it to.
const LAST_YEAR: i32 = 2099;

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// A file cannot be written, or is there already.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name cannot be one, or the library failed.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// Makes `ca-cert.pem`, `ca-key.pem`, `server-cert.pem` and `server-key.pem` in `dir`, which is made
/// if it is not there; what is there already is an error. `names` are the host names and IP addresses
/// by which viewers reach the server; the first one is in its subject. Answers that subject.
pub fn make(dir: &Path, names: &[String]) -> Result<String, CertError> {
    let host = names.first().map_or("localhost", String::as_str);
    let mut ca = params(&format!("CA of {host}"), &[])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
    let mut server = params(host, names)?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let server = server.signed_by(&key, &ca)?;
    std::fs::create_dir_all(dir).map_err(|source| CertError::Write { path: dir.into(), source })?;
    for (name, text, mode) in [
        ("ca-key.pem", ca.key().serialize_pem(), SECRET),
        ("ca-cert.pem", ca.pem(), PUBLIC),
        ("server-key.pem", key.serialize_pem(), SECRET),
        ("server-cert.pem", server.pem(), PUBLIC),
    ] {
        let path = dir.join(name);
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|source| CertError::Write { path, source })?;
    }
    Ok(format!("O=Sumac,CN={host}"))
}

fn params(name: &str, names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Sumac");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(LAST_YEAR, 12, 31);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_secret_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let pki = dir.path().join("pki");
        assert_eq!(make(&pki, &["desk.example".into(), "127.0.0.1".into()]).unwrap(), "O=Sumac,CN=desk.example");
        for (name, mode) in [("ca-key.pem", SECRET), ("server-key.pem", SECRET), ("ca-cert.pem", PUBLIC)] {
            assert_eq!(std::fs::metadata(pki.join(name)).unwrap().permissions().mode() & 0o777, mode);
        }
        let error = make(&pki, &[]).unwrap_err().to_string();
        assert!(error.ends_with("/pki/ca-key.pem: File exists (os error 17)"), "{error}");
    }
}
