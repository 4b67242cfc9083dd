//! How a channel begins whose client may come from another server.

use std::rc::Rc;

use sumac_core::channel::framing::Framing;
use sumac_core::channel::migrate;
use sumac_core::limits::MIGRATED;
use sumac_core::proto::common::{ChannelType, ClientMigrateData, MigrateFlags};
use sumac_core::wire::Message;
use tokio::sync::Notify;

use super::Arrival;
use crate::connection::{Close, Linked, first_message};
use crate::transport::Stream;
use crate::viewer::Session;

/// How it does.
pub(crate) enum Begins {
    /// Like any other.
    Fresh,
    /// The client goes on, with nothing to be known of it.
    GoesOn,
    /// The client goes on where this says; it is hostile.
    With(Vec<u8>),
}

/// Waits until a channel that was linked may begin.
pub(crate) async fn begins(
    session: &Rc<Session>,
    kind: ChannelType,
    stream: &Stream,
    linked: &mut Linked,
    bell: &Rc<Notify>,
) -> Result<Begins, Close> {
    let seamless = match session.moves.arrival() {
        Arrival::Arrived => return Ok(Begins::Fresh),
        Arrival::Parked => false,
        Arrival::Seamless => true,
    };
    let over = async {
        loop {
            if let Err(close) = session.check() {
                return close;
            }
            bell.notified().await;
        }
    };
    let begun = async {
        if seamless && migrate::flags(kind).contains(MigrateFlags::NEED_DATA_TRANSFER) {
            let framing = Framing::new(linked.opened.negotiated.mini_header, MIGRATED);
            let (id, body) = first_message(stream, framing, &mut linked.received).await?;
            if id != ClientMigrateData::ID {
                return Err(Close::Ended("a client that moved here did not begin with MIGRATE_DATA"));
            }
            return Ok(Begins::With(body));
        }
        session.arrived().await;
        Ok(if seamless { Begins::GoesOn } else { Begins::Fresh })
    };
    tokio::select! {
        begins = begun => begins,
        close = over => Err(close),
    }
}
