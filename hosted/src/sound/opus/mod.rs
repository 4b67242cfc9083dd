//! Opus by libopus, where it is installed.

#[allow(unsafe_code, reason = "libopus is a C library")]
mod sys;

use bytes::Bytes;

use super::SAMPLE_BYTES;

/// Samples a second that Opus has.
pub(super) const RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];
/// The most that a packet of 10 ms may have: 384 kbit/s, three times what libopus chooses.
const PACKET_MOST: usize = 480;
/// The longest packet: 120 ms at 48 kHz.
const SAMPLES_MOST: usize = 5760;

/// Whether sound can be coded.
pub(crate) fn is_there() -> bool {
    sys::version().is_ok()
}

/// Says in the log what sound is coded with.
pub(crate) fn report() {
    match sys::version() {
        Ok(version) => tracing::info!(library = sys::NAME, version, "sound is sent and recorded as Opus"),
        Err(why) => tracing::info!(why, "sound is sent and recorded uncompressed: Opus needs libopus0"),
    }
}

/// One encoder, for two channels.
pub(super) struct Encoder {
    encoder: sys::Encoder,
    samples: Vec<i16>,
}

impl Encoder {
    /// `None` when Opus does not have the rate or is not there.
    pub(super) fn new(rate: u32) -> Option<Self> {
        if !RATES.contains(&rate) || !is_there() {
            return None;
        }
        match sys::Encoder::open(rate) {
            Ok(encoder) => Some(Self { encoder, samples: Vec::new() }),
            Err(error) => {
                tracing::warn!(rate, error, "sound is sent uncompressed");
                None
            }
        }
    }

    /// Codes 10 ms of signed 16-bit little-endian samples.
    pub(super) fn encode(&mut self, samples: &[u8]) -> Option<Bytes> {
        self.samples.clear();
        self.samples.extend(samples.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)));
        let mut out = vec![0; PACKET_MOST];
        match self.encoder.encode(&self.samples, &mut out) {
            Ok(len) => {
                out.truncate(len);
                Some(out.into())
            }
            Err(error) => {
                tracing::warn!(bytes = samples.len(), error, "sound was not coded");
                None
            }
        }
    }
}

/// One decoder, for two channels.
pub(crate) struct Decoder {
    decoder: sys::Decoder,
    samples: Vec<i16>,
}

impl Decoder {
    /// For sound that is wanted with this many samples a second; the error says why not.
    pub(crate) fn new(rate: u32) -> Result<Self, &'static str> {
        if !RATES.contains(&rate) {
            return Err("Opus does not have this rate");
        }
        let decoder = sys::Decoder::open(rate)?;
        Ok(Self { decoder, samples: vec![0; SAMPLES_MOST * SAMPLE_BYTES / 2] })
    }

    /// Decodes a packet, which is hostile.
    pub(crate) fn decode(&mut self, packet: &[u8]) -> Result<&[i16], &'static str> {
        if packet.is_empty() {
            // To libopus that would mean a lost packet, to be made up.
            return Err("an empty packet");
        }
        let len = self.decoder.decode(packet, &mut self.samples)?;
        Ok(self.samples.get(..len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 ms of a tone of 1 kHz at 48 kHz, left only.
    fn tone() -> Vec<u8> {
        let sample = |n: i16| ((f64::from(n) * std::f64::consts::TAU / 48.0).sin() * 10_000.0) as i16;
        (0..480).flat_map(|n| [sample(n).to_le_bytes(), [0, 0]]).flatten().collect()
    }

    fn absent(test: &str) -> bool {
        let why = sys::version().err();
        if let Some(why) = why {
            println!("SKIPPED: {test}: {why}");
        }
        why.is_some()
    }

    #[test]
    fn a_tone_is_still_there_after_both_ways() {
        if absent("a_tone_is_still_there_after_both_ways") {
            return;
        }
        let (mut encoder, mut decoder) = (Encoder::new(48_000).unwrap(), Decoder::new(48_000).unwrap());
        let mut left = Vec::new();
        for _ in 0..20 {
            let packet = encoder.encode(&tone()).unwrap();
            assert!(packet.len() < 480);
            let samples = decoder.decode(&packet).unwrap();
            assert_eq!(samples.len(), 960);
            left.extend(samples.chunks(2).map(|pair| pair[0]));
        }
        let settled = &left[2400..];
        let crossings = settled.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((145..=155).contains(&crossings), "{crossings} periods in 150 ms");
    }

    #[test]
    fn rates_that_opus_does_not_have_are_refused() {
        assert!(Encoder::new(44_100).is_none());
        assert!(Decoder::new(44_100).is_err());
    }

    #[test]
    fn any_packet_is_sound_or_an_error() {
        if absent("any_packet_is_sound_or_an_error") {
            return;
        }
        let mut decoder = Decoder::new(48_000).unwrap();
        assert!(decoder.decode(&[]).is_err());
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        for _ in 0..2000 {
            let packet: Vec<u8> = (0..usize::from(byte()) * 8 + 1).map(|_| byte()).collect();
            if let Ok(samples) = decoder.decode(&packet) {
                assert!(samples.len() <= 11_520);
            }
        }
    }
}
