//! [`serve`]: the whole server, from its configuration to its end.

use std::io;
use std::time::Instant;

use tokio::runtime;

use crate::auth::{AuthRate, KeyStock};
use crate::config::Config;
use crate::signals::{Request, Signals};
use crate::stats::{Activity, Ready, Reporter};
use crate::transport::Listeners;
use welcome::{Access, welcome};

mod welcome;

/// Serves until SIGTERM or SIGINT. Fails when it cannot start: no access to a socket or a file.
pub fn serve(config: Config) -> anyhow::Result<()> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::install()?;
    let access = Access::prepare(&config.ticketing)?;
    let _check = access.ticket_check(Instant::now());
    let _rate = AuthRate::new(config.auth_rate);
    let _keys = KeyStock::start()?;
    let mut listeners = Listeners::open(&config.listen)?;
    let ready = Ready {
        tcp: listeners.tcp_addresses().to_vec(),
        unix: listeners.unix_address().cloned(),
        size: config.size,
        codecs: config.video_codecs.clone(),
    };
    // Before "ready", so that whoever waits for that line finds the connection file.
    welcome(&config, &access, &listeners);
    let reporter = Reporter::start(io::stdout(), &ready, Activity::default, config.stats)?;
    loop {
        tokio::select! {
            (_stream, peer) = listeners.accept() => tracing::info!(%peer, "closed: there is no engine yet"),
            request = signals.next() => match request {
                Request::Quit => break,
                Request::WriteReference => tracing::warn!("there is no picture yet"),
            },
        }
    }
    reporter.finish();
    Ok(())
}
