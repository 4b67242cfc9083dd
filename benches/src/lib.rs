//! Benchmarks of Sumac; see the benches beside this file.
