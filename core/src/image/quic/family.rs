//! The Golomb codes for symbols of 8 and of 5 bits, limited to 26 bits, as tables.

/// Codes to choose from; as many as a symbol has bits.
pub(super) const MAX_CODES: usize = 8;
const LENGTH_LIMIT: u32 = 26;

/// All codes for symbols of one width.
pub(super) struct Family {
    /// For each code and symbol: the low bits of the code word, and above them (from bit 8) its
    /// length, of which the rest are leading zeros.
    pub(super) words: [[u16; 256]; MAX_CODES],
    /// The length of each symbol in each code.
    pub(super) lengths: [[u16; MAX_CODES]; 256],
    /// How each code says "too large for me".
    pub(super) escapes: [Escape; MAX_CODES],
}

/// Symbols from `first` on are written as `zeros` zero bits and `symbol - first` in `suffix` bits.
#[derive(Clone, Copy)]
pub(super) struct Escape {
    pub(super) zeros: u8,
    pub(super) first: u8,
    pub(super) suffix: u8,
}

pub(super) static EIGHT_BITS: Family = Family::new(8);
pub(super) static FIVE_BITS: Family = Family::new(5);

impl Family {
    const fn new(bits: u32) -> Self {
        let mut family = Self {
            words: [[0; 256]; MAX_CODES],
            lengths: [[0; MAX_CODES]; 256],
            escapes: [Escape { zeros: 0, first: 0, suffix: 0 }; MAX_CODES],
        };
        let mut code = 0;
        while code < bits {
            let escape = Escape::new(bits, code);
            family.escapes[code as usize] = escape;
            let mut symbol = 0;
            while symbol < 1 << bits {
                let (word, length) = if symbol < escape.first as u32 {
                    let low = symbol & ((1 << code) - 1);
                    (low | (1 << code), (symbol >> code) + 1 + code)
                } else {
                    let length = escape.zeros as u32 + escape.suffix as u32;
                    (symbol - escape.first as u32, length)
                };
                family.words[code as usize][symbol as usize] = (word | (length << 8)) as u16;
                family.lengths[symbol as usize][code as usize] = length as u16;
                symbol += 1;
            }
            code += 1;
        }
        family
    }
}

impl Escape {
    const fn new(bits: u32, code: u32) -> Self {
        let all = (1 << (bits - code)) - 1;
        let most = LENGTH_LIMIT - bits;
        let zeros = if all < most { all } else { most };
        let first = zeros << code;
        let rest: u32 = (1 << bits) - first;
        Self { zeros: zeros as u8, first: first as u8, suffix: rest.next_power_of_two().trailing_zeros() as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by hand: zeros, first, suffix by code.
    #[test]
    fn escapes_are_those_of_the_protocol() {
        let got = |family: &Family, code: usize| {
            let Escape { zeros, first, suffix } = family.escapes[code];
            (zeros, first, suffix)
        };
        let eight =
            [(18, 18, 8), (18, 36, 8), (18, 72, 8), (18, 144, 7), (15, 240, 4), (7, 224, 5), (3, 192, 6), (1, 128, 7)];
        let five = [(21, 21, 4), (15, 30, 1), (7, 28, 2), (3, 24, 3), (1, 16, 4)];
        for (code, want) in eight.into_iter().enumerate() {
            assert_eq!(got(&EIGHT_BITS, code), want, "8 bits, code {code}");
        }
        for (code, want) in five.into_iter().enumerate() {
            assert_eq!(got(&FIVE_BITS, code), want, "5 bits, code {code}");
        }
    }
}
