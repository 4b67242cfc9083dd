//! An engine for tests of viewers, and for fuzzers.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::displays::Displays;
use super::engine::Engine;
use super::source_thread::SourceThread;
use crate::auth::{KeyStock, TicketCheck, Tickets};
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
#[cfg(test)]
pub(crate) fn engine(config: Config) -> Rc<Engine> {
    engine_with(config, KeyStock::start().unwrap()).unwrap()
}

/// The same with these keys for links.
pub(crate) fn engine_with(config: Config, keys: KeyStock) -> io::Result<Rc<Engine>> {
    let epoch = Instant::now();
    let displays = Displays::new(&config, epoch);
    let (source, _) = SourceThread::start(Box::new(Nothing), Arc::new(displays.host().clone()))?;
    let tickets = Tickets::new(TicketCheck::disabled());
    Ok(Engine::new(config, epoch, displays, source, keys, tickets, None))
}
