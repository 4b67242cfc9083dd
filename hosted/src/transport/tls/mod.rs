//! [`Acceptor`]: TLS 1.2 and 1.3 with the operator's certificate, which can be read anew at any time.
//!
//! Renegotiation, compression and older versions are not refused but absent: the library has none.

mod pem;
mod subject;
mod sys;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub use pem::PemError;

/// The parts that fuzzers see.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    pub(crate) use super::pem::{certificates, private_key};
}

use crate::config::Tls;

/// Makes connections secure.
#[derive(Debug)]
pub(crate) struct Acceptor {
    files: Tls,
    current: RefCell<Identity>,
}

/// What was read from the files.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// What the server proves; connections keep theirs when it is read anew.
    pub(crate) config: Arc<ServerConfig>,
    /// The subject of its certificate as viewers compare it: `O=Sumac,CN=desk`.
    pub(crate) subject: String,
    /// The CA's certificates, in PEM.
    pub(crate) ca: Option<String>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No certificate, or none of its files.
    #[error("TLS needs {0}: name a folder of them with --x509-dir, `sumac cert DIR` makes one")]
    Missing(&'static str),
    /// A file is not what it should be.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Certificate and key do not fit together, or the library knows neither.
    #[error("the certificate of {} with the key of {}: {source}", certificate.display(), key.display())]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library said.
        source: rustls::Error,
    },
    /// Clients cannot be verified with this.
    #[error("the CA of {}, certificate {number}: {reason}", file.display())]
    Ca {
        /// The CA's file.
        file: PathBuf,
        /// Which of its certificates, from 1.
        number: usize,
        /// What the library said.
        reason: String,
    },
}

impl Acceptor {
    /// Reads the files.
    pub(crate) fn new(files: Tls) -> Result<Self, TlsError> {
        let current = RefCell::new(Identity::read(&files)?);
        Ok(Self { files, current })
    }

    /// Reads the files again, for connections that come now; with an error all stays as it was.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        self.current.replace(Identity::read(&self.files)?);
        Ok(())
    }

    /// What holds now.
    pub(crate) fn current(&self) -> Identity {
        self.current.borrow().clone()
    }
}

