//! The values that options take, and their words: the same for long options and for QEMU's string.

use std::fmt;
use std::str::FromStr;

use sumac_backends::registry::EncoderName;

use crate::source::Size;

/// The largest picture, in pixels each way: 256 MiB as BGRX.
const MAX_SIDE: u32 = 8192;

/// Why a value cannot be used. The message names the value and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It means nothing.
    #[error("'{value}' is not {expected}")]
    Invalid {
        /// As it was given.
        value: String,
        /// What would be right.
        expected: String,
    },
}

/// How still pictures are compressed, where the client can read it (SpiceImageCompression in
/// spice.proto).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageCompression {
    /// Not at all (`off`).
    Off,
    /// QUIC for what looks natural, GLZ for the rest (`auto_glz`).
    AutoGlz,
    /// QUIC for what looks natural, LZ for the rest (`auto_lz`).
    AutoLz,
    /// QUIC (`quic`).
    Quic,
    /// GLZ (`glz`).
    Glz,
    /// LZ (`lz`).
    Lz,
    /// LZ4 (`lz4`).
    Lz4,
}

/// When something is done that pays on slow links (`jpeg-wan-compression`,
/// `zlib-glz-wan-compression`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WanCompression {
    /// On links that are found to be slow (`auto`).
    Auto,
    /// On all links (`always`).
    Always,
    /// Never (`never`).
    Never,
}

/// Which regions become video streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamingVideo {
    /// None (`off`).
    Off,
    /// Every region that changes, from its second picture on (`all`).
    All,
    /// Those that look like video (`filter`).
    Filter,
}

/// What the dmabufs of a built-in source are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmabufMemory {
    /// The first of udmabuf and dma-heap that this kernel has, else memfds, which go to encoders
    /// only (`any`).
    Any,
    /// `/dev/udmabuf` (`udmabuf`).
    Udmabuf,
    /// `/dev/dma_heap/system` (`dma-heap`).
    DmaHeap,
    /// Memfds that are passed to clients as if they were dmabufs, which no client can import: for
    /// tests (`memfd`).
    Memfd,
}

/// A video codec of the protocol (SpiceVideoCodecType in spice.proto).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// Motion JPEG, number 1.
    Mjpeg,
    /// VP8, number 2.
    Vp8,
    /// H.264, number 3.
    H264,
    /// VP9, number 4.
    Vp9,
    /// H.265, number 5.
    H265,
}

/// Codecs in the order of preference: at least one, each once.
///
/// The default has all of them, and leaves their order to what is found: those that a device
/// encodes come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoCodecs(Vec<VideoCodec>);

/// The desktop's name: 1 to 128 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// A UUID, in the byte order in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

/// Reads `WIDTHxHEIGHT`.
pub fn parse_size(text: &str) -> Result<Size, ValueError> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some(Size { width: side(width)?, height: side(height)? }))
        .ok_or_else(|| invalid(text, format!("a size like 1280x720, 1 to {MAX_SIDE} each way")))
}

impl FromStr for ImageCompression {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(Self::Off),
            "auto_glz" => Ok(Self::AutoGlz),
            "auto_lz" => Ok(Self::AutoLz),
            "quic" => Ok(Self::Quic),
            "glz" => Ok(Self::Glz),
            "lz" => Ok(Self::Lz),
            "lz4" => Ok(Self::Lz4),
            _ => Err(invalid(text, "one of off, auto_glz, auto_lz, quic, glz, lz, lz4")),
        }
    }
}

impl FromStr for WanCompression {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(invalid(text, "one of auto, always, never")),
        }
    }
}

impl FromStr for DmabufMemory {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "any" => Ok(Self::Any),
            "udmabuf" => Ok(Self::Udmabuf),
            "dma-heap" => Ok(Self::DmaHeap),
            "memfd" => Ok(Self::Memfd),
            _ => Err(invalid(text, "one of any, udmabuf, dma-heap, memfd")),
        }
    }
}

impl FromStr for StreamingVideo {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(Self::Off),
            "all" => Ok(Self::All),
            "filter" => Ok(Self::Filter),
            _ => Err(invalid(text, "one of off, all, filter")),
        }
    }
}

