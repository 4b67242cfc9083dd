//! Which surfaces the client has.

use crate::channel::Refused;
use crate::limits;
use crate::wire::to_usize;

const WORDS: usize = limits::SURFACES.div_ceil(64);

/// A bit for every surface id.
#[derive(Clone, Debug)]
pub(super) struct Surfaces([u64; WORDS]);

impl Surfaces {
    pub(super) const NONE: Self = Self([0; WORDS]);

    fn bit(id: u32) -> (usize, u64) {
        (to_usize(id / 64), 1 << (id % 64))
    }

    fn has(&self, id: u32) -> bool {
        let (word, bit) = Self::bit(id);
        self.0.get(word).is_some_and(|w| w & bit != 0)
    }

    pub(super) fn check(&self, id: u32) -> Result<(), Refused> {
        if self.has(id) { Ok(()) } else { Err(Refused::Misuse("the client has no such surface")) }
    }

    pub(super) fn check_new(&self, id: u32) -> Result<(), Refused> {
        match (to_usize(id) < limits::SURFACES, self.has(id)) {
            (false, _) => Err(Refused::Misuse("surface ids are below 1024")),
            (true, true) => Err(Refused::Misuse("the client has that surface")),
            (true, false) => Ok(()),
        }
    }

    pub(super) fn set(&mut self, id: u32, there: bool) {
        let (word, bit) = Self::bit(id);
        if let Some(w) = self.0.get_mut(word) {
            *w = if there { *w | bit } else { *w & !bit };
        }
    }
}
