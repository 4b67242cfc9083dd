//! [`Double`]: a backend for tests that follows a script and takes what it is told to take.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use sumac_backends::scripted::{Scripted, Step};
use sumac_backends::{Backend, BackendError, Codec, Encoder, Frame, Report, Settings};

/// A [`Scripted`] under any name.
pub(crate) struct Double {
    name: &'static str,
    device: Option<PathBuf>,
    offers: Option<(&'static [Codec], u32)>,
    takes: Takes,
    script: Scripted,
    opened: AtomicUsize,
}

/// Which frames it opens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    All,
    Dmabufs,
    Nothing,
}

impl Double {
    pub(crate) fn new(name: &'static str) -> Self {
        let script = Scripted::new(1, false, []);
        Self { name, device: None, offers: None, takes: Takes::All, script, opened: AtomicUsize::new(0) }
    }

    pub(crate) fn on(self, device: &str) -> Self {
        Self { device: Some(device.into()), ..self }
    }

    /// Offers only these, up to so many pixels each way.
    pub(crate) fn encodes(self, codecs: &'static [Codec], most: u32) -> Self {
        Self { offers: Some((codecs, most)), ..self }
    }

    pub(crate) fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    pub(crate) fn follows(self, script: Scripted) -> Self {
        Self { script, ..self }
    }

    /// Backends live as long as the program.
    pub(crate) fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// Encoders opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Backend for Double {
    fn name(&self) -> &'static str {
        self.name
    }

    fn probe(&self) -> Vec<Report> {
        let mut reports = self.script.probe();
        for report in &mut reports {
            (report.backend, report.device) = (self.name, self.device.clone());
            if let (Ok(offers), Some((codecs, most))) = (&mut report.encoders, self.offers) {
                offers.retain(|offer| codecs.contains(&offer.codec));
                offers.iter_mut().for_each(|offer| offer.max = (most, most));
            }
        }
        reports
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        if self.takes == Takes::Nothing || self.takes == Takes::Dmabufs && like.dmabuf().is_none() {
            let what = "such a picture".into();
            return Err(BackendError::Unsupported { backend: self.name, what });
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.script.open(want, like)
    }
}

/// An encoder that is lost after `pictures`.
pub(crate) fn lost_after(pictures: usize) -> Vec<Step> {
    let mut steps = vec![Step::Encode; pictures];
    steps.push(Step::Fail(BackendError::Lost("/dev/test".into())));
    steps
}
