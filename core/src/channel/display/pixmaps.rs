//! What the client keeps in its pixmap cache.

use crate::channel::Refused;
use crate::limits;
use crate::proto::display::{ResourceId, ResourceType};
use crate::proto::picture::{Image, ImageBody, ImageFlags};

/// The images that were sent with CACHE_ME, least recently used first; 24 bytes of memory each.
///
/// The client counts pixels. What has to make room for a new one is named to it in front of the
/// message that needs the room.
#[derive(Clone, Debug)]
pub(super) struct Pixmaps<const KEPT: usize> {
    /// Pixels that the client keeps; 0 until it said so.
    capacity: u64,
    kept: heapless::Vec<Pixmap, KEPT>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pixmap {
    id: u64,
    pixels: u64,
    lossy: bool,
}

/// Ids that the client is to forget.
pub(super) type Evicted<const KEPT: usize> = heapless::Vec<ResourceId, KEPT>;

impl<const KEPT: usize> Pixmaps<KEPT> {
    pub(super) const NONE: Self = Self { capacity: 0, kept: heapless::Vec::new() };

    /// The client said how many pixels it keeps; with none or fewer nothing is ever kept.
    pub(super) fn open(&mut self, pixels: i64) {
        self.capacity = u64::try_from(pixels).unwrap_or(0);
    }

    pub(super) const fn capacity(&self) -> u64 {
        if KEPT == 0 { 0 } else { self.capacity }
    }

    pub(super) fn keeps(&self, id: u64) -> bool {
        self.kept.iter().any(|kept| kept.id == id)
    }

    /// Whether the client can follow this image.
    pub(super) fn check(&self, image: &Image<'_>) -> Result<(), Refused> {
        let known = self.kept.iter().find(|kept| kept.id == image.id);
        match image.body {
            ImageBody::FromCache if known.is_none() => Err(Refused::Misuse("the client does not keep that image")),
            ImageBody::FromCacheLossless if known.is_none_or(|kept| kept.lossy) => {
                Err(Refused::Misuse("the client does not keep that image without loss"))
            }
            _ if keeps(image) && (KEPT == 0 || pixels(image) > self.capacity) => {
                Err(Refused::Misuse("the image is larger than the client's cache: send it without CACHE_ME"))
            }
            _ => Ok(()),
        }
    }

    /// What has to make room for this image.
    pub(super) fn evicted_by(&self, image: &Image<'_>) -> Evicted<KEPT> {
        let mut evicted = Evicted::new();
        if !keeps(image) {
            return evicted;
        }
        let others = || self.kept.iter().filter(|kept| kept.id != image.id);
        let mut used = others().fold(pixels(image), |sum, kept| sum.saturating_add(kept.pixels));
        let mut count = others().count();
        for oldest in others() {
            if used <= self.capacity && count < KEPT {
                break;
            }
            used = used.saturating_sub(oldest.pixels);
            count = count.saturating_sub(1);
            // There is room for all that are kept.
            let _ = evicted.push(ResourceId::new(ResourceType::PIXMAP.0, oldest.id));
        }
        evicted
    }