impl Identity {
    fn read(files: &Tls) -> Result<Self, TlsError> {
        let certificate = files.certificate_file().ok_or(TlsError::Missing("a certificate"))?;
        let key = files.key_file().ok_or(TlsError::Missing("the key of its certificate"))?;
        let chain = pem::certificates(&certificate)?;
        let subject = chain.first().map(|first| subject::subject(first.as_ref())).unwrap_or_default();
        let subject = subject.ok_or_else(|| PemError::not_a_certificate(&certificate))?;
        let ca = files.ca_file().map(|file| pem::certificates(&file).map(|ca| (file, ca))).transpose()?;
        let private = pem::private_key(&key, files.key_password.as_ref())?;
        let unusable = |source| TlsError::Identity { certificate: certificate.clone(), key: key.clone(), source };
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let builder = if files.verify_client {
            let (file, certificates) = ca.as_ref().ok_or(TlsError::Missing("the CA of its clients"))?;
            let roots = Arc::new(roots(file, certificates)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let bad = |error: rustls::server::VerifierBuilderError| error.to_string();
            let verifier = verifier.map_err(|error| TlsError::Ca { file: file.clone(), number: 1, reason: bad(error) });
            builder.with_client_cert_verifier(verifier?)
        } else {
            builder.with_no_client_auth()
        };
        let config = Arc::new(builder.with_single_cert(chain, private).map_err(unusable)?);
        Ok(Self { config, subject, ca: ca.map(|(_, ca)| pem::text(&ca)) })
    }
}

fn roots(file: &std::path::Path, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (n, certificate) in certificates.iter().enumerate() {
        let bad = |error: rustls::Error| TlsError::Ca { file: file.into(), number: n + 1, reason: error.to_string() };
        roots.add(certificate.clone()).map_err(bad)?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use zeroize::Zeroizing;

    use super::*;
    use crate::cert;
    use crate::config::KeyPassword;

    fn made() -> (tempfile::TempDir, Tls) {
        let dir = tempfile::tempdir().unwrap();
        cert::make(dir.path(), &["desk".into()]).unwrap();
        let tls = Tls { dir: Some(dir.path().into()), ..Tls::default() };
        (dir, tls)
    }

    fn error(tls: &Tls, dir: &Path) -> String {
        Acceptor::new(tls.clone()).unwrap_err().to_string().replace(&dir.display().to_string(), "DIR")
    }

    #[test]
    fn what_sumac_made_can_be_used_also_to_verify_clients() {
        let (_dir, tls) = made();
        for verify_client in [false, true] {
            let identity = Acceptor::new(Tls { verify_client, ..tls.clone() }).unwrap().current();
            assert_eq!(identity.subject, "O=Sumac,CN=desk");
            assert!(identity.ca.unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
        }
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let (dir, tls) = made();
        let certificate = dir.path().join("server-cert.pem");
        let good = fs::read_to_string(&certificate).unwrap();
        for (text, expected) in [
            (String::new(), "DIR/server-cert.pem: there is no certificate in it (no BEGIN CERTIFICATE)"),
            (good.replace('M', "*"), "DIR/server-cert.pem, line 1: base64 decode error"),
            (format!("{good}\n{}", good.replace("END", "")), "missing section end marker"),
            (good.replace("CERTIFICATE", "CERT"), "there is no certificate in it"),
        ] {
            fs::write(&certificate, text).unwrap();
            let error = error(&tls, dir.path());
            assert!(error.contains(expected), "{error}");
        }
        fs::remove_file(&certificate).unwrap();
        assert_eq!(error(&tls, dir.path()), "DIR/server-cert.pem: No such file or directory (os error 2)");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_old_one_kept() {
        let ((dir, tls), (other, _)) = (made(), made());
        let acceptor = Acceptor::new(tls).unwrap();
        let before = acceptor.current();
        fs::copy(other.path().join("server-key.pem"), dir.path().join("server-key.pem")).unwrap();
        let error = acceptor.reload().unwrap_err().to_string();
        assert!(error.contains("server-cert.pem with the key of") && error.contains("server-key.pem"), "{error}");
        assert!(Arc::ptr_eq(&acceptor.current().config, &before.config));
        fs::copy(other.path().join("server-cert.pem"), dir.path().join("server-cert.pem")).unwrap();
        acceptor.reload().unwrap();
        assert!(!Arc::ptr_eq(&acceptor.current().config, &before.config));
    }

    #[test]
    fn an_encrypted_key_needs_its_password() {
        let (dir, tls) = made();
        let key = dir.path().join("server-key.pem");
        let plain = dir.path().join("plain.pem");
        fs::rename(&key, &plain).unwrap();
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:secret", "-in"]);
        if !openssl.arg(&plain).arg("-out").arg(&key).status().is_ok_and(|status| status.success()) {
            println!("SKIPPED: openssl(1) is not here or too old");
            return;
        }
        let with = |password: &str| Tls {
            key_password: Some(KeyPassword::Text(Zeroizing::new(password.into()))),
            ..tls.clone()
        };
        assert!(
            error(&tls, dir.path()).contains("DIR/server-key.pem: the key is encrypted"),
            "{}",
            error(&tls, dir.path())
        );
        assert!(error(&with("wrong"), dir.path()).contains("DIR/server-key.pem: the password does not open the key"));
        Acceptor::new(with("secret")).unwrap();
        let file = dir.path().join("pw");
        fs::write(&file, "secret\nmore").unwrap();
        Acceptor::new(Tls { key_password: Some(KeyPassword::File(file)), ..tls }).unwrap();
    }
}
