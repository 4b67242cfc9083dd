//! Bits of headers, in the order in which they are sent.

/// Bytes of the longest header; a sequence parameter set takes about half of it.
const MOST_BYTES: usize = 96;

/// Bits in the order in which they are sent. A header is written for each picture, so they lie in
/// place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    bytes: heapless::Vec<u8, MOST_BYTES>,
    len: usize,
}

impl Bits {
    /// The bytes; zeros follow the last bit.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `count` bits of a number, the highest first.
    pub(super) fn u(&mut self, count: u32, value: u32) {
        for n in (0..count).rev() {
            if self.len.is_multiple_of(8) && self.bytes.push(0).is_err() {
                return;
            }
            let bit = (value >> n & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.len % 8);
            }
            self.len += 1;
        }
    }

    /// Exp-Golomb code of a number.
    pub(super) fn ue(&mut self, value: u32) {
        let value = value.saturating_add(1);
        let bits = 32 - value.leading_zeros();
        self.u(bits - 1, 0);
        self.u(bits, value);
    }

    /// Exp-Golomb code of a number with a sign.
    pub(super) fn se(&mut self, value: i32) {
        let code = value.unsigned_abs().saturating_mul(2);
        self.ue(if value > 0 { code - 1 } else { code });
    }

    /// The one and the zeros that end a NAL unit.
    pub(super) fn trailing(&mut self) {
        self.u(1, 1);
        let rest = self.len.next_multiple_of(8) - self.len;
        self.u(u32::try_from(rest).unwrap_or(0), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(write: impl Fn(&mut Bits)) -> String {
        let mut b = Bits::default();
        write(&mut b);
        (0..b.len()).map(|n| if b.bytes()[n / 8] >> (7 - n % 8) & 1 == 1 { '1' } else { '0' }).collect()
    }

    #[test]
    fn exp_golomb_is_table_9_2() {
        let ue = |v| bits(|b| b.ue(v));
        assert_eq!([0, 1, 2, 3, 6, 7].map(ue), ["1", "010", "011", "00100", "00111", "0001000"]);
        let se = |v| bits(|b| b.se(v));
        assert_eq!([0, 1, -1, 2, -2].map(se), ["1", "010", "011", "00100", "00101"]);
    }
}
