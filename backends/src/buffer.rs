//! Buffers for encoded pictures that are used again and again, so that a running encoder
//! allocates nothing per picture.
use std::{ops::Deref, sync::Arc};

/// The bytes of one encoded picture; a clone is another handle to the same bytes. When the last
/// handle is gone the memory is used for a later picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer(Arc<Vec<u8>>);

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Where an encoder takes its [`Buffer`]s from. Keeps at most [`Pool::KEPT`] of them; what is
/// needed beyond that is allocated and freed.
#[derive(Debug, Default)]
pub(crate) struct Pool(Vec<Arc<Vec<u8>>>);

impl Pool {
    /// One being written, one in the queue of each of a few viewers. Above it the picture is so
    /// far behind that an allocation is the least worry.
    const KEPT: usize = 8;

    /// An empty buffer filled by `write`; what `write` fails with is handed on and the memory kept.
    pub(crate) fn fill<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Buffer, E> {
        if let Some(slot) = self.0.iter_mut().find(|slot| Arc::strong_count(slot) == 1)
            && let Some(bytes) = Arc::get_mut(slot)
        {
            bytes.clear();
            write(bytes)?;
            return Ok(Buffer(Arc::clone(slot)));
        }
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        let buffer = Arc::new(bytes);
        if self.0.len() < Self::KEPT {
            self.0.push(Arc::clone(&buffer));
        }
        Ok(Buffer(buffer))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn fill(pool: &mut Pool, byte: u8) -> Buffer {
        pool.fill(|out| {
            assert!(out.is_empty());
            out.push(byte);
            Ok::<_, Infallible>(())
        })
        .unwrap()
    }

    #[test]
    fn memory_is_used_again_only_when_the_last_handle_is_gone() {
        let mut pool = Pool::default();
        let first = fill(&mut pool, 1);
        let at = first.as_ptr();
        let handle = first.clone();
        drop(first);
        assert_ne!(fill(&mut pool, 2).as_ptr(), at);
        assert_eq!(&*handle, [1]);
        drop(handle);
        assert_eq!(fill(&mut pool, 3).as_ptr(), at);
    }

    #[test]
    fn it_keeps_a_bounded_number() {
        let mut pool = Pool::default();
        let out: Vec<Buffer> = (0..20).map(|n| fill(&mut pool, n)).collect();
        assert_eq!(pool.0.len(), Pool::KEPT);
        assert!(out.iter().enumerate().all(|(n, b)| usize::from(b[0]) == n));
    }

    #[test]
    fn a_failed_write_keeps_the_memory() {
        let mut pool = Pool::default();
        let at = fill(&mut pool, 1).as_ptr();
        assert_eq!(pool.fill(|_| Err("full")), Err("full"));
        assert_eq!(fill(&mut pool, 2).as_ptr(), at);
    }
}
