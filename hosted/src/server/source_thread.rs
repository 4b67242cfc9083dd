//! [`SourceThread`]: the source, on a thread of its own.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use crate::ledger::Ledger;
use crate::source::{Host, Source, SourceStats, ToSource};
use crate::stats::Activity;

/// Messages that wait for a source that is busy; seconds of the fastest mouse.
const INBOX: usize = 4096;

/// A running source.
pub(crate) struct SourceThread {
    inbox: SyncSender<ToSource>,
    stats: Arc<SourceStats>,
    viewers: Arc<AtomicUsize>,
    /// Messages that a source which does not listen lost.
    lost: Cell<u64>,
}

/// How a source ended.
pub(crate) type Ended = oneshot::Receiver<anyhow::Result<()>>;

impl SourceThread {
    /// Starts `source`.
    pub(crate) fn start(source: Box<dyn Source>, host: Arc<dyn Host>) -> std::io::Result<(Self, Ended)> {
        let stats = source.stats();
        let (inbox, received) = sync_channel(INBOX);
        let (tell_end, ended) = oneshot::channel();
        thread::Builder::new().name("sumac-source".into()).spawn(move || {
            let result = source.run(host, received);
            // Nobody listens any more when the server is ending.
            let _ = tell_end.send(result);
        })?;
        Ok((Self { inbox, stats, viewers: Arc::default(), lost: Cell::new(0) }, ended))
    }

    /// Tells the source something, without waiting for it.
    pub(crate) fn tell(&self, message: ToSource) {
        match self.inbox.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let lost = self.lost.get() + 1;
                self.lost.set(lost);
                if lost.is_power_of_two() {
                    tracing::warn!(lost, "the source does not listen; input is lost");
                }
            }
            // It ended; the server hears of that another way.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    pub(crate) fn set_viewers(&self, count: usize) {
        self.viewers.store(count, Ordering::Relaxed);
    }

    /// What it does, for the `stat` lines; may be called from any thread.
    pub(crate) fn activity(&self, ledger: Arc<Ledger>) -> impl Fn() -> Activity + Send + 'static {
        let (stats, viewers) = (Arc::clone(&self.stats), Arc::clone(&self.viewers));
        move || Activity {
            clients: viewers.load(Ordering::Relaxed),
            submitted: stats.submitted(),
            gl_draws: stats.draws(),
            gl_done: stats.done(),
            gen_ms: stats.cpu_ms(),
            ledger: ledger.figures(),
        }
    }
}
