//! Log lines: to `defmt`, to `tracing`, to both, or to nothing.
//!
//! Each level is a macro: `log!(debug, "{} of {}", n, all)`. The arguments must suit both, so they
//! stand behind the text and not inside it. With both features off they are type-checked and not
//! evaluated. Core reports what happens as events; a line is for what no event tells.

/// Logs at `trace`, `debug`, `info`, `warn` or `error`.
macro_rules! log {
    ($level:ident, $text:literal $(, $arg:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($text $(, $arg)*);
        #[cfg(feature = "tracing")]
        tracing::$level!($text $(, $arg)*);
        #[cfg(not(any(feature = "defmt", feature = "tracing")))]
        if false {
            let _ = core::format_args!($text $(, $arg)*);
        }
    }};
}
