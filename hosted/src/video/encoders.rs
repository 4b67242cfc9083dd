//! [`Encoders`]: who can encode which codec here, and in which order they are tried.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sumac_backends::registry::{self, EncoderName};
use sumac_backends::{Backend, Codec, Report};

use crate::config::{Config, VideoCodec, VideoCodecs};
use crate::helper;
use crate::ledger::Ledger;

/// Devices that `--rendernode` chooses among.
const RENDER_NODES: &str = "/dev/dri";

/// What all backends offer, asked once, and what the operator thinks of it.
pub(crate) struct Encoders {
    pub(super) ledger: Arc<Ledger>,
    backends: Vec<&'static dyn Backend>,
    reports: Vec<Report>,
    named: Vec<EncoderName>,
    /// Those that somebody here encodes, the most wanted first.
    codecs: Vec<(VideoCodec, Codec)>,
}

/// One way to encode a codec.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) backend: &'static dyn Backend,
    pub(super) device: Option<PathBuf>,
    /// Who it is, for the log.
    pub(super) words: String,
}

impl Encoders {
    /// Asks all backends, which takes about a second per device at most, and says in the log what
    /// will be used and why the rest will not.
    pub(crate) fn find(config: &Config, ledger: Arc<Ledger>) -> Self {
        let backends = config.helper.as_ref().map(helper::backends).transpose().unwrap_or_else(|error| {
            tracing::error!(%error, "encoders work in this process: no other can be started");
            None
        });
        let backends = backends.as_deref().unwrap_or(registry::backends());
        let found = Self { ledger, ..Self::among(backends, config) };
        found.explain(config);
        found
    }

    pub(crate) fn among(backends: &[&'static dyn Backend], config: &Config) -> Self {
        let mut reports: Vec<_> = backends.iter().flat_map(|backend| backend.probe()).collect();
        if let Some(node) = &config.rendernode {
            reports.retain(|report| report.device.as_deref().is_none_or(|device| may_use(device, node)));
        }
        let (backends, named) = (backends.to_vec(), config.encoders.clone());
        let mut new = Self { ledger: Arc::default(), backends, reports, named, codecs: Vec::new() };
        let wanted = config.video_codecs.as_slice().iter();
        new.codecs = wanted.filter_map(|&codec| Some((codec, codec.name().parse().ok()?))).collect();
        let mut codecs = std::mem::take(&mut new.codecs);
        codecs.retain(|(_, codec)| new.can(*codec, (1, 1)));
        if config.video_codecs == VideoCodecs::default() {
            codecs.sort_by_key(|(_, codec)| new.rank(*codec));
        }
        Self { codecs, ..new }
    }

    /// Codecs that somebody here encodes, the most wanted first.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = Codec> {
        self.codecs.iter().map(|(_, codec)| *codec)
    }

    /// The same in the words of the configuration.
    pub(crate) fn list(&self) -> VideoCodecs {
        VideoCodecs::of(self.codecs.iter().map(|(word, _)| *word).collect())
    }

    /// Whether somebody encodes pictures of this size.
    pub(super) fn can(&self, codec: Codec, size: (u32, u32)) -> bool {
        !registry::candidates(&self.reports, codec, size, &self.named).is_empty()
    }

