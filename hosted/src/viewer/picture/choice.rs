//! How an image is compressed: by the operator's word, the client's, what it can, and the content.

use sumac_core::proto::display::ImageCompression as Wish;

use crate::config::{Config, ImageCompression, WanCompression};

/// Pictures of fewer bytes are sent as rows: compressing costs more than it gives.
const WORTH_IT: u64 = 256;
/// JPEG's smallest picture, in pixels: its tables are half a kilobyte.
const JPEG_AREA: u64 = 64 * 64;
/// QUIC's shortest side, in pixels.
const QUIC_SIDE: u32 = 3;

/// What an image is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Rows as they are.
    Rows,
    Lz,
    Lz4,
    Quic,
    Glz,
    /// With loss.
    Jpeg,
    /// With so much loss that it is there soon on a slow link.
    Sketch,
}

/// What decides, of one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    word: ImageCompression,
    jpeg: WanCompression,
    zlib: WanCompression,
    /// Local clients get rows as they are: a copy is cheaper than any compression.
    pub(super) local: bool,
    /// The client decodes LZ4.
    pub(super) lz4: bool,
    /// There is a GLZ dictionary.
    pub(super) glz: bool,
    /// The link carries so little that coding longer, or with loss, shows pictures sooner.
    pub(super) slow: bool,
}

impl Choice {
    /// For a client that has not said yet what it can.
    pub(super) fn new(config: &Config, local: bool) -> Self {
        Self {
            word: config.image_compression,
            jpeg: config.jpeg_wan_compression,
            zlib: config.zlib_glz_wan_compression,
            local,
            lz4: false,
            glz: false,
            slow: false,
        }
    }

    /// The client's own word counts more than the operator's; unknown ones change nothing.
    pub(super) fn prefer(&mut self, wish: Wish) {
        self.word = match wish {
            Wish::OFF => ImageCompression::Off,
            Wish::AUTO_GLZ => ImageCompression::AutoGlz,
            Wish::AUTO_LZ => ImageCompression::AutoLz,
            Wish::QUIC => ImageCompression::Quic,
            Wish::GLZ => ImageCompression::Glz,
            Wish::LZ => ImageCompression::Lz,
            Wish::LZ4 => ImageCompression::Lz4,
            _ => return,
        };
    }

    /// Whether it depends on the content what an image is sent as.
    pub(super) fn looks(&self) -> bool {
        !self.local && matches!(self.word, ImageCompression::AutoGlz | ImageCompression::AutoLz)
    }

    /// What an image of this size is sent as; `natural` when it looks like a photo, which is asked
    /// only where [`looks`](Self::looks) says so.
    pub(super) fn kind(&self, width: u32, height: u32, natural: bool) -> Kind {
        use ImageCompression as Word;
        let area = u64::from(width) * u64::from(height);
        if self.local || self.word == Word::Off || area * 4 < WORTH_IT {
            return Kind::Rows;
        }
        let quic = width.min(height) >= QUIC_SIDE;
        let kind = match self.word {
            Word::AutoGlz | Word::AutoLz if natural && quic => Kind::Quic,
            Word::Quic if quic => Kind::Quic,
            Word::Quic | Word::Off => Kind::Rows,
            Word::AutoGlz | Word::Glz if self.glz => Kind::Glz,
            Word::Lz4 if self.lz4 => Kind::Lz4,
            _ => Kind::Lz,
        };
        if kind == Kind::Quic && area >= JPEG_AREA && self.is_on(self.jpeg) { Kind::Jpeg } else { kind }
    }

    /// What the first image is sent as, which is the whole picture.
    pub(super) fn first(&self, width: u32, height: u32) -> Kind {
        let pays = u64::from(width) * u64::from(height) >= JPEG_AREA;
        if self.slow && pays && self.looks() && self.is_on(self.jpeg) {
            return Kind::Sketch;
        }
        // The picture may be larger than a dictionary.
        Self { glz: false, ..*self }.kind(width, height, false)
    }

