//! The integration tests, in one binary so that they link once.

// `cfg(test)` tells clippy that helpers may unwrap like the tests they help.
#[cfg(test)]
mod images;
#[cfg(test)]
mod vectors;
