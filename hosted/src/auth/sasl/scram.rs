//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's part: two messages each way, no channel binding.
//!
//! ```text
//!  client-first  n,,n=USER,r=NONCE ───────────► First::parse ─► user
//!  server-first  r=NONCE+OURS,s=SALT,i=N ◄───── Challenge::new
//!  client-final  c=biws,r=NONCE+OURS,p=PROOF ─► Challenge::verify
//!  server-final  v=VERIFIER, or e=invalid-proof ◄──┘
//! ```
//!
//! Messages are read without indexing and bounded; what a client proves is compared in constant time.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::users::Keys;

/// Bytes of a client's message.
const MOST: usize = 4096;
/// Bytes of a client's nonce.
const MOST_NONCE: usize = 256;
/// What a client hears that has not proved that it knows the password.
pub(super) const FAILED: &str = "e=invalid-proof";

/// A message that is none of SCRAM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct First<'m> {
    /// Up to and with the second comma.
    header: &'m str,
    /// What is behind it.
    bare: &'m str,
    /// Whom it wants to be; nobody of ours has a name that needs SCRAM's escapes.
    pub(super) user: &'m str,
    /// For whom it wants to act, if for anybody.
    pub(super) authzid: Option<&'m str>,
    nonce: &'m str,
}

/// What the client has to answer.
pub(super) struct Challenge {
    header: String,
    nonce: String,
    /// The client's first message without its header, a comma, and ours.
    so_far: String,
    ours: usize,
    keys: Keys,
}

impl<'m> First<'m> {
    /// Reads it.
    pub(super) fn parse(message: &'m [u8]) -> Result<Self, Malformed> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(Malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(Malformed)?;
        // Channel binding is not offered: a client may say that it could.
        if !matches!(flag, "n" | "y") {
            return Err(Malformed);
        }
        let authzid = match authzid {
            "" => None,
            some => Some(some.strip_prefix("a=").filter(|name| !name.is_empty()).ok_or(Malformed)?),
        };
        let mut parts = bare.split(',');
        let mut attribute = |name| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(Malformed);
        let (user, nonce) = (attribute("n=")?, attribute("r=")?);
        let printable = nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if user.is_empty() || !(1..=MOST_NONCE).contains(&nonce.len()) || !printable {
            return Err(Malformed);
        }
        let header = text.get(..text.len().saturating_sub(bare.len())).ok_or(Malformed)?;
        Ok(Self { header, bare, user, authzid, nonce })
    }
}

impl Challenge {
    /// For a client that wants to be the user with these keys; `nonce` is random and printable.
    pub(super) fn new(first: &First<'_>, nonce: &str, keys: Keys) -> Self {
        let nonce = format!("{}{nonce}", first.nonce);
        let ours = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
        let so_far = format!("{},{ours}", first.bare);
        Self { header: first.header.to_owned(), nonce, so_far, ours: ours.len(), keys }
    }

    /// What the client is told.
    pub(super) fn message(&self) -> &str {
        self.so_far.get(self.so_far.len().saturating_sub(self.ours)..).unwrap_or_default()
    }

    /// Whether the client's last message proves that it knows the password; then, what proves to it
    /// that we know the keys.
    pub(super) fn verify(&self, message: &[u8]) -> Result<Option<String>, Malformed> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed)?;
        let mut parts = without_proof.split(',');
        let mut attribute = |name| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(Malformed);
        let (header, nonce) = (attribute("c=")?, attribute("r=")?);
        let header = STANDARD.decode(header).map_err(|_| Malformed)?;
        let proof: [u8; digest::SHA256_OUTPUT_LEN] =
            STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(Malformed)?;
        if header != self.header.as_bytes() || nonce != self.nonce {
            return Ok(None);
        }
        let message = format!("{},{without_proof}", self.so_far);
        let signature = sign(&self.keys.stored_key, &message);
        let mut client_key = proof;
        client_key.iter_mut().zip(signature.as_ref()).for_each(|(byte, other)| *byte ^= other);
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let right = bool::from(stored_key.as_ref().ct_eq(&self.keys.stored_key));
        Ok(right.then(|| format!("v={}", STANDARD.encode(sign(&self.keys.server_key, &message)))))
    }
}

