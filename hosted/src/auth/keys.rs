//! [`TicketKey`]: the RSA key of one link, and [`KeyStock`], which has some ready.
//!
//! The protocol fixes a 1024-bit key with a 162-byte public form, one per link. Making one takes
//! about 10 ms and a viewer opens eight links or more at once, so a thread makes them ahead.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sumac_core::proto::link::{PUB_KEY_BYTES, TICKET_BYTES};
use tokio::sync::{Mutex, mpsc};
use zeroize::Zeroizing;

use super::sys::Rsa;

/// Size of a ticket key, in bits; what it encrypts is as long.
pub(super) const KEY_BITS: usize = 8 * TICKET_BYTES;

/// Keys kept ready: the links of a viewer and a half.
const STOCK: usize = 16;
/// With fewer than this the next key is made at once.
const LOW: usize = 4;
/// With more, the thread rests this long before each key, so that it does not take the processor
/// from the viewer that is connecting just now.
const REST: Duration = Duration::from_millis(250);

/// The key of one link. [`decrypt`](Self::decrypt) uses it up.
pub struct TicketKey {
    rsa: Rsa,
    public_key: [u8; PUB_KEY_BYTES],
}

/// What a ticket decrypted to: at most 86 bytes, wiped when dropped.
pub struct Plaintext {
    bytes: Zeroizing<[u8; TICKET_BYTES]>,
    len: usize,
}

/// The ticket was not encrypted with this link's key, or not with OAEP and SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ticket cannot be decrypted with this link's key")]
pub struct Undecryptable;

/// There is no key to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The crypto library refused to make one.
    #[error("the crypto library cannot make a {KEY_BITS}-bit RSA key")]
    Library,
    /// The thread that makes them has ended.
    #[error("the thread that makes ticket keys has ended")]
    Stopped,
}

/// Keys made ahead by a thread of their own; at most 16 wait, plus one in the thread's hand.
pub struct KeyStock {
    ready: Mutex<mpsc::Receiver<Made>>,
    maker: Option<JoinHandle<()>>,
}

type Made = Result<TicketKey, KeyError>;

impl TicketKey {
    /// Makes a key; takes about 10 ms, so never on a thread that does I/O.
    pub fn generate() -> Result<Self, KeyError> {
        let rsa = Rsa::generate().ok_or(KeyError::Library)?;
        let public_key = rsa.public_key().ok_or(KeyError::Library)?;
        Ok(Self { rsa, public_key })
    }

    /// The public half as it stands in the link reply.
    pub fn public_key(&self) -> &[u8; PUB_KEY_BYTES] {
        &self.public_key
    }

    /// Decrypts the ticket of this key's link; takes about 0.1 ms.
    pub fn decrypt(self, encrypted: &[u8; TICKET_BYTES]) -> Result<Plaintext, Undecryptable> {
        let mut bytes = Zeroizing::new([0; TICKET_BYTES]);
        let len = self.rsa.decrypt_oaep(encrypted, &mut bytes).ok_or(Undecryptable)?;
        Ok(Plaintext { bytes, len })
    }
}

impl Plaintext {
    /// The decrypted bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl KeyStock {
    /// Starts the thread that makes the keys.
    pub fn start() -> io::Result<Self> {
        let (stock, ready) = mpsc::channel(STOCK);
        let maker = thread::Builder::new().name("sumac-keys".into()).spawn(move || make_keys(&stock))?;
        Ok(Self { ready: Mutex::new(ready), maker: Some(maker) })
    }

    /// A stock that has no keys and makes none.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn empty() -> Self {
        let (_, ready) = mpsc::channel(1);
        Self { ready: Mutex::new(ready), maker: None }
    }

    /// A key for one link. When the stock is empty this waits for the next key that the thread
    /// makes; callers are served in the order in which they asked.
    pub async fn take(&self) -> Result<TicketKey, KeyError> {
        let mut ready = self.ready.lock().await;
        if ready.len() <= LOW {
            self.wake_maker();
        }
        ready.recv().await.unwrap_or(Err(KeyError::Stopped))
    }

    fn wake_maker(&self) {
        if let Some(maker) = &self.maker {
            maker.thread().unpark();
        }
    }
}

impl Drop for KeyStock {
    /// Ends the thread and waits for it: as long as one key takes.
    fn drop(&mut self) {
        self.ready.get_mut().close();
        // The thread may wait for room; taking what is there lets it see the closed channel at once.
        while self.ready.get_mut().try_recv().is_ok() {}
        self.wake_maker();
        if let Some(maker) = self.maker.take() {
            // A panic of the thread was reported by the panic hook and must not spread from a drop.
            let _ = maker.join();
        }
    }
}

