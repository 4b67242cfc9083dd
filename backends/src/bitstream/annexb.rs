//! H.264 and HEVC in Annex B form: NAL units behind start codes.

/// The NAL units of a byte stream, without start codes and the zero bytes that may follow a unit.
/// Bytes before the first start code are skipped.
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    NalUnits { rest: start_code(stream).map_or(&[], |(_, after)| &stream[after..]) }
}

/// See [`nal_units`].
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    /// Behind a start code, or empty.
    rest: &'a [u8],
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (end, after) = start_code(self.rest).unwrap_or((self.rest.len(), self.rest.len()));
            let unit = &self.rest[..end];
            self.rest = &self.rest[after..];
            let len = unit.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(&unit[..len]);
            }
        }
        None
    }
}

/// What stands at the head of an access unit, up to its first slice: all slices of a picture are of
/// one kind (H.264 7.4.1.2.4, HEVC 7.4.2.2), and reading on would cost as much as the picture is long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// A slice of a coded picture, of any kind.
    pub slice: bool,
    /// It belongs to a picture from which decoding can begin (H.264 IDR; HEVC IDR, BLA or CRA).
    pub keyframe: bool,
    /// All the parameter sets that the codec has are there.
    pub parameter_sets: bool,
    /// An access unit delimiter is there.
    pub delimiter: bool,
}

impl AccessUnit {
    /// Reads an H.264 access unit.
    pub fn h264(stream: &[u8]) -> Self {
        let (mut sps, mut pps) = (false, false);
        let mut found = Self::default();
        each_head(stream, |head| {
            match head & 0x1f {
                kind @ 1..=5 => (found.slice, found.keyframe) = (true, kind == 5),
                7 => sps = true,
                8 => pps = true,
                9 => found.delimiter = true,
                _ => {}
            }
            !found.slice
        });
        found.parameter_sets = sps && pps;
        found
    }

    /// Reads an HEVC access unit.
    pub fn hevc(stream: &[u8]) -> Self {
        let (mut vps, mut sps, mut pps) = (false, false, false);
        let mut found = Self::default();
        each_head(stream, |head| {
            match (head >> 1) & 0x3f {
                kind @ 0..=21 => (found.slice, found.keyframe) = (true, kind >= 16),
                32 => vps = true,
                33 => sps = true,
                34 => pps = true,
                35 => found.delimiter = true,
                _ => {}
            }
            !found.slice
        });
        found.parameter_sets = vps && sps && pps;
        found
    }
}

/// Gives the first byte of each NAL unit to `next` for as long as it says so.
fn each_head(stream: &[u8], mut next: impl FnMut(u8) -> bool) {
    let mut rest = stream;
    while let Some((_, after)) = start_code(rest) {
        rest = &rest[after..];
        if rest.first().is_none_or(|head| !next(*head)) {
            return;
        }
    }
}

/// The parameter sets at the head of an access unit, start codes included.
pub fn parameter_sets(hevc: bool, stream: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some((begin, unit)) = start_code(&stream[end..]) {
        let Some(head) = stream.get(end + unit) else { break };
        let is_set = if hevc { matches!((head >> 1) & 0x3f, 32..=34) } else { matches!(head & 0x1f, 7 | 8) };
        if !is_set {
            // A zero byte before a start code belongs to it.
            return &stream[..end + begin];
        }
        let next = start_code(&stream[end + unit..]).map_or(stream.len(), |(next, _)| end + unit + next);
        end = next;
    }
    &stream[..end]
}

/// Removes access unit delimiters from the head of an access unit: they are the last NAL units of
/// the *previous* picture for readers that wait for the end of a picture, and are ours to add.
pub fn strip_delimiters(hevc: bool, stream: &mut Vec<u8>) {
    loop {
        let Some((_, unit)) = start_code(stream) else { return };
        let Some(head) = stream.get(unit) else { return };
        let delimiter = if hevc { (head >> 1) & 0x3f == 35 } else { head & 0x1f == 9 };
        let Some((next, _)) = start_code(&stream[unit..]).filter(|_| delimiter) else { return };
        // A zero byte before a start code belongs to it.
        let end = unit + next;
        stream.drain(..end - usize::from(stream[end - 1] == 0));
    }
}

