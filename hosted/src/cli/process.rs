//! `The process`.

use clap::Args;
use sumac::config::{Config, Helper};

#[derive(Args)]
#[command(next_help_heading = "The process")]
pub(super) struct ProcessArgs {
    /// Keep all rights of the user who starts it, and encode in this process. Otherwise it gives up, once it is
    /// open, most files, TCP connections to others, other programs and most system calls, as far as the kernel
    /// can hold it, and software encodes in processes that have still less.
    #[arg(long)]
    no_sandbox: bool,
    /// Let devices encode in processes of their own, too.
    #[arg(long, conflicts_with = "no_sandbox")]
    isolate_hw: bool,
}

/// The subcommand, which is not for people, of those processes.
pub(super) const ENCODER_HELPER: &str = "encoder-helper";

impl ProcessArgs {
    pub(super) fn apply(self, config: &mut Config) {
        config.sandbox = !self.no_sandbox;
        let helper = Helper { arguments: vec![ENCODER_HELPER.into()], hardware: self.isolate_hw };
        config.helper = config.sandbox.then_some(helper);
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{assert_error, config};

    #[test]
    fn it_is_confined_unless_told() {
        for (line, expected) in [("sumac", true), ("sumac serve", true), ("sumac --no-sandbox", false)] {
            let config = config(line);
            assert_eq!((config.sandbox, config.helper.is_some()), (expected, expected), "{line}");
        }
        let hardware = |line: &str| config(line).helper.map(|helper| helper.hardware);
        assert_eq!((hardware("sumac"), hardware("sumac --isolate-hw")), (Some(false), Some(true)));
        assert_error("sumac --isolate-hw --no-sandbox", "error: the argument '--isolate-hw' cannot be used with");
    }
}
