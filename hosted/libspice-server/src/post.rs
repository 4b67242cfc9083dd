//! [`Post`]: from the server's threads to the application's main loop, through one eventfd.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use sumac::ChannelNews;
use sumac::source::ToSource;

use crate::interfaces::Instance;

/// Messages of viewers that wait for a main loop that does not run; seconds of the fastest mouse.
const INPUTS: usize = 4096;

/// What is to be done on the main loop.
pub(crate) enum Job {
    /// A viewer did or wants something.
    Source(ToSource),
    /// A channel opened or closed.
    Channel(ChannelNews),
    /// Something changed at the viewer's end of a character device.
    Device(Instance),
}

/// Jobs that wait, and the descriptor that tells the main loop of them.
pub(crate) struct Post {
    wake: OwnedFd,
    jobs: Sender<Job>,
    waiting: Mutex<Receiver<Job>>,
    /// Messages of viewers among them.
    inputs: AtomicUsize,
}

impl Post {
    pub(crate) fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let (jobs, waiting) = channel();
        Ok(Self { wake, jobs, waiting: Mutex::new(waiting), inputs: AtomicUsize::new(0) })
    }

    /// What the main loop is to watch.
    pub(crate) fn fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// Has something done. A viewer's message is lost when too many wait.
    pub(crate) fn send(&self, job: Job) {
        if matches!(job, Job::Source(_)) && self.inputs.fetch_add(1, Ordering::Relaxed) >= INPUTS {
            self.inputs.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // The receiver lives as long as this does.
        let _ = self.jobs.send(job);
        // It only fails when the counter is full, and then the loop is woken anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// The jobs that wait; those that come meanwhile wake the loop again.
    pub(crate) fn take(&self) -> Vec<Job> {
        // Whether there is something to read does not matter: the jobs are what counts.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs: Vec<_> = waiting.try_iter().collect();
        let inputs = jobs.iter().filter(|job| matches!(job, Job::Source(_))).count();
        self.inputs.fetch_sub(inputs, Ordering::Relaxed);
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_wait_in_order_and_not_more_than_so_many_inputs() {
        let post = Post::new().unwrap();
        assert!(rustix::io::read(&post.wake, &mut [0; 8]).is_err(), "nothing woke it");
        for n in 0..INPUTS + 5 {
            post.send(Job::Source(ToSource::Viewers(n)));
        }
        let jobs = post.take();
        assert_eq!(jobs.len(), INPUTS);
        assert!(matches!(jobs[7], Job::Source(ToSource::Viewers(7))));
        post.send(Job::Source(ToSource::Quit));
        assert_eq!((post.take().len(), post.take().len()), (1, 0));
        assert!(rustix::io::read(&post.wake, &mut [0; 8]).is_err(), "it was read");
    }
}