fn text(message: &[u8]) -> Result<&str, Malformed> {
    let short = message.get(..message.len().min(MOST + 1)).filter(|short| short.len() <= MOST).ok_or(Malformed)?;
    std::str::from_utf8(short).ok().filter(|text| !text.contains('\0')).ok_or(Malformed)
}

fn sign(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const OURS: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    /// RFC 7677's example; its user's password is `pencil`.
    fn challenge(first: &str) -> Challenge {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        Challenge::new(&First::parse(first.as_bytes()).unwrap(), OURS, Keys::make("pencil", salt, 4096))
    }

    #[test]
    fn the_example_of_the_rfc() {
        let challenge = challenge(FIRST);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        assert_eq!(challenge.message(), format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let verifier = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(challenge.verify(last.as_bytes()), Ok(Some(verifier.to_owned())));
        // Any other byte, wherever it stands, is refused.
        for at in 0..last.len() {
            let mut other = last.clone().into_bytes();
            other[at] ^= 1;
            assert!(!matches!(challenge.verify(&other), Ok(Some(_))), "{}", other.escape_ascii());
        }
        for len in 0..last.len() {
            assert!(!matches!(challenge.verify(&last.as_bytes()[..len]), Ok(Some(_))), "{len} bytes");
        }
        let without_binding = last.replace("biws", "eSws");
        assert_eq!(challenge.verify(without_binding.as_bytes()), Ok(None), "the header of another first message");
    }

    #[test]
    fn first_messages() {
        let read = |text: &'static str| First::parse(text.as_bytes()).map(|first| (first.user, first.authzid));
        assert_eq!(read(FIRST), Ok(("user", None)));
        assert_eq!(read("y,,n=user,r=x"), Ok(("user", None)));
        assert_eq!(read("n,a=other,n=user,r=x,x=extension"), Ok(("user", Some("other"))));
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=,r=x",
            "n,,n=user,r=",
            "n,,r=x,n=user",
            "n,,m=extension,n=user,r=x",
            "n,a=,n=user,r=x",
            "n,user,n=user,r=x",
            "p=tls-unique,,n=user,r=x",
            "N,,n=user,r=x",
            "n,,n=us\0er,r=x",
            "n,,n=user,r=\u{7f}",
        ] {
            assert_eq!(read(bad), Err(Malformed), "{bad}");
        }
        let with_nonce = |len: usize| format!("n,,n=user,r={}", "x".repeat(len));
        assert!(First::parse(with_nonce(MOST_NONCE).as_bytes()).is_ok());
        assert!(First::parse(with_nonce(MOST_NONCE + 1).as_bytes()).is_err());
        let with_name = |len: usize| format!("n,,n={},r=x", "u".repeat(len));
        assert!(First::parse(with_name(MOST - 9).as_bytes()).is_ok());
        assert!(First::parse(with_name(MOST - 8).as_bytes()).is_err());
        assert!(First::parse(b"n,,n=\xff,r=x").is_err());
        for len in 0..FIRST.len() - 19 {
            assert!(First::parse(&FIRST.as_bytes()[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn last_messages_that_are_none() {
        let challenge = challenge(FIRST);
        for bad in ["", "c=biws", "p=", ",p=", "c=biws,p=AAAA", "c=b!ws,r=x,p=AAAA", "r=x,c=biws,p=AAAA"] {
            assert_eq!(challenge.verify(bad.as_bytes()), Err(Malformed), "{bad}");
        }
        let short = format!("c=biws,r={}{OURS},p={}", "rOprNGfwEbeRWgbNEkqO", STANDARD.encode([0; 31]));
        assert_eq!(challenge.verify(short.as_bytes()), Err(Malformed));
        let other = format!("c=biws,r=x,p={}", STANDARD.encode([0; 32]));
        assert_eq!(challenge.verify(other.as_bytes()), Ok(None));
        assert_eq!(challenge.verify(&[b'c'; MOST + 1]), Err(Malformed));
    }
}
