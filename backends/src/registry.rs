//! The backends there are, and the choice among what they offer.
use std::{fmt, path::Path, str::FromStr};

use crate::{Backend, Codec, Offer, Report, encoder::UnknownCodec};

/// All backends of this build, the preferred ones first: what costs the processor least.
pub fn backends() -> &'static [&'static dyn Backend] {
    &[&crate::vaapi::Vaapi, &crate::v4l2::V4l2, &crate::software::Software]
}

/// What all backends report, in the same order.
pub fn probe() -> Vec<Report> {
    backends().iter().flat_map(|backend| backend.probe()).collect()
}

/// The backend with this name.
pub fn backend(name: &str) -> Option<&'static dyn Backend> {
    backends().iter().copied().find(|backend| backend.name() == name)
}

/// One encoder named by an operator: `vaapi:h264`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderName {
    /// The backend's name.
    pub backend: String,
    /// The codec.
    pub codec: Codec,
}

/// One way to encode a codec, with the words that explain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The backend's name.
    pub backend: &'static str,
    /// The device node, if the backend uses one.
    pub device: Option<&'a Path>,
    /// What it offers.
    pub offer: &'a Offer,
}

/// Who encodes `codec` for pictures of this size, best first: open them in turn until one does.
///
/// `named` is the operator's own list: when it names `codec` at all, only the backends that it
/// names for it are considered, in its order.
pub fn candidates<'a>(
    reports: &'a [Report],
    codec: Codec,
    (width, height): (u32, u32),
    named: &[EncoderName],
) -> Vec<Candidate<'a>> {
    let rank = |backend: &str| named.iter().position(|n| n.codec == codec && n.backend == backend);
    let restricted = named.iter().any(|n| n.codec == codec);
    let mut found: Vec<_> = reports
        .iter()
        .filter_map(|report| report.encoders.as_ref().ok().map(|offers| (report, offers)))
        .flat_map(|(report, offers)| offers.iter().map(move |offer| (report, offer)))
        .filter(|(_, offer)| offer.codec == codec && width <= offer.max.0 && height <= offer.max.1)
        .filter(|(report, _)| !restricted || rank(report.backend).is_some())
        .map(|(report, offer)| Candidate { backend: report.backend, device: report.device.as_deref(), offer })
        .collect();
    found.sort_by_key(|candidate| rank(candidate.backend));
    found
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.offer.codec, self.backend)?;
        if let Some(device) = self.device {
            write!(f, " on {}", device.display())?;
        }
        write!(f, " ({})", self.offer.by)
    }
}

impl FromStr for EncoderName {
    type Err = BadEncoderName;

    fn from_str(text: &str) -> Result<Self, BadEncoderName> {
        let (name, codec) = text.split_once(':').ok_or_else(|| BadEncoderName::Form(text.to_owned()))?;
        let backend = backend(name).ok_or_else(|| BadEncoderName::Backend(name.to_owned()))?.name();
        Ok(Self { backend: backend.to_owned(), codec: codec.parse::<Codec>()? })
    }
}

/// Not the name of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadEncoderName {
    /// No colon in it.
    #[error("{0:?} is not of the form BACKEND:CODEC")]
    Form(String),
    /// No backend has this name.
    #[error("no backend is named {:?}; there are {}", .0, names())]
    Backend(String),
    /// The codec is not one.
    #[error(transparent)]
    Codec(#[from] UnknownCodec),
}

/// The names of all backends, for a message.
fn names() -> String {
    let names: Vec<_> = backends().iter().map(|backend| backend.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RateControl, Unavailable, dmabuf::Fourcc};

    fn offer(codec: Codec, max: u32) -> Offer {
        Offer {
            codec,
            profiles: Vec::new(),
            max: (max, max),
            formats: vec![Fourcc::XRGB8888],
            modifiers: vec![0],
            rate_control: vec![RateControl::Cbr],
            by: "test".into(),
        }
    }

    fn reports() -> Vec<Report> {
        let report = |backend, encoders| Report { backend, device: None, encoders };
        vec![
            report("gone", Err(Unavailable::NoDevice { looked: "/dev/nothing".into() })),
            report("fast", Ok(vec![offer(Codec::H264, 1000)])),
            report("slow", Ok(vec![offer(Codec::Mjpeg, 9000), offer(Codec::H264, 4000)])),
        ]
    }

    fn names(codec: Codec, size: u32, named: &str) -> Vec<&'static str> {
        let name = |text: &str| {
            let (backend, codec) = text.split_once(':').unwrap();
            EncoderName { backend: backend.into(), codec: codec.parse().unwrap() }
        };
        let named: Vec<EncoderName> = named.split(',').filter(|n| !n.is_empty()).map(name).collect();
        candidates(&reports(), codec, (size, size), &named).iter().map(|c| c.backend).collect()
    }

    #[test]
    fn the_first_that_can_is_preferred() {
        assert_eq!(names(Codec::H264, 1000, ""), ["fast", "slow"]);
        assert_eq!(names(Codec::H264, 1001, ""), ["slow"]);
        assert_eq!(names(Codec::Mjpeg, 9000, ""), ["slow"]);
        assert!(names(Codec::Vp8, 1, "").is_empty());
    }

    #[test]
    fn the_operator_overrules() {
        assert_eq!(names(Codec::H264, 10, "slow:h264,fast:h264"), ["slow", "fast"]);
        assert_eq!(names(Codec::H264, 10, "slow:h264"), ["slow"]);
        assert_eq!(names(Codec::H264, 10, "fast:mjpeg"), ["fast", "slow"]);
        assert!(names(Codec::Mjpeg, 10, "fast:mjpeg").is_empty());
    }

    #[test]
    fn a_bad_name_says_what_is_wrong() {
        let error = |text: &str| text.parse::<EncoderName>().unwrap_err().to_string();
        assert_eq!(error("h264"), "\"h264\" is not of the form BACKEND:CODEC");
        assert_eq!(error("vaapi:h265x"), "no codec is named \"h265x\"");
        assert_eq!(error("nvenc:h264"), "no backend is named \"nvenc\"; there are vaapi, v4l2, software");
        let good = EncoderName { backend: "vaapi".into(), codec: Codec::Hevc };
        assert_eq!("vaapi:h265".parse(), Ok(good));
    }

    #[test]
    fn names_of_backends_are_unique_and_probe_is_in_their_order() {
        let names: Vec<_> = backends().iter().map(|b| b.name()).collect();
        for (n, name) in names.iter().enumerate() {
            assert!(!names[..n].contains(name), "{name} twice");
            assert_eq!(backend(name).map(Backend::name), Some(*name));
        }
        let reported: Vec<_> = probe().iter().map(|r| r.backend).collect();
        let place = |n: &&str| names.iter().position(|m| m == n).unwrap();
        assert!(reported.is_sorted_by_key(place));
    }
}
