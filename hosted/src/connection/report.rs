//! [`Report`]: what is known of an open channel, for whoever asks.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use sumac_backends::Codec;

use super::Link;

/// Written by the channel's loop, read by anyone on the same thread.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(super) link: Cell<Link>,
    pub(super) sent: Cell<u64>,
    pub(super) latency: Cell<Option<Duration>>,
    codecs: RefCell<Vec<Codec>>,
    pub(crate) secure: Cell<bool>,
}

impl Report {
    /// What is known of the link.
    pub(crate) fn link(&self) -> Link {
        self.link.get()
    }

    /// Bytes that the kernel took.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// How long the newest picture took from its change to its acknowledgement.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.latency.get()
    }

    /// Codecs of the streams that are shown, as a list for people.
    pub(crate) fn codecs(&self) -> Vec<String> {
        self.codecs.borrow().iter().map(ToString::to_string).collect()
    }

    /// The codecs are these.
    pub(crate) fn set_codecs(&self, codecs: impl Iterator<Item = Codec> + Clone) {
        if !codecs.clone().eq(self.codecs.borrow().iter().copied()) {
            *self.codecs.borrow_mut() = codecs.collect();
        }
    }
}
