//! Which streams the client has, and which of them it reports on.

use crate::channel::Refused;
use crate::limits;
use crate::wire::to_usize;

/// What is known of each stream id.
#[derive(Clone, Debug)]
pub(super) struct Streams([Stream; limits::STREAMS]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Absent,
    Present,
    /// Reports with this unique id are wanted.
    Reporting(u32),
}

impl Streams {
    pub(super) const NONE: Self = Self([Stream::Absent; limits::STREAMS]);

    fn get(&self, id: u32) -> Stream {
        self.0.get(to_usize(id)).copied().unwrap_or(Stream::Absent)
    }

    fn set(&mut self, id: u32, stream: Stream) {
        if let Some(s) = self.0.get_mut(to_usize(id)) {
            *s = stream;
        }
    }

    pub(super) fn check(&self, id: u32) -> Result<(), Refused> {
        if self.get(id) == Stream::Absent { Err(Refused::Misuse("the client has no such stream")) } else { Ok(()) }
    }

    pub(super) fn check_new(&self, id: u32) -> Result<(), Refused> {
        match (to_usize(id) < limits::STREAMS, self.get(id)) {
            (false, _) => Err(Refused::Misuse("stream ids are below SPICE_MAX_NUM_STREAMS")),
            (true, Stream::Absent) => Ok(()),
            (true, _) => Err(Refused::Misuse("the client has that stream")),
        }
    }

    pub(super) fn create(&mut self, id: u32) {
        self.set(id, Stream::Present);
    }

    pub(super) fn activate(&mut self, id: u32, unique_id: u32) {
        self.set(id, Stream::Reporting(unique_id));
    }

    pub(super) fn destroy(&mut self, id: u32) {
        self.set(id, Stream::Absent);
    }

    pub(super) fn reports(&self, id: u32, unique_id: u32) -> bool {
        self.get(id) == Stream::Reporting(unique_id)
    }
}