    /// The image has been sent, behind what it evicted.
    pub(super) fn sent(&mut self, image: &Image<'_>) {
        let used = matches!(image.body, ImageBody::FromCache | ImageBody::FromCacheLossless);
        let before = self.kept.iter().find(|kept| kept.id == image.id).copied();
        let now = match before {
            Some(kept) if used => kept,
            _ if keeps(image) => Pixmap { id: image.id, pixels: pixels(image), lossy: is_lossy(image) },
            _ => return,
        };
        self.forget(image.id);
        // What it evicted has been forgotten, so there is room.
        let _ = self.kept.push(now);
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.kept.retain(|kept| kept.id != id);
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }
}

fn keeps(image: &Image<'_>) -> bool {
    image.flags.intersects(ImageFlags::CACHE_ME | ImageFlags::CACHE_REPLACE_ME)
        && !matches!(image.body, ImageBody::FromCache | ImageBody::FromCacheLossless)
}

fn pixels(image: &Image<'_>) -> u64 {
    u64::from(image.width).saturating_mul(image.height.into())
}

const fn is_lossy(image: &Image<'_>) -> bool {
    matches!(image.body, ImageBody::Jpeg(_) | ImageBody::JpegAlpha(_))
}

const _: () = assert!(limits::PIXMAP_CACHE <= limits::INVAL_LIST);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Data, Sized32};
    use std::vec::Vec;

    fn image(id: u64, side: u32, flags: ImageFlags, body: ImageBody<'static>) -> Image<'static> {
        Image { id, flags, width: side, height: side, body }
    }

    fn kept(id: u64, side: u32) -> Image<'static> {
        image(id, side, ImageFlags::CACHE_ME, ImageBody::Quic(Sized32(Data::Promised(1))))
    }

    fn from_cache(id: u64) -> Image<'static> {
        image(id, 10, ImageFlags::empty(), ImageBody::FromCache)
    }

    /// Sends it; the ids that it evicted.
    fn send<const KEPT: usize>(cache: &mut Pixmaps<KEPT>, image: &Image<'_>) -> Vec<u64> {
        assert_eq!(cache.check(image), Ok(()), "{}", image.id);
        let evicted: Vec<u64> = cache.evicted_by(image).iter().map(ResourceId::id).collect();
        evicted.iter().for_each(|&id| cache.forget(id));
        cache.sent(image);
        evicted
    }

    #[test]
    fn the_least_recently_used_make_room_for_pixels_and_for_places() {
        let mut cache = Pixmaps::<3>::NONE;
        cache.open(350);
        for id in 1..=3 {
            assert!(send(&mut cache, &kept(id, 10)).is_empty());
        }
        assert!(send(&mut cache, &from_cache(1)).is_empty(), "1 is the youngest now");
        assert_eq!(send(&mut cache, &kept(4, 5)), [2], "three places");
        assert_eq!(send(&mut cache, &kept(5, 16)), [3, 1], "350 pixels");
        assert!(cache.check(&from_cache(1)).is_err() && cache.check(&from_cache(4)).is_ok());
        assert!(!cache.keeps(1) && cache.keeps(4));
        assert!(send(&mut cache, &kept(5, 16)).is_empty(), "the same again takes no more room");
    }

    #[test]
    fn what_the_client_has_no_room_for_is_not_kept() {
        let mut cache = Pixmaps::<3>::NONE;
        assert!(cache.check(&kept(1, 1)).is_err(), "before INIT");
        cache.open(100);
        assert!(cache.check(&kept(1, 10)).is_ok() && cache.check(&kept(1, 11)).is_err());
        cache.open(-5);
        assert!(cache.check(&kept(1, 1)).is_err());
        let mut nothing = Pixmaps::<0>::NONE;
        nothing.open(i64::MAX);
        assert_eq!((cache.capacity(), nothing.capacity()), (0, 0));
        assert!(nothing.check(&kept(1, 1)).is_err());
    }

    #[test]
    fn a_lossy_image_is_not_taken_for_an_exact_one_until_it_is_replaced() {
        let mut cache = Pixmaps::<3>::NONE;
        cache.open(1000);
        let exact = image(1, 10, ImageFlags::empty(), ImageBody::FromCacheLossless);
        let jpeg = ImageBody::Jpeg(Sized32(Data::Promised(1)));
        assert!(send(&mut cache, &image(1, 10, ImageFlags::CACHE_ME, jpeg)).is_empty());
        assert!(cache.check(&exact).is_err() && cache.check(&from_cache(1)).is_ok());
        let replaced = image(1, 10, ImageFlags::CACHE_REPLACE_ME, ImageBody::Quic(Sized32(Data::Promised(1))));
        assert!(send(&mut cache, &replaced).is_empty());
        assert!(cache.check(&exact).is_ok());
        cache.clear();
        assert!(cache.check(&exact).is_err());
    }
}
