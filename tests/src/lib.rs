//! What the integration tests share: peers, oracles, relays.

pub mod recording;
pub mod session;
