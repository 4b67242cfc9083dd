//! What the integration tests share: peers, oracles, relays.

pub mod client;
pub mod oracles;
pub mod recording;
pub mod session;
