//! [`SampleFormat`]: QEMU's forms of sound, to and from 16 bits in two channels.

/// How samples lie in memory, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleFormat {
    kind: Kind,
    big_endian: bool,
    channels: usize,
    /// Samples of each channel in a second.
    pub(super) rate: u32,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Signed, or unsigned with its middle at half of the range.
    Integer { bytes: usize, signed: bool },
    /// From -1 to 1, 32 bits.
    Float,
}

/// The most channels that are taken; more than any device of QEMU's has.
const MAX_CHANNELS: u8 = 8;

impl SampleFormat {
    /// The format that Init tells; `None` when it is none.
    pub(super) fn new(bits: u8, signed: bool, float: bool, rate: u32, channels: u8, big_endian: bool) -> Option<Self> {
        let kind = match (bits, float) {
            (8 | 16 | 32, false) => Kind::Integer { bytes: usize::from(bits) / 8, signed },
            (32, true) => Kind::Float,
            _ => return None,
        };
        let channels = usize::from(Some(channels).filter(|channels| (1..=MAX_CHANNELS).contains(channels))?);
        Some(Self { kind, big_endian, channels, rate })
    }

    /// Bytes of one sample of every channel.
    pub(super) fn frame(self) -> usize {
        self.channels * self.bytes()
    }

    fn bytes(self) -> usize {
        match self.kind {
            Kind::Integer { bytes, .. } => bytes,
            Kind::Float => 4,
        }
    }

    /// Left and right of these samples, 16 bits little-endian; one channel is both.
    pub(super) fn to_stereo(self, samples: &[u8]) -> Vec<u8> {
        let mut stereo = Vec::with_capacity(samples.len() / self.frame() * 4);
        for frame in samples.chunks_exact(self.frame()) {
            let left = self.read(frame);
            let right = if self.channels == 1 { left } else { self.read(&frame[self.bytes()..]) };
            stereo.extend_from_slice(&left.to_le_bytes());
            stereo.extend_from_slice(&right.to_le_bytes());
        }
        stereo
    }

    /// The other way: one channel is the left one, those beyond two are silent.
    pub(super) fn of_stereo(self, stereo: &[u8]) -> Vec<u8> {
        let mut samples = Vec::with_capacity(stereo.len() / 4 * self.frame());
        for &[left_low, left_high, right_low, right_high] in stereo.as_chunks::<4>().0 {
            let pair = [i16::from_le_bytes([left_low, left_high]), i16::from_le_bytes([right_low, right_high])];
            for channel in 0..self.channels {
                self.write(*pair.get(channel).unwrap_or(&0), &mut samples);
            }
        }
        samples
    }

    /// The first sample of these bytes.
    fn read(self, bytes: &[u8]) -> i16 {
        let mut word = [0; 4];
        let size = self.bytes();
        // Little-endian, and as a number of 32 bits.
        for (at, to) in word[4 - size..].iter_mut().enumerate() {
            *to = bytes[if self.big_endian { size - 1 - at } else { at }];
        }
        let number = i32::from_le_bytes(word);
        match self.kind {
            Kind::Integer { signed: true, .. } => (number >> 16) as i16,
            Kind::Integer { signed: false, .. } => ((number ^ i32::MIN) >> 16) as i16,
            Kind::Float => (f32::from_bits(number as u32) * 32768.0) as i16,
        }
    }

    fn write(self, sample: i16, samples: &mut Vec<u8>) {
        let number = match self.kind {
            Kind::Integer { signed: true, .. } => i32::from(sample) << 16,
            Kind::Integer { signed: false, .. } => (i32::from(sample) << 16) ^ i32::MIN,
            Kind::Float => (f32::from(sample) / 32768.0).to_bits() as i32,
        };
        let mut word = number.to_le_bytes();
        let size = self.bytes();
        if self.big_endian {
            word[4 - size..].reverse();
        }
        samples.extend_from_slice(&word[4 - size..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_the_way_there_and_back() {
        let stereo: Vec<u8> =
            [0, 1, -1, i16::MAX, i16::MIN, 12345].iter().flat_map(|n: &i16| n.to_le_bytes()).collect();
        for big_endian in [false, true] {
            for (bits, signed, float) in [(16, true, false), (16, false, false), (32, true, false), (32, true, true)] {
                let format = SampleFormat::new(bits, signed, float, 48000, 2, big_endian).unwrap();
                assert_eq!(format.frame(), usize::from(bits) / 4);
                let there = format.of_stereo(&stereo);
                assert_eq!(format.to_stereo(&there), stereo, "{format:?}");
            }
        }
    }

    #[test]
    fn the_bytes_are_the_formats() {
        let format = |bits, signed, channels, big| SampleFormat::new(bits, signed, false, 8000, channels, big).unwrap();
        let stereo = [0x34, 0x12, 0x00, 0x80];
        assert_eq!(format(16, true, 2, true).of_stereo(&stereo), [0x12, 0x34, 0x80, 0x00]);
        assert_eq!(format(8, false, 2, false).of_stereo(&stereo), [0x92, 0x00]);
        assert_eq!(format(8, true, 1, false).of_stereo(&stereo), [0x12]);
        assert_eq!(format(8, true, 1, false).to_stereo(&[0x12]), [0, 0x12, 0, 0x12]);
        assert_eq!(format(16, true, 4, false).of_stereo(&stereo), [0x34, 0x12, 0x00, 0x80, 0, 0, 0, 0]);
        let loud = SampleFormat::new(32, true, true, 8000, 1, false).unwrap();
        assert_eq!(loud.to_stereo(&9.0_f32.to_le_bytes()), [0xff, 0x7f, 0xff, 0x7f]);
        assert_eq!(loud.to_stereo(&f32::NAN.to_le_bytes()), [0; 4]);
    }

    #[test]
    fn what_is_no_format_is_none() {
        for (bits, float, channels) in [(24, false, 2), (16, true, 2), (16, false, 0), (16, false, 9), (0, false, 2)] {
            assert_eq!(SampleFormat::new(bits, true, float, 48000, channels, false), None);
        }
    }
}
