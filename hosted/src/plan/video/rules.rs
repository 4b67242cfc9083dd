//! What makes an area video, for each word of `--streaming-video`.

use std::time::Duration;

use super::tiles::Motion;
use crate::config::StreamingVideo;
use crate::source::Rect;

/// What makes an area video.
#[derive(Debug)]
pub(super) struct Rules {
    /// When a tile moves.
    pub(super) motion: Motion,
    /// The smallest area, in pixels.
    pub(super) min_area: u64,
    /// The shortest side, in pixels.
    pub(super) min_side: u32,
    /// How many percent of it a frame changes, at least. At 0 the moving tiles may also be few and
    /// far between.
    pub(super) min_density: u64,
    /// Whether areas that look like text are left out.
    pub(super) not_text: bool,
    /// A stream ends when nothing changed for this long.
    pub(super) end_after: Duration,
}

/// Areas like those that the C server takes for video, but after 0.1 s of motion rather than 20
/// frames: at least 96x96 pixels, three changes within a quarter of a second.
const FILTER: Rules = Rules {
    // Three at 10 a second take 200 ms: 12 or 13 slots. Four at 30 a second take 6 or 7.
    motion: Motion { changes: 3, window: 16, span: 6 },
    min_area: 96 * 96,
    min_side: 64,
    min_density: 25,
    not_text: true,
    end_after: Duration::from_millis(500),
};

/// Whatever changes twice within a second.
const ALL: Rules = Rules {
    motion: Motion { changes: 2, window: 64, span: 1 },
    min_area: 1,
    min_side: 1,
    min_density: 0,
    not_text: false,
    // Longer than the time between two changes that start one.
    end_after: Duration::from_millis(1040),
};

impl Rules {
    /// The rules of a mode, if there is video at all in it.
    pub(super) fn of(mode: StreamingVideo) -> Option<&'static Self> {
        match mode {
            StreamingVideo::Off => None,
            StreamingVideo::Filter => Some(&FILTER),
            StreamingVideo::All => Some(&ALL),
        }
    }

    /// Whether an area is large enough.
    pub(super) fn fits(&self, rect: Rect) -> bool {
        rect.area() >= self.min_area && rect.width.min(rect.height) >= self.min_side
    }

    /// Whether most tiles of an area must move.
    pub(super) fn is_dense(&self) -> bool {
        self.min_density > 0
    }
}
