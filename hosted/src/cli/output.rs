//! `What it prints`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use sumac::config::Config;

#[derive(Args)]
#[command(next_help_heading = "What it prints")]
pub(super) struct OutputArgs {
    /// Print a line of figures every second.
    #[arg(long)]
    stats: bool,
    /// Serve figures for Prometheus, and /healthz, over HTTP to whoever reaches this address; port 0 lets the
    /// system choose.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
    /// PNG file of what is shown: before "ready", on SIGUSR1 and at exit.
    #[arg(long, value_name = "FILE.png")]
    write_ref: Option<PathBuf>,
}

impl OutputArgs {
    pub(super) fn apply(self, config: &mut Config) {
        config.stats = self.stats;
        config.metrics = self.metrics;
        config.write_ref = self.write_ref;
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{assert_error, config};

    #[test]
    fn what_it_prints() {
        let config = config("sumac --stats --write-ref a.png --metrics [::1]:0");
        assert_eq!(config.metrics, Some("[::1]:0".parse().unwrap()));
        assert_eq!((config.stats, config.write_ref), (true, Some("a.png".into())));
    }

    #[test]
    fn usage_errors_name_the_thing() {
        assert_error(
            "sumac --metrics 9090",
            "error: invalid value '9090' for '--metrics <ADDR:PORT>': invalid socket address",
        );
    }
}
