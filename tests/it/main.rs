//! The integration tests, in one binary so that they link once.

// `cfg(test)` tells clippy that helpers may unwrap like the tests they help.
#[cfg(test)]
mod alloc;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod cves;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod firmware;
#[cfg(test)]
mod images;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod map;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod replay;
// What the firmware serves is served on the host too.
#[cfg(test)]
#[path = "../firmware/src/session.rs"]
mod session;
#[cfg(test)]
mod vectors;
