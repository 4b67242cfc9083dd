//! What the integration tests share: peers, oracles, relays.

pub mod oracles;
pub mod recording;
pub mod session;