/// Keeps the stock full until nobody wants keys any more.
fn make_keys(stock: &mpsc::Sender<Made>) {
    while stock.blocking_send(TicketKey::generate()).is_ok() {
        // What is left of the capacity is free.
        if STOCK.saturating_sub(stock.capacity()) >= LOW {
            thread::park_timeout(REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::sys::encrypt_for_tests;

    /// DER up to the modulus for a 1024-bit key: SEQUENCE { SEQUENCE { rsaEncryption, NULL },
    /// BIT STRING { SEQUENCE { INTEGER (129 bytes) …
    const SPKI_HEAD: [u8; 29] = [
        0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
        0x03, 0x81, 0x8d, 0x00, 0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00,
    ];
    /// DER behind the modulus: INTEGER 65537.
    const SPKI_TAIL: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

    fn decrypt(plain: &[u8]) -> Vec<u8> {
        let key = TicketKey::generate().unwrap();
        let encrypted = encrypt_for_tests(key.public_key(), plain).unwrap();
        key.decrypt(&encrypted).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn the_public_key_has_the_form_that_the_protocol_fixes() {
        let key = TicketKey::generate().unwrap();
        assert_eq!(key.public_key().len(), 162);
        assert!(key.public_key().starts_with(&SPKI_HEAD));
        assert!(key.public_key().ends_with(&SPKI_TAIL));
    }

    #[test]
    fn decrypts_what_a_client_encrypts() {
        assert_eq!(decrypt(b"secret\0"), b"secret\0");
        assert_eq!(decrypt(b""), b"");
        assert_eq!(decrypt(&[b'x'; 86]), [b'x'; 86], "86 bytes are the most that OAEP carries");
    }

    #[test]
    fn one_key_does_not_open_the_ticket_of_another() {
        let (one, other) = (TicketKey::generate().unwrap(), TicketKey::generate().unwrap());
        let encrypted = encrypt_for_tests(one.public_key(), b"secret\0").unwrap();
        assert!(matches!(other.decrypt(&encrypted), Err(Undecryptable)));
    }

    #[test]
    fn garbage_is_undecryptable() {
        for garbage in [[0; 128], [0xff; 128], [1; 128]] {
            assert!(matches!(TicketKey::generate().unwrap().decrypt(&garbage), Err(Undecryptable)));
        }
    }

    /// What another implementation encrypts; `None` without it.
    fn encrypt_with_openssl(public_key: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let (key, input) = (dir.path().join("key"), dir.path().join("plain"));
        std::fs::write(&key, public_key).unwrap();
        std::fs::write(&input, plain).unwrap();
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-pkeyopt", "rsa_padding_mode:oaep"]);
        openssl.arg("-inkey").arg(key).arg("-in").arg(input);
        Some(openssl.output().ok().filter(|output| output.status.success())?.stdout)
    }

    #[test]
    fn decrypts_what_openssl_encrypts() {
        let key = TicketKey::generate().unwrap();
        let Some(encrypted) = encrypt_with_openssl(key.public_key(), b"secret\0") else {
            println!("SKIPPED: openssl(1) is not here or too old");
            return;
        };
        let encrypted = encrypted.try_into().expect("128 bytes");
        assert_eq!(key.decrypt(&encrypted).unwrap().as_bytes(), b"secret\0");
    }

    #[tokio::test]
    async fn the_stock_gives_a_new_key_each_time_also_beyond_its_size() {
        let stock = KeyStock::start().unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..=STOCK + 1 {
            assert!(seen.insert(*stock.take().await.unwrap().public_key()));
        }
    }

    /// Waits until so many keys are there.
    fn filled(stock: &KeyStock, keys: usize) {
        while stock.ready.try_lock().unwrap().len() < keys {
            stock.wake_maker();
            thread::sleep(Duration::from_millis(1));
        }
    }

    // `drop` joins: these hang if the thread does not end.
    #[test]
    fn dropping_a_full_stock_ends_its_thread() {
        let stock = KeyStock::start().unwrap();
        filled(&stock, STOCK);
        drop(stock);
    }

    #[test]
    fn dropping_an_empty_or_resting_stock_ends_its_thread() {
        drop(KeyStock::start().unwrap());
        let stock = KeyStock::start().unwrap();
        filled(&stock, LOW);
        drop(stock);
    }
}
