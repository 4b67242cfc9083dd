//! RSA through aws-lc: the only calls into C of this module, each wrapped in a safe function.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use aws_lc_sys as aws;
use sumac_core::proto::link::{PUB_KEY_BYTES, TICKET_BYTES};

use super::keys::KEY_BITS;

/// An RSA private key.
pub(super) struct Rsa(NonNull<aws::RSA>);

// SAFETY: an `RSA` object is not tied to the thread that made it, and `Rsa` is its only owner.
unsafe impl Send for Rsa {}

/// A number that only lives while a key is made.
struct Bignum(NonNull<aws::BIGNUM>);

impl Rsa {
    /// Makes a key of [`KEY_BITS`] bits with the public exponent 65537; `None` when the library fails
    /// (no memory, no randomness).
    pub(super) fn generate() -> Option<Self> {
        let exponent = Bignum::new(65537)?;
        // SAFETY: takes no arguments; returns an owned object or null.
        let rsa = Self(NonNull::new(unsafe { aws::RSA_new() })?);
        let bits = c_int::try_from(KEY_BITS).ok()?;
        // SAFETY: `rsa` and `exponent` are live objects that we own; a null callback is allowed.
        let done = unsafe { aws::RSA_generate_key_ex(rsa.0.as_ptr(), bits, exponent.0.as_ptr(), ptr::null_mut()) };
        if done == 1 {
            Some(rsa)
        } else {
            clear_errors();
            None
        }
    }

    /// The DER SubjectPublicKeyInfo; `None` when it has not the length that the protocol fixes.
    pub(super) fn public_key(&self) -> Option<[u8; PUB_KEY_BYTES]> {
        // SAFETY: `self` is a live key; a null output pointer asks for the length only.
        let len = unsafe { aws::i2d_RSA_PUBKEY(self.0.as_ptr(), ptr::null_mut()) };
        if usize::try_from(len) != Ok(PUB_KEY_BYTES) {
            clear_errors();
            return None;
        }
        let mut der = [0; PUB_KEY_BYTES];
        let mut out = der.as_mut_ptr();
        // SAFETY: `self` is a live key and `out` points to `PUB_KEY_BYTES` writable bytes, which is
        // the length that the call above reported for the same key.
        let written = unsafe { aws::i2d_RSA_PUBKEY(self.0.as_ptr(), &mut out) };
        (usize::try_from(written) == Ok(PUB_KEY_BYTES)).then_some(der)
    }

    /// Decrypts with OAEP (SHA-1, MGF1 with SHA-1, empty label) into `plain` and returns the length
    /// of the plaintext; `None` when the padding does not check out.
    pub(super) fn decrypt_oaep(&self, encrypted: &[u8; TICKET_BYTES], plain: &mut [u8; TICKET_BYTES]) -> Option<usize> {
        // SAFETY: `self` is a live key of `KEY_BITS` bits, so the call reads the `encrypted.len()`
        // bytes of `encrypted` and writes at most the size of the key, `plain.len()` bytes, to `plain`.
        let len = unsafe {
            aws::RSA_private_decrypt(
                encrypted.len(),
                encrypted.as_ptr(),
                plain.as_mut_ptr(),
                self.0.as_ptr(),
                aws::RSA_PKCS1_OAEP_PADDING,
            )
        };
        let len = usize::try_from(len).ok().filter(|&len| len <= plain.len());
        if len.is_none() {
            clear_errors();
        }
        len
    }
}

impl Drop for Rsa {
    fn drop(&mut self) {
        // SAFETY: we own the object and nothing uses it any more; the library wipes the private parts.
        unsafe { aws::RSA_free(self.0.as_ptr()) }
    }
}

impl Bignum {
    fn new(value: aws::BN_ULONG) -> Option<Self> {
        // SAFETY: takes no arguments; returns an owned object or null.
        let number = Self(NonNull::new(unsafe { aws::BN_new() })?);
        // SAFETY: `number` is a live object that we own.
        let done = unsafe { aws::BN_set_word(number.0.as_ptr(), value) };
        (done == 1).then_some(number)
    }
}

impl Drop for Bignum {
    fn drop(&mut self) {
        // SAFETY: we own the object and nothing uses it any more.
        unsafe { aws::BN_free(self.0.as_ptr()) }
    }
}

/// Empties this thread's error queue, so that a peer's bad tickets leave nothing behind.
fn clear_errors() {
    // SAFETY: takes no arguments and touches only the calling thread's error queue.
    unsafe { aws::ERR_clear_error() }
}

/// What a client does with the public key; only tests need it.
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(feature = "fuzzing"), expect(unreachable_pub, reason = "the fuzzer reaches it"))]
pub fn encrypt_for_tests(public_key: &[u8], plain: &[u8]) -> Option<[u8; TICKET_BYTES]> {
    let mut input = public_key.as_ptr();
    let len = std::ffi::c_long::try_from(public_key.len()).ok()?;
    // SAFETY: `input` points to `len` readable bytes; a null first argument asks for a new object.
    let rsa = Rsa(NonNull::new(unsafe { aws::d2i_RSA_PUBKEY(ptr::null_mut(), &mut input, len) })?);
    let mut encrypted = [0; TICKET_BYTES];
    // SAFETY: `rsa` is a live key of at most `TICKET_BYTES` bytes (all tests use our own
    // keys), `plain` is readable for its length and `encrypted` is writable for the key's size.
    let done = unsafe {
        aws::RSA_public_encrypt(
            plain.len(),
            plain.as_ptr(),
            encrypted.as_mut_ptr(),
            rsa.0.as_ptr(),
            aws::RSA_PKCS1_OAEP_PADDING,
        )
    };
    (usize::try_from(done) == Ok(encrypted.len())).then_some(encrypted)
}
