//! Log lines on stderr, where the application's own go.

use std::io;
use std::sync::Once;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The environment variable that says what is logged, such as `debug`; else warnings are.
const VARIABLE: &str = "SUMAC_LOG";

/// Starts the log, once in the process.
pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let builder = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
        let filter = builder.with_env_var(VARIABLE).from_env_lossy();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
        // A test of this crate may have one.
        let _ = log.try_init();
    });
}