/// Where the first start code `00 00 01` begins, and where it ends.
fn start_code(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut from = 0;
    // The last byte of a start code is the rarest of its three.
    while let Some(found) = bytes.get(from..)?.iter().position(|b| *b == 1) {
        let at = from + found;
        if at >= 2 && bytes[at - 2..at] == [0, 0] {
            return Some((at - 2, at + 1));
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(stream: &[u8]) -> Vec<&[u8]> {
        nal_units(stream).collect()
    }

    #[test]
    fn units_are_cut_at_start_codes_of_both_lengths() {
        assert_eq!(units(&[0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 1, 2]), [&[9, 0xf0][..], &[0x65, 1, 2]]);
        assert_eq!(units(&[7, 7, 0, 0, 1, 5, 0, 0, 0, 0]), [&[5]]);
        assert_eq!(units(&[0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 6, 1, 1]), [&[6, 1, 1]]);
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        for stream in [&[][..], &[0], &[0, 0], &[0, 0, 1], &[0, 0, 0, 1], &[1, 1, 1], &[0, 1, 5], &[0, 0, 2, 5]] {
            assert!(units(stream).is_empty(), "{stream:?}");
        }
    }

    #[test]
    fn every_split_of_a_stream_is_walked_without_a_panic() {
        let stream = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 0, 0, 3, 1, 0, 0, 1];
        for from in 0..stream.len() {
            for to in from..=stream.len() {
                let part = &stream[from..to];
                assert!(units(part).iter().all(|u| !u.is_empty() && u.len() <= part.len()));
                AccessUnit::h264(part);
                AccessUnit::hevc(part);
            }
        }
    }

    #[test]
    fn delimiters_are_removed_from_the_head_only() {
        let mut stream = vec![0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 9, 2];
        strip_delimiters(false, &mut stream);
        assert_eq!(units(&stream), [&[0x67, 1][..], &[9, 2]]);
        let mut stream = vec![0, 0, 1, 0x46, 1, 0, 0, 0, 1, 0x26, 1];
        strip_delimiters(true, &mut stream);
        assert_eq!(units(&stream), [&[0x26, 1]]);
        for mut short in [vec![], vec![0, 0, 1], vec![0, 0, 1, 9], vec![0, 0, 1, 9, 0, 0, 1]] {
            strip_delimiters(false, &mut short);
        }
    }

    #[test]
    fn parameter_sets_are_the_head() {
        let key = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 1];
        assert_eq!(parameter_sets(false, &key), &key[..11]);
        assert_eq!(parameter_sets(false, &key[..11]), &key[..11]);
        assert_eq!(parameter_sets(false, &key[11..]), &[0; 0]);
        for n in 0..key.len() {
            assert!(parameter_sets(false, &key[..n]).len() <= n);
            parameter_sets(true, &key[n..]);
        }
    }

    #[test]
    fn h264_units_are_told_apart() {
        let key = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65, 1, 0, 0, 1, 0x25, 2];
        let expected = AccessUnit { slice: true, keyframe: true, parameter_sets: true, delimiter: false };
        assert_eq!(AccessUnit::h264(&key), expected);
        let delta = AccessUnit::h264(&[0, 0, 1, 9, 0xf0, 0, 0, 1, 0x41, 1]);
        assert_eq!(delta, AccessUnit { slice: true, delimiter: true, ..AccessUnit::default() });
        assert!(!AccessUnit::h264(&[0, 0, 1, 0x67, 1]).keyframe);
    }

    #[test]
    fn hevc_units_are_told_apart() {
        let key = [0, 0, 1, 0x40, 1, 0, 0, 1, 0x42, 1, 0, 0, 1, 0x44, 1, 0, 0, 1, 0x26, 1];
        let expected = AccessUnit { slice: true, keyframe: true, parameter_sets: true, delimiter: false };
        assert_eq!(AccessUnit::hevc(&key), expected);
        let delta = AccessUnit::hevc(&[0, 0, 1, 0x46, 1, 0, 0, 1, 0x02, 1]);
        assert_eq!(delta, AccessUnit { slice: true, delimiter: true, ..AccessUnit::default() });
    }
}
