//! [`Record`]: what a viewer records, until the source takes it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{RateError, SAMPLE_BYTES, Volume, bytes_of, check_rate};

/// Milliseconds of sound that wait for the source.
const WAITING_MS: u32 = 200;

/// The source's end of the record channel. A clone is another handle; any thread may use it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    shared: Arc<Mutex<Shared>>,
    arrived: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Shared {
    wish: Wish,
    samples: VecDeque<u8>,
}

/// What the source wants from a viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Samples a second while it listens.
    pub(crate) rate: Option<u32>,
    pub(crate) volume: Volume,
}

impl Record {
    pub(super) fn new(arrived: Arc<Notify>) -> Self {
        Self { shared: Arc::default(), arrived }
    }

    /// Listens from now on, with this many samples of each channel in a second; 8000 to 192000. One
    /// viewer that has a microphone is asked; its user may say no.
    pub fn start(&self, rate: u32) -> Result<(), RateError> {
        let rate = check_rate(rate)?;
        self.change(|shared| {
            if shared.wish.rate != Some(rate) {
                shared.samples.clear();
            }
            shared.wish.rate = Some(rate);
        });
        Ok(())
    }

    /// Takes what was recorded, signed 16-bit little-endian, left and right in turn, into the front
    /// of `out`; answers how many bytes, whole samples only. 0 when there is nothing now.
    pub fn read(&self, out: &mut [u8]) -> usize {
        let mut shared = self.lock();
        let len = out.len().min(shared.samples.len());
        let len = len - len % SAMPLE_BYTES;
        out.iter_mut().zip(shared.samples.drain(..len)).for_each(|(to, from)| *to = from);
        len
    }

    /// Does not listen any more; what was recorded is lost.
    pub fn stop(&self) {
        self.change(|shared| {
            shared.wish.rate = None;
            shared.samples.clear();
        });
    }

    /// How loud the viewer is to record.
    pub fn set_volume(&self, volume: Volume) {
        self.change(|shared| shared.wish.volume = volume);
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.lock());
        self.arrived.notify_one();
    }

    /// Appends sound of the viewer's, whole samples; the oldest is lost when the source is slow.
    fn push(&self, samples: impl Iterator<Item = u8>) {
        let mut shared = self.lock();
        let Some(rate) = shared.wish.rate else { return };
        shared.samples.extend(samples);
        let over = shared.samples.len().saturating_sub(bytes_of(rate, WAITING_MS));
        let over = over.next_multiple_of(SAMPLE_BYTES).min(shared.samples.len());
        shared.samples.drain(..over);
    }

    /// A panic of another thread leaves only sound behind.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's end: which viewer is recorded.
pub(crate) struct RecordHub {
    record: Record,
    wish: Cell<Wish>,
    /// Record channels in the order in which they were opened; the first one is recorded.
    speakers: RefCell<Vec<Weak<Notify>>>,
}

impl RecordHub {
    pub(crate) fn new(record: Record) -> Self {
        Self { record, wish: Cell::default(), speakers: RefCell::default() }
    }

    /// Takes in what the source wants.
    pub(crate) fn take_mail(&self) {
        let wish = self.record.lock().wish;
        if self.wish.replace(wish) != wish {
            self.ring();
        }
    }

    /// A record channel is there as long as somebody keeps its bell.
    pub(crate) fn enter(&self, bell: &Rc<Notify>) {
        self.speakers.borrow_mut().push(Rc::downgrade(bell));
    }

    /// A record channel closes: another one may be asked.
    pub(crate) fn leave(&self, bell: &Rc<Notify>) {
        self.speakers.borrow_mut().retain(|other| !std::ptr::eq(other.as_ptr(), Rc::as_ptr(bell)));
        self.ring();
    }

    /// What the channel with this bell is to do.
    pub(crate) fn wish(&self, bell: &Rc<Notify>) -> Wish {
        let mut speakers = self.speakers.borrow_mut();
        speakers.retain(|other| other.strong_count() > 0);
        let asked = speakers.first().is_some_and(|first| std::ptr::eq(first.as_ptr(), Rc::as_ptr(bell)));
        let wish = self.wish.get();
        Wish { rate: wish.rate.filter(|_| asked), ..wish }
    }

    /// Sound of the viewer that is recorded, as it came; part of a sample at the end is dropped.
    pub(crate) fn on_raw(&self, bytes: &[u8]) {
        let whole = bytes.len() - bytes.len() % SAMPLE_BYTES;
        self.record.push(bytes.iter().take(whole).copied());
    }

    /// Sound of the viewer that is recorded, decoded.
    pub(crate) fn on_samples(&self, samples: &[i16]) {
        self.record.push(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    }

    fn ring(&self) {
        self.speakers.borrow().iter().filter_map(Weak::upgrade).for_each(|bell| bell.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> (Record, RecordHub) {
        let record = Record::default();
        (record.clone(), RecordHub::new(record))
    }

    #[test]
    fn one_viewer_is_asked_and_the_next_when_it_goes() {
        let (record, hub) = hub();
        let (one, two) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        hub.enter(&one);
        hub.enter(&two);
        assert_eq!(hub.wish(&one).rate, None);
        record.start(48_000).unwrap();
        hub.take_mail();
        assert_eq!((hub.wish(&one).rate, hub.wish(&two).rate), (Some(48_000), None));
        hub.leave(&one);
        assert_eq!(hub.wish(&two).rate, Some(48_000));
        drop(two);
        hub.enter(&one);
        assert_eq!(hub.wish(&one).rate, Some(48_000), "who is gone is not asked");
        record.stop();
        hub.take_mail();
        assert_eq!(hub.wish(&one).rate, None);
    }

    #[test]
    fn the_source_reads_whole_samples_and_loses_the_oldest() {
        let (record, hub) = hub();
        hub.on_raw(&[1; 8]);
        let mut out = [0; 10];
        assert_eq!(record.read(&mut out), 0, "nobody listened");
        record.start(8_000).unwrap();
        hub.on_samples(&[1, -1]);
        hub.on_raw(&[9; 7]);
        assert_eq!(record.read(&mut out), 8);
        assert_eq!(out, [1, 0, 255, 255, 9, 9, 9, 9, 0, 0]);
        (0..100).for_each(|n| hub.on_raw(&[n; 320]));
        let mut all = vec![0; 10_000];
        assert_eq!((record.read(&mut all), all[6399]), (6400, 99));
        hub.on_raw(&[3; 4]);
        record.stop();
        record.start(8_000).unwrap();
        assert_eq!(record.read(&mut out), 0);
    }
}
