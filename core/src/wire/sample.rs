//! Sample values of everything with a wire form, for round-trip tests, fuzz seeds and benches.

use zerocopy::FromBytes;

use super::{At, Counted, Data, Field, Items, Padded, Record, Repeat, Rest, RestOf, Sized32, Sized64, SizedAt};

/// A small deterministic source of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Sampler(u64);

/// What borrowed samples borrow from.
static POOL: [u8; 1024] = pool();

const fn pool() -> [u8; 1024] {
    let mut pool = [0; 1024];
    let mut state: u32 = 0x9e37_79b9;
    let mut i = 0;
    while i < pool.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        #[expect(clippy::indexing_slicing, reason = "the loop's own condition; const code has no iterators")]
        {
            pool[i] = state.to_le_bytes()[3];
        }
        i = i.wrapping_add(1);
    }
    pool
}

impl Sampler {
    /// Starts from `seed`; equal seeds give equal samples.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n` (0 when `n` is 0).
    pub fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        usize::try_from(self.number().checked_rem(n).unwrap_or(0)).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let i = self.below(of.len());
        of.get(i).copied()
    }

    /// Bytes, at most `most` and 256.
    pub fn bytes(&mut self, most: usize) -> &'static [u8] {
        let len = self.below(most.min(256).saturating_add(1));
        let from = self.below(512);
        POOL.get(from..from.saturating_add(len)).unwrap_or_default()
    }

    /// Records, at most 4 and `max`.
    pub fn records<T: Record>(&mut self, max: usize) -> &'static [T] {
        let n = self.below(max.min(4).saturating_add(1));
        let bytes = POOL.get(..n.saturating_mul(size_of::<T>())).unwrap_or_default();
        <[T]>::ref_from_bytes(bytes).unwrap_or_default()
    }
}

/// A type with sample values.
pub trait Sample {
    /// One of them.
    fn sample(s: &mut Sampler) -> Self;
}

/// A type of which some items lie around to sample lists of it from.
pub trait SampleItems: Field<'static> + Copy + 'static {
    /// Them.
    const ITEMS: &'static [Self];

    /// The first few of them.
    fn sample_items(s: &mut Sampler) -> &'static [Self] {
        let n = s.below(Self::ITEMS.len().saturating_add(1));
        Self::ITEMS.get(..n).unwrap_or_default()
    }
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Sample for $t {
            fn sample(s: &mut Sampler) -> Self {
                let mut bytes = [0; size_of::<$t>()];
                for (b, r) in bytes.iter_mut().zip(s.number().to_le_bytes()) {
                    *b = r;
                }
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}
integers! { u8 u16 u32 u64 i16 i32 i64 }

impl<const N: usize> Sample for [u8; N] {
    fn sample(s: &mut Sampler) -> Self {
        core::array::from_fn(|_| u8::sample(s))
    }
}

impl<C, T: Record, const MAX: usize> Sample for Counted<'static, C, T, MAX> {
    fn sample(s: &mut Sampler) -> Self {
        Self::new(s.records(MAX))
    }
}

impl<T: SampleItems> Sample for Items<'static, T> {
    fn sample(s: &mut Sampler) -> Self {
        Self::Here(T::sample_items(s))
    }
}

impl<C, T: SampleItems, const MAX: usize> Sample for Repeat<'static, C, T, MAX> {
    fn sample(s: &mut Sampler) -> Self {
        Self::new(Items::sample(s))
    }
}

impl Sample for Data<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self::Here(s.bytes(64))
    }
}

impl Sample for Sized32<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self(Data::sample(s))
    }
}

impl Sample for Sized64<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self(Data::sample(s))
    }
}

impl<T: Record, const MAX: usize> Sample for RestOf<'static, T, MAX> {
    fn sample(s: &mut Sampler) -> Self {
        Self(s.records(MAX))
    }
}

impl<T: Sample, const PAD: usize> Sample for Padded<T, PAD> {
    fn sample(s: &mut Sampler) -> Self {
        Self(T::sample(s))
    }
}

impl Sample for Rest<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self(Data::sample(s))
    }
}

impl<T: Sample> Sample for At<T> {
    fn sample(s: &mut Sampler) -> Self {
        Self((s.below(4) != 0).then(|| T::sample(s)))
    }
}

impl Sample for SizedAt<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self((s.below(4) != 0).then(|| s.bytes(32)))
    }
}