    /// The same, but without loss.
    pub(super) fn exact(self) -> Self {
        Self { jpeg: WanCompression::Never, ..self }
    }

    /// Whether GLZ data is deflated.
    pub(super) fn deflates(&self) -> bool {
        self.is_on(self.zlib)
    }

    fn is_on(&self, when: WanCompression) -> bool {
        match when {
            WanCompression::Auto => self.slow,
            WanCompression::Always => true,
            WanCompression::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(word: &str) -> Choice {
        let config = Config { image_compression: word.parse().unwrap(), ..Config::default() };
        Choice { lz4: true, glz: true, ..Choice::new(&config, false) }
    }

    #[test]
    fn every_word_has_its_kinds() {
        for (word, text, photo) in [
            ("off", Kind::Rows, Kind::Rows),
            ("auto_glz", Kind::Glz, Kind::Quic),
            ("auto_lz", Kind::Lz, Kind::Quic),
            ("quic", Kind::Quic, Kind::Quic),
            ("glz", Kind::Glz, Kind::Glz),
            ("lz", Kind::Lz, Kind::Lz),
            ("lz4", Kind::Lz4, Kind::Lz4),
        ] {
            let choice = choice(word);
            assert_eq!((choice.kind(64, 64, false), choice.kind(64, 64, true)), (text, photo), "{word}");
            assert_eq!(choice.kind(8, 7, true), Kind::Rows, "{word}: too small to pay");
            assert_eq!(Choice { local: true, ..choice }.kind(64, 64, true), Kind::Rows, "{word}");
        }
    }

    #[test]
    fn what_the_client_cannot_read_is_not_sent() {
        let plain = |word| Choice { lz4: false, glz: false, ..choice(word) };
        for word in ["auto_glz", "glz", "lz4"] {
            assert_eq!(plain(word).kind(64, 64, false), Kind::Lz, "{word}");
        }
        assert_eq!(plain("auto_glz").kind(64, 2, true), Kind::Lz);
        assert_eq!(plain("quic").kind(64, 2, true), Kind::Rows);
    }

    #[test]
    fn the_clients_word_counts_more() {
        let mut choice = choice("off");
        choice.prefer(Wish::QUIC);
        assert_eq!(choice.kind(64, 64, false), Kind::Quic);
        choice.prefer(Wish(77));
        assert_eq!(choice.kind(64, 64, false), Kind::Quic);
    }

    #[test]
    fn loss_and_deflating_are_for_slow_links() {
        let choice = choice("auto_glz");
        let slow = Choice { slow: true, ..choice };
        assert!(!choice.deflates() && slow.deflates());
        assert_eq!(slow.kind(64, 64, true), Kind::Jpeg);
        assert_eq!(slow.kind(64, 64, false), Kind::Glz);
        assert_eq!(slow.kind(64, 63, true), Kind::Quic);
        let never = Choice { jpeg: WanCompression::Never, zlib: WanCompression::Never, ..slow };
        assert_eq!((never.kind(64, 64, true), never.deflates()), (Kind::Quic, false));
        let always = Choice { jpeg: WanCompression::Always, zlib: WanCompression::Always, ..choice };
        assert_eq!((always.kind(64, 64, true), always.deflates()), (Kind::Jpeg, true));
    }

    #[test]
    fn the_first_picture_is_a_sketch_only_on_a_slow_link_and_where_loss_is_allowed() {
        let slow = |word| Choice { slow: true, ..choice(word) };
        assert_eq!(slow("auto_glz").first(1280, 720), Kind::Sketch);
        assert_eq!(choice("auto_glz").first(1280, 720), Kind::Lz, "a dictionary has no room for it");
        assert_eq!(slow("auto_glz").exact().first(1280, 720), Kind::Lz);
        assert_eq!(slow("lz4").first(1280, 720), Kind::Lz4);
        assert_eq!(Choice { local: true, ..slow("auto_glz") }.first(1280, 720), Kind::Rows);
    }
}
