//! The images that a client keeps, by what they show: what comes back is not sent again.

use std::collections::HashMap;

use sumac_core::channel::display::DisplayServer;
use sumac_core::limits;

use super::content::Content;

/// An image has at most this share of the client's cache: one must not drive all others out.
const SHARE: u64 = 4;
/// Larger images are not kept: what comes back is windows and pictures in them, not whole screens.
const MAX_PIXELS: u64 = 1 << 18;

/// Smaller ones are not kept, either: they would drive out what is worth it.
const MIN_PIXELS: u64 = 32 * 32;

/// Ids by content. Which of them the client still keeps is the protocol machine's account, by which
/// it also tells the client what to forget.
#[derive(Default)]
pub(super) struct PixmapCache {
    ids: HashMap<Content, u64>,
}

impl PixmapCache {
    /// The id by which the client keeps a picture that shows this.
    pub(super) fn find(&self, machine: &DisplayServer, content: &Content) -> Option<u64> {
        self.ids.get(content).copied().filter(|id| machine.keeps(*id))
    }

    /// Whether the client is to keep an image of so many pixels.
    pub(super) fn admits(machine: &DisplayServer, pixels: u64) -> bool {
        (MIN_PIXELS..=MAX_PIXELS.min(machine.cache_pixels() / SHARE)).contains(&pixels)
    }

    /// The client was told to keep it.
    pub(super) fn insert(&mut self, machine: &DisplayServer, content: Content, id: u64) {
        if self.ids.len() >= 2 * limits::PIXMAP_CACHE {
            self.ids.retain(|_, id| machine.keeps(*id));
        }
        self.ids.insert(content, id);
    }
}
