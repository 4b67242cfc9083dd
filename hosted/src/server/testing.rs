//! An engine for tests of viewers.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::displays::Displays;
use super::engine::Engine;
use super::source_thread::SourceThread;
use crate::auth::{KeyStock, TicketCheck};
use crate::config::Config;
use crate::source::{Host, Inbox, Source, SourceStats};

/// A source that shows nothing: the test opens displays itself.
struct Nothing;

impl Source for Nothing {
    fn stats(&self) -> Arc<SourceStats> {
        Arc::default()
    }

    fn run(self: Box<Self>, _: Arc<dyn Host>, _: Inbox) -> anyhow::Result<()> {
        Ok(())
    }
}

/// An engine without displays.
pub(crate) fn engine(config: Config) -> Rc<Engine> {
    let epoch = Instant::now();
    let displays = Displays::new(&config, epoch);
    let (source, _) = SourceThread::start(Box::new(Nothing), Arc::new(displays.host().clone())).unwrap();
    Engine::new(config, epoch, displays, source, KeyStock::start().unwrap(), TicketCheck::disabled())
}
