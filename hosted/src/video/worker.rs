//! [`Worker`]: one encoder on a thread of its own.
//!
//! An encoder stays on the thread that opened it. The engine hands it one picture at a time, the
//! newest, and only when the one before is done: nothing queues here.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sumac_backends::{
    Backend, BackendError, Chroma, Codec, Completion, EncodeRequest, Encoder, Frame, Packet, Rect, Settings, Tuning,
};
use tokio::sync::Notify;

/// A picture to encode.
pub(super) struct Job {
    pub(super) frame: Frame,
    pub(super) region: Rect,
    pub(super) keyframe: bool,
    /// Comes back in the packet.
    pub(super) tag: u64,
}

/// What came of a job.
pub(super) enum Outcome {
    /// An encoded picture.
    Packet(Packet),
    /// The rate control left the picture out.
    Skipped,
    /// The encoder cannot go on.
    Failed(String),
}

/// The engine's end of an encoder thread. Dropping it ends the thread.
pub(super) struct Worker {
    jobs: SyncSender<Job>,
    outcome: Arc<Slot>,
    busy: bool,
}

/// Where the thread leaves what it made; the engine takes it before it hands over the next job.
struct Slot {
    outcome: Mutex<Option<Outcome>>,
    done: Arc<Notify>,
}

/// Which encoder a thread opens: backends in order of preference.
#[derive(Clone)]
pub(crate) struct Choice {
    pub(super) codec: Codec,
    pub(super) candidates: Rc<[(&'static dyn Backend, Option<PathBuf>)]>,
    pub(super) tuning: Tuning,
}

impl Worker {
    /// Starts a thread for pictures of this size; `done` rings when it has an outcome.
    pub(super) fn start(choice: &Choice, size: (u32, u32), done: Arc<Notify>) -> std::io::Result<Self> {
        let (jobs, received) = sync_channel(1);
        let slot = Arc::new(Slot { outcome: Mutex::new(None), done });
        let outcome = Arc::clone(&slot);
        let candidates: Vec<_> = choice.candidates.to_vec();
        let settings = Settings {
            codec: choice.codec,
            width: size.0,
            height: size.1,
            chroma: Chroma::Yuv420,
            tuning: choice.tuning,
            device: None,
        };
        thread::Builder::new()
            .name(format!("sumac-{}", choice.codec))
            .spawn(move || encode_all(&received, &candidates, settings, &slot))?;
        Ok(Self { jobs, outcome, busy: false })
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
        let outcome = self.outcome.lock().take();
        if outcome.is_some() {
            self.busy = false;
        }
        outcome
    }
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Outcome>> {
        // The slot is assigned in one step: a panic elsewhere leaves it whole.
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, outcome: Outcome) {
        *self.lock() = Some(outcome);
        self.done.notify_one();
    }
}

fn encode_all(
    jobs: &Receiver<Job>,
    candidates: &[(&'static dyn Backend, Option<PathBuf>)],
    settings: Settings,
    slot: &Slot,
) {
    let mut encoder: Option<Box<dyn Encoder>> = None;
    while let Ok(job) = jobs.recv() {
        let outcome = match &mut encoder {
            Some(running) => encode(running.as_mut(), job),
            None => open(candidates, &settings, &job.frame).and_then(|mut opened| {
                let outcome = encode(opened.as_mut(), job);
                encoder = Some(opened);
                outcome
            }),
        };
        let failed = outcome.is_err();
        slot.put(outcome.unwrap_or_else(|error| Outcome::Failed(error.to_string())));
        if failed {
            break;
        }
    }
    if let Some(encoder) = encoder {
        drop(encoder.finish());
    }
}

/// The first candidate that opens; the error of the last that does not.
fn open(
    candidates: &[(&'static dyn Backend, Option<PathBuf>)],
    settings: &Settings,
    like: &Frame,
) -> Result<Box<dyn Encoder>, BackendError> {
    let mut refused = BackendError::Unsupported { backend: "none", what: settings.codec.to_string() };
    for (backend, device) in candidates {
        match backend.open(&Settings { device: device.clone(), ..settings.clone() }, like) {
            Ok(encoder) => return Ok(encoder),
            Err(error) => {
                tracing::warn!(backend = backend.name(), codec = %settings.codec, %error, "encoder does not open");
                refused = error;
            }
        }
    }
    Err(refused)
}

/// Encodes one picture and waits for it.
fn encode(encoder: &mut dyn Encoder, job: Job) -> Result<Outcome, BackendError> {
    let request = EncodeRequest { region: job.region, damage: job.region, keyframe: job.keyframe, tag: job.tag };
    if let Err(refused) = encoder.submit(job.frame, request) {
        return Ok(Outcome::Failed(refused.why.to_string()));
    }
    loop {
        match encoder.poll_completion()? {
            Some(Completion::Encoded(packet)) => return Ok(Outcome::Packet(packet)),
            Some(Completion::Dropped { .. }) => return Ok(Outcome::Skipped),
            None => wait(encoder)?,
        }
    }
}

/// Sleeps until an encoder with a descriptor has news; the others work inside `poll_completion`.
fn wait(encoder: &dyn Encoder) -> Result<(), BackendError> {
    if let Some(fd) = encoder.readiness() {
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        // An interrupted wait only means asking again.
        let _ = rustix::event::poll(&mut fds, None);
    }
    Ok(())
}
