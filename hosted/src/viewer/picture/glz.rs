//! The GLZ dictionary of a session, and the memory that it is lent.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use sumac_core::image::Pixels;
use sumac_core::image::glz::{GlzDictionary, GlzImage};

/// Pixels that are kept at most, whatever the client offers: 8 MiB of memory a session, touched as
/// pictures come. It holds two whole pictures of 1280x720.
const WINDOW: u32 = 1 << 21;
/// Places of the table of hints, 512 KiB.
const TABLE: usize = 1 << 17;
/// No session sends so many images: beyond them a number is no server's.
const IDS: u64 = 1 << 48;
/// Images that are kept at most, 48 KiB.
const IMAGES: usize = 2048;

/// Dictionaries of a session: clients have one for all their displays, and a client that names another
/// with each channel it opens would have 256.
const DICTIONARIES: usize = 4;

type Dictionary = GlzDictionary<Box<[u32]>, Box<[GlzImage]>>;

/// The dictionaries of a session's display channels, by the id that the client gave them. They stay
/// as long as the session: the client goes on counting images.
#[derive(Default)]
pub(super) struct GlzDictionaries(RefCell<HashMap<u8, Rc<RefCell<Dictionary>>>>);

/// A display channel's part in a dictionary.
pub(super) struct Glz(Rc<RefCell<Dictionary>>);

impl GlzDictionaries {
    /// The dictionary of this id, made for `window` pixels when it is the first channel's; `None`
    /// when the client keeps nothing, or has too many.
    pub(super) fn get(&self, id: u8, window: i32) -> Option<Glz> {
        let window = u32::try_from(window).ok().filter(|window| *window > 0)?.min(WINDOW);
        let mut dictionaries = self.0.borrow_mut();
        if dictionaries.len() >= DICTIONARIES && !dictionaries.contains_key(&id) {
            return None;
        }
        let dictionary = dictionaries.entry(id).or_insert_with(|| {
            let words = |count: usize| vec![0; count].into_boxed_slice();
            let images = vec![GlzImage::EMPTY; IMAGES].into_boxed_slice();
            let glz = GlzDictionary::new(words(TABLE), words(window as usize), images, window);
            Rc::new(RefCell::new(glz))
        });
        Some(Glz(Rc::clone(dictionary)))
    }
}

impl Glz {
    /// Encodes a picture, which must then be sent; `None` when that is not possible or does not pay.
    pub(super) fn encode(&self, pixels: &Pixels<'_>, out: &mut [u8]) -> Option<usize> {
        self.0.borrow_mut().encode(pixels, out)
    }
}

impl Glz {
    /// The number of the next image.
    pub(super) fn next_id(&self) -> u64 {
        self.0.borrow().next_id()
    }

    /// The client has images up to this number from another server; nothing refers to them.
    pub(super) fn go_on(&self, next: u64) {
        let mut dictionary = self.0.borrow_mut();
        if (dictionary.next_id()..IDS).contains(&next) {
            dictionary.restart_at(next);
        }
    }
}

impl Drop for Glz {
    /// Images of the channel that ends may never arrive: nothing refers to them any more.
    fn drop(&mut self) {
        let mut dictionary = self.0.borrow_mut();
        let next = dictionary.next_id();
        dictionary.restart_at(next);
    }
}

#[cfg(test)]
mod tests {
    use sumac_core::image::PixelFormat;

    use super::*;

    fn len(glz: &Glz) -> Option<usize> {
        let bytes: Vec<u8> = (0..32 * 32 * 4).map(|n| (n * n / 7) as u8).collect();
        let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, 32, 32, 128).unwrap();
        glz.encode(&pixels, &mut vec![0; bytes.len()])
    }

    #[test]
    fn channels_of_a_session_share_what_has_one_id() {
        let dictionaries = GlzDictionaries::default();
        let one = dictionaries.get(1, 1 << 20).unwrap();
        let first = len(&one).unwrap();
        let two = dictionaries.get(1, 1 << 20).unwrap();
        assert!(len(&two).unwrap() < first / 4, "the second channel refers to the first one's image");
        assert_eq!(len(&dictionaries.get(2, 1 << 20).unwrap()), Some(first), "another id, another dictionary");
        drop(two);
        assert_eq!(len(&one), Some(first), "images of the channel that ended may be missing");
        assert_eq!(one.0.borrow().next_id(), 3);
    }

    #[test]
    fn a_session_has_few_dictionaries_however_many_ids_it_names() {
        let dictionaries = GlzDictionaries::default();
        let got = (0..=u8::MAX).filter(|id| dictionaries.get(*id, 1 << 20).is_some()).count();
        assert_eq!(got, DICTIONARIES);
        assert!(dictionaries.get(0, 1 << 20).is_some(), "those there are stay");
    }

    #[test]
    fn a_client_without_a_window_gets_no_glz() {
        for window in [0, -1, i32::MIN] {
            assert!(GlzDictionaries::default().get(1, window).is_none());
        }
        assert_eq!(len(&GlzDictionaries::default().get(1, 1000).unwrap()), None, "larger than the window");
    }
}
