//! What the integration tests share: peers, oracles, relays.
