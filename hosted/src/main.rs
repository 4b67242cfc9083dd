//! The `sumac` binary.

fn main() {}
