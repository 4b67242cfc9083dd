//! Encrypted private keys through aws-lc, which reads all forms that OpenSSL writes.
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::slice;

use aws_lc_sys as aws;
use zeroize::{Zeroize, Zeroizing};

struct Bio(NonNull<aws::BIO>);
struct Key(NonNull<aws::EVP_PKEY>);
struct Pkcs8(NonNull<aws::PKCS8_PRIV_KEY_INFO>);

/// The key of a PEM file as PKCS #8; `None` when the password is not its, or there is no key.
pub(super) fn decrypt_key(pem: &[u8], password: &str) -> Option<Vec<u8>> {
    let mut password = Zeroizing::new(CString::new(password).ok()?.into_bytes_with_nul());
    let len = aws::ossl_ssize_t::try_from(pem.len()).ok()?;
    // SAFETY: `pem` is readable for `len` bytes and outlives the object, which does not write to it.
    let bio = Bio(NonNull::new(unsafe { aws::BIO_new_mem_buf(pem.as_ptr().cast(), len) })?);
    let user = password.as_mut_ptr().cast::<c_void>();
    // SAFETY: `bio` is a live object; without a callback the last argument is the password as text
    // that ends with a zero byte, which `password` is, and it is only read.
    let key = unsafe { aws::PEM_read_bio_PrivateKey(bio.0.as_ptr(), ptr::null_mut(), None, user) };
    let Some(key) = NonNull::new(key).map(Key) else {
        clear_errors();
        return None;
    };
    // SAFETY: `key` is a live object, which is only read.
    let pkcs8 = Pkcs8(NonNull::new(unsafe { aws::EVP_PKEY2PKCS8(key.0.as_ptr()) })?);
    let mut der: *mut u8 = ptr::null_mut();
    // SAFETY: `pkcs8` is a live object; as `der` is null, the call makes room and lets it point there.
    let len = unsafe { aws::i2d_PKCS8_PRIV_KEY_INFO(pkcs8.0.as_ptr(), &mut der) };
    let len = usize::try_from(len).ok().filter(|_| !der.is_null())?;
    // SAFETY: the call above wrote `len` bytes to `der`, of which we are the only owner.
    let bytes = unsafe { slice::from_raw_parts_mut(der, len) };
    let copy = bytes.to_vec();
    bytes.zeroize();
    // SAFETY: `der` was made by the library for us, and `bytes` is not used any more.
    unsafe { aws::OPENSSL_free(der.cast()) };
    Some(copy)
}

impl Drop for Bio {
    fn drop(&mut self) {
        // SAFETY: we own the object and nothing uses it any more.
        unsafe { aws::BIO_free(self.0.as_ptr()) };
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: we own the object and nothing uses it any more.
        unsafe { aws::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

impl Drop for Pkcs8 {
    fn drop(&mut self) {
        // SAFETY: we own the object and nothing uses it any more.
        unsafe { aws::PKCS8_PRIV_KEY_INFO_free(self.0.as_ptr()) }
    }
}

/// Empties this thread's error queue.
fn clear_errors() {
    // SAFETY: takes no arguments and touches only the calling thread's error queue.
    unsafe { aws::ERR_clear_error() }
}
