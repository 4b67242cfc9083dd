//! The bit stream: little-endian u32 words, each used from its most significant bit down.

/// Writes codes to lent memory.
pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    at: usize,
    /// The last `count` bits are still to be written; `count` stays below 32.
    pending: u64,
    count: u32,
}

/// The lent memory is full.
#[derive(Debug)]
pub(super) struct Full;

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, pending: 0, count: 0 }
    }

    /// Appends the low `length` bits of `word`, which has no others; at most 32.
    #[inline(always)]
    pub(super) fn put(&mut self, word: u32, length: u32) -> Result<(), Full> {
        self.pending = (self.pending << length) | u64::from(word);
        self.count += length;
        if self.count >= 32 {
            self.count -= 32;
            self.put_word((self.pending >> self.count) as u32)?;
        }
        Ok(())
    }

    /// Completes the last word, adds the empty one that decoders read ahead, and returns the
    /// length in bytes.
    pub(super) fn finish(mut self) -> Result<usize, Full> {
        if self.count > 0 {
            self.put(0, 32 - self.count)?;
        }
        self.put_word(0)?;
        Ok(self.at)
    }

    #[inline(always)]
    fn put_word(&mut self, word: u32) -> Result<(), Full> {
        let slot = self.out.get_mut(self.at..).ok_or(Full)?;
        *slot.first_chunk_mut().ok_or(Full)? = word.to_le_bytes();
        self.at += 4;
        Ok(())
    }
}

/// Reads codes.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
    /// The next `count` bits, from the most significant down; zeros follow.
    pending: u64,
    count: u32,
}

/// The data ended inside a code.
#[derive(Debug)]
pub(super) struct Ended;

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, pending: 0, count: 0 }
    }

    /// The next bits, 33 or more of them unless the data ends sooner, then zeros.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u64 {
        if self.count <= 32 {
            self.refill();
        }
        self.pending
    }

    /// Skips `length` bits, at most 33, of those just peeked at.
    #[inline(always)]
    pub(super) fn skip(&mut self, length: u32) -> Result<(), Ended> {
        self.count = self.count.checked_sub(length).ok_or(Ended)?;
        self.pending <<= length;
        Ok(())
    }

    /// Takes `length` bits, 1 to 32.
    pub(super) fn take(&mut self, length: u32) -> Result<u32, Ended> {
        let bits = (self.peek() >> (64 - length)) as u32;
        self.skip(length)?;
        Ok(bits)
    }

    /// Where the next word lies, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn refill(&mut self) {
        let Some(&word) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) else {
            return;
        };
        self.pending |= u64::from(u32::from_le_bytes(word)) << (32 - self.count);
        self.count += 32;
        self.at += 4;
    }
}