impl VideoCodec {
    /// Every codec with its word. Where the processor encodes, this is the order of preference: what
    /// costs it least.
    const WORDS: [(Self, &str); 5] =
        [(Self::Mjpeg, "mjpeg"), (Self::H264, "h264"), (Self::Vp8, "vp8"), (Self::Vp9, "vp9"), (Self::H265, "h265")];

    /// Its word in options.
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(codec, _)| *codec == self).map_or("", |(_, word)| word)
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(codec, _)| *codec)
    }
}

impl VideoCodecs {
    /// The most wanted first.
    pub fn as_slice(&self) -> &[VideoCodec] {
        &self.0
    }

    /// Those that can be encoded here, which may be none.
    pub(crate) fn of(found: Vec<VideoCodec>) -> Self {
        Self(found)
    }
}

impl Default for VideoCodecs {
    fn default() -> Self {
        Self(VideoCodec::WORDS.map(|(codec, _)| codec).into())
    }
}

impl FromStr for VideoCodecs {
    type Err = ValueError;

    /// Reads `codec,codec` or QEMU's `encoder:codec;encoder:codec`, or `auto` for the default.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "auto" {
            return Ok(Self::default());
        }
        let mut codecs = Vec::new();
        for item in text.split([',', ';']) {
            let codec = parse_codec(item)?;
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        Ok(Self(codecs))
    }
}

impl fmt::Display for VideoCodecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = if self.0.is_empty() { "-".to_owned() } else { list(self.0.iter().map(|codec| codec.name())) };
        f.write_str(&words)
    }
}

impl Name {
    const MAX_BYTES: usize = 128;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self("Sumac".into())
    }
}

impl FromStr for Name {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && !text.contains(char::is_control);
        let expected = || format!("a name of 1 to {} bytes without control characters", Self::MAX_BYTES);
        fits.then(|| Self(text.into())).ok_or_else(|| invalid(text, expected()))
    }
}

impl FromStr for Uuid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let groups_fit = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        let all_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        let value = (groups_fit && all_hex).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
        let expected = "a UUID like 123e4567-e89b-12d3-a456-426614174000";
        value.map(|value| Self(value.to_be_bytes())).ok_or_else(|| invalid(text, expected))
    }
}

/// Reads the name of an encoder, as in `vaapi:h264`.
pub fn parse_encoder(text: &str) -> Result<EncoderName, ValueError> {
    let name: EncoderName = text.parse().map_err(|error: sumac_backends::registry::BadEncoderName| {
        invalid(text, format!("an encoder such as software:mjpeg: {error}"))
    })?;
    if VideoCodec::WORDS.iter().all(|(_, word)| word.parse() != Ok(name.codec)) {
        let words = list(VideoCodec::WORDS.iter().map(|(_, word)| *word));
        return Err(invalid(text, format!("an encoder of a codec that clients know: {words}")));
    }
    Ok(name)
}

/// One item of a codec list. In QEMU's form the encoder is checked and otherwise ignored: which
/// encoder makes a codec's stream is not the operator's to know here.
fn parse_codec(item: &str) -> Result<VideoCodec, ValueError> {
    let (encoder, word) = item.split_once(':').unwrap_or(("gstreamer", item));
    let codec = VideoCodec::from_word(word);
    match (encoder, codec) {
        ("gstreamer", Some(codec)) | ("spice", Some(codec @ VideoCodec::Mjpeg)) => Ok(codec),
        _ => Err(invalid(item, "a codec such as mjpeg, h264, spice:mjpeg, gstreamer:h264")),
    }
}

