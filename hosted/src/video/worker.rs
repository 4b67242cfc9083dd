//! [`Worker`]: one encoder on a thread of its own.
//!
//! An encoder stays on the thread that opened it. The engine hands it one picture at a time, the
//! newest, and only when the one before is done: nothing queues here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use sumac_backends::Codec;
use tokio::sync::Notify;

use super::encoders::Candidate;
use super::encoding::{Encoding, Job, Outcome};
use crate::ledger::Ledger;

/// The engine's end of an encoder thread. Dropping it ends the thread when its picture is done.
pub(super) struct Worker {
    jobs: SyncSender<Job>,
    slot: Arc<Slot>,
    busy: bool,
}

/// Rings when a worker has an outcome; a clone is the same bell.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<Rope>);

#[derive(Default)]
struct Rope {
    notify: Notify,
    threads: AtomicUsize,
}

/// Where the thread leaves what it made; the engine takes it before it hands over the next job.
struct Slot {
    outcome: Mutex<Option<Outcome>>,
    bell: Bell,
}

impl Worker {
    /// Starts a thread; `bell` rings when it has an outcome.
    pub(super) fn start(
        codec: Codec,
        candidates: Vec<Candidate>,
        bell: Bell,
        ledger: Arc<Ledger>,
    ) -> std::io::Result<Self> {
        let (jobs, received) = sync_channel(1);
        let slot = Arc::new(Slot { outcome: Mutex::new(None), bell: bell.clone() });
        let theirs = Arc::clone(&slot);
        let counted = Counted::new(bell);
        thread::Builder::new().name(format!("sumac-{codec}")).spawn(move || {
            let _counted = counted;
            run(&received, &theirs, Encoding::new(codec, candidates, ledger));
            // A job that was handed over and not begun holds a frame.
            drop(received);
        })?;
        Ok(Self { jobs, slot, busy: false })
    }

    /// Whether a job is under way or its outcome has not been taken.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Hands over a job; `false` when the worker is busy or gone.
    pub(super) fn submit(&mut self, job: Job) -> bool {
        if self.busy {
            return false;
        }
        self.busy = self.jobs.try_send(job).is_ok();
        self.busy
    }

    /// The outcome of the last job, once.
    pub(super) fn take(&mut self) -> Option<Outcome> {
        let outcome = self.slot.lock().take();
        if outcome.is_some() {
            self.busy = false;
        }
        outcome
    }
}

impl Bell {
    /// Waits until a worker has an outcome, or has ended.
    pub(crate) async fn rang(&self) {
        self.0.notify.notified().await;
    }

    /// Threads that have not ended; one that has holds no frame.
    pub(crate) fn threads(&self) -> usize {
        self.0.threads.load(Ordering::Acquire)
    }

    fn ring(&self) {
        self.0.notify.notify_one();
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        // The slot is assigned in one step: a panic elsewhere leaves it whole.
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, outcome: Outcome) {
        *self.lock() = Some(outcome);
        self.bell.ring();
    }
}

/// Encodes until the engine lets go of the worker, or nobody encodes any more.
fn run(jobs: &Receiver<Job>, slot: &Slot, mut encoding: Encoding) {
    while let Ok(job) = jobs.recv() {
        let watch = Watch(slot);
        let outcome = encoding.encode(job);
        drop(watch);
        let failed = matches!(outcome, Outcome::Failed(_));
        slot.put(outcome);
        if failed {
            break;
        }
    }
}

/// Says that the encoder failed when it panics: the engine would wait for ever.
struct Watch<'a>(&'a Slot);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.put(Outcome::Failed("the encoder panicked".into()));
        }
    }
}

/// Counts a thread as long as it is there.
struct Counted(Bell);

impl Counted {
    fn new(bell: Bell) -> Self {
        bell.0.threads.fetch_add(1, Ordering::Relaxed);
        Self(bell)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.threads.fetch_sub(1, Ordering::Release);
        self.0.ring();
    }
}