    /// Who encodes pictures of this size, to be tried in this order.
    pub(super) fn candidates(&self, codec: Codec, size: (u32, u32)) -> Vec<Candidate> {
        let found = registry::candidates(&self.reports, codec, size, &self.named);
        let candidate = |c: &registry::Candidate<'_>| {
            let backend = self.backends.iter().copied().find(|backend| backend.name() == c.backend)?;
            Some(Candidate { backend, device: c.device.map(Path::to_owned), words: c.to_string() })
        };
        found.iter().filter_map(candidate).collect()
    }

    /// Sorts codecs that a device encodes before the others: what costs the fewest bits first, while
    /// the others keep their order.
    fn rank(&self, codec: Codec) -> usize {
        let on_device = self.candidates(codec, (1, 1)).first().is_some_and(|best| best.device.is_some());
        let place = Codec::ALL.iter().position(|&known| known == codec);
        place.filter(|_| on_device).unwrap_or(Codec::ALL.len())
    }

    fn explain(&self, config: &Config) {
        if let Some(node) = &config.rendernode
            && !self.reports.iter().any(|r| r.device.as_deref().is_some_and(|d| d.starts_with(RENDER_NODES)))
        {
            tracing::warn!("video: there is no render node {}", node.display());
        }
        for report in &self.reports {
            if let Err(why) = &report.encoders {
                tracing::info!("video: not by {}: {why}", report.backend);
            }
        }
        for (word, codec) in config.video_codecs.as_slice().iter().filter_map(|w| Some((w, w.name().parse().ok()?))) {
            let names: Vec<_> = self.candidates(codec, (1, 1)).into_iter().map(|c| c.words).collect();
            match names.as_slice() {
                [] => tracing::info!("video: nobody here encodes {}", word.name()),
                [best] => tracing::info!("video: {best}"),
                [best, rest @ ..] => tracing::info!("video: {best}; else {}", rest.join(", ")),
            }
        }
        if self.codecs.is_empty() {
            tracing::warn!("video: none of {} can be encoded here; all is sent as pictures", config.video_codecs);
        }
    }
}

/// Whether the operator's render node does not forbid a device. A link under `by-path` is the node
/// that it leads to.
fn may_use(device: &Path, node: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    !device.starts_with(RENDER_NODES) || real(device) == real(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::double::Double;

    fn found(backends: &[&'static dyn Backend], config: Config) -> Encoders {
        Encoders::among(backends, &config)
    }

    fn words(found: &Encoders, codec: Codec, side: u32) -> Vec<String> {
        let names = found.candidates(codec, (side, side)).into_iter();
        names
            .map(|c| format!("{}{}", c.backend.name(), c.device.map_or(String::new(), |d| d.display().to_string())))
            .collect()
    }

    #[test]
    fn what_a_device_encodes_comes_first_unless_the_operator_says() {
        let device = Double::new("device").on("/dev/dri/renderD128").encodes(&[Codec::Vp8, Codec::H264], 1000).leak();
        let other = Double::new("other").encodes(&[Codec::Mjpeg, Codec::H264], 9000).leak();
        let all = found(&[device, other], Config::default());
        assert_eq!(all.codecs().collect::<Vec<_>>(), [Codec::H264, Codec::Vp8, Codec::Mjpeg]);
        assert_eq!(all.list().to_string(), "h264,vp8,mjpeg");
        let video_codecs = "mjpeg,vp9,h264".parse().unwrap();
        let chosen = found(&[device, other], Config { video_codecs, ..Config::default() });
        assert_eq!(chosen.codecs().collect::<Vec<_>>(), [Codec::Mjpeg, Codec::H264]);
    }

    #[test]
    fn the_size_and_the_operator_choose_the_backend() {
        let device = Double::new("device").on("/dev/dri/renderD128").encodes(&[Codec::H264], 1000).leak();
        let other = Double::new("other").encodes(&[Codec::H264], 9000).leak();
        let both = found(&[device, other], Config::default());
        assert_eq!(words(&both, Codec::H264, 1000), ["device/dev/dri/renderD128", "other"]);
        assert_eq!(words(&both, Codec::H264, 1001), ["other"]);
        assert!(words(&both, Codec::H264, 9001).is_empty() && !both.can(Codec::H264, (9001, 1)));
        let encoders = vec![EncoderName { backend: "other".into(), codec: Codec::H264 }];
        let named = found(&[device, other], Config { encoders, ..Config::default() });
        assert_eq!(words(&named, Codec::H264, 10), ["other"]);
    }

    #[test]
    fn a_render_node_excludes_the_others_and_nothing_else() {
        let first = Double::new("first").on("/dev/dri/renderD128").encodes(&[Codec::H264], 10).leak();
        let second = Double::new("second").on("/dev/dri/renderD129").encodes(&[Codec::H264], 10).leak();
        let node = Double::new("node").on("/dev/video11").encodes(&[Codec::H264], 10).leak();
        let rendernode = Some("/dev/dri/renderD129".into());
        let some = found(&[first, second, node], Config { rendernode, ..Config::default() });
        assert_eq!(words(&some, Codec::H264, 10), ["second/dev/dri/renderD129", "node/dev/video11"]);
    }
}