fn invalid(value: &str, expected: impl Into<String>) -> ValueError {
    ValueError::Invalid { value: value.into(), expected: expected.into() }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("1280x720"), Ok(Size { width: 1280, height: 720 }));
        assert_eq!(parse_size("8192x1"), Ok(Size { width: 8192, height: 1 }));
        for bad in ["", "x", "1280", "0x720", "1280x0", "8193x1", "1x8193", "-1x5", "1280x720x2", "1280X720"] {
            let error = parse_size(bad).unwrap_err().to_string();
            assert_eq!(error, format!("'{bad}' is not a size like 1280x720, 1 to 8192 each way"));
        }
    }

    #[test]
    fn compression_words() {
        assert_eq!("off".parse(), Ok(ImageCompression::Off));
        assert_eq!("lz4".parse(), Ok(ImageCompression::Lz4));
        assert_eq!("auto_glz".parse(), Ok(ImageCompression::AutoGlz));
        assert_eq!("auto_lz".parse(), Ok(ImageCompression::AutoLz));
        let error = "zip".parse::<ImageCompression>().unwrap_err().to_string();
        assert_eq!(error, "'zip' is not one of off, auto_glz, auto_lz, quic, glz, lz, lz4");
        assert_eq!("always".parse(), Ok(WanCompression::Always));
        let error = "on".parse::<WanCompression>().unwrap_err().to_string();
        assert_eq!(error, "'on' is not one of auto, always, never");
    }

    #[test]
    fn streaming_words() {
        assert_eq!("all".parse(), Ok(StreamingVideo::All));
        let error = "on".parse::<StreamingVideo>().unwrap_err().to_string();
        assert_eq!(error, "'on' is not one of off, all, filter");
    }

    #[test]
    fn codec_lists() {
        for (text, wanted) in [
            ("mjpeg", &[VideoCodec::Mjpeg][..]),
            ("h264,mjpeg", &[VideoCodec::H264, VideoCodec::Mjpeg]),
            ("vp9,h265,vp8", &[VideoCodec::Vp9, VideoCodec::H265, VideoCodec::Vp8]),
            ("auto", VideoCodecs::default().as_slice()),
            ("spice:mjpeg", &[VideoCodec::Mjpeg]),
            ("spice:mjpeg;gstreamer:h264", &[VideoCodec::Mjpeg, VideoCodec::H264]),
            ("gstreamer:mjpeg;spice:mjpeg", &[VideoCodec::Mjpeg]),
        ] {
            assert_eq!(text.parse::<VideoCodecs>().map(|list| list.0), Ok(wanted.to_vec()), "{text}");
        }
    }

    #[test]
    fn bad_codec_lists() {
        let error = |text: &str| text.parse::<VideoCodecs>().unwrap_err().to_string();
        for bad in ["", "mjpeg,", "av2", "spice:h264", "ffmpeg:mjpeg", "spice:"] {
            assert!(error(bad).ends_with("is not a codec such as mjpeg, h264, spice:mjpeg, gstreamer:h264"), "{bad}");
        }
    }

    #[test]
    fn encoders_are_named_by_backend_and_codec() {
        let name = |backend: &str, codec| EncoderName { backend: backend.into(), codec };
        assert_eq!(parse_encoder("vaapi:h264"), Ok(name("vaapi", sumac_backends::Codec::H264)));
        assert_eq!(parse_encoder("software:h265"), Ok(name("software", sumac_backends::Codec::Hevc)));
        for (bad, says) in [
            ("nvenc:h264", "no backend is named \"nvenc\"; there are vaapi, v4l2, software"),
            ("h264", "not of the form BACKEND:CODEC"),
            ("software:av2", "no codec is named \"av2\""),
            ("v4l2:fwht", "an encoder of a codec that clients know: mjpeg,h264,vp8,vp9,h265"),
        ] {
            let error = parse_encoder(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{bad}' is not ")) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn every_codec_has_a_word_of_its_own() {
        for (codec, word) in VideoCodec::WORDS {
            assert_eq!((codec.name(), VideoCodec::from_word(word)), (word, Some(codec)));
        }
    }

    #[test]
    fn names() {
        assert_eq!("My desk".parse::<Name>().unwrap().as_str(), "My desk");
        assert_eq!("x".repeat(128).parse::<Name>().unwrap().as_str().len(), 128);
        for bad in ["", "a\nb", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uuids() {
        let uuid: Uuid = "00112233-4455-6677-8899-aAbBcCdDeEfF".parse().unwrap();
        assert_eq!(uuid.0.map(|byte| byte % 16), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        for bad in [
            "",
            "00112233445566778899aabbccddeeff",
            "0011223-34455-6677-8899-aabbccddeeff",
            "+0112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeefg",
        ] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }
}
