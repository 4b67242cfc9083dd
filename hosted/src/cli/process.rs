//! `The process`.

use clap::Args;
use sumac::config::Config;

#[derive(Args)]
#[command(next_help_heading = "The process")]
pub(super) struct ProcessArgs {
    /// Keep all rights of the user who starts it. Otherwise it gives up, once it is open, most files, TCP
    /// connections to others, other programs and most system calls, as far as the kernel can hold it.
    #[arg(long)]
    no_sandbox: bool,
}

impl ProcessArgs {
    pub(super) fn apply(self, config: &mut Config) {
        config.sandbox = !self.no_sandbox;
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::config;

    #[test]
    fn it_is_confined_unless_told() {
        for (line, expected) in [("sumac", true), ("sumac serve", true), ("sumac --no-sandbox", false)] {
            assert_eq!(config(line).sandbox, expected, "{line}");
        }
    }
}
