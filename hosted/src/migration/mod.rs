//! Moving viewers to another server: what an embedding program says, and where each session stands.
//!
//! ```text
//!  source                                              target
//!  Here ─begin─► Asked ─MIGRATE_CONNECTED─► Connected  a main channel that names a session: Parked
//!    ▲             └─error, silence─► Failed            ├─MIGRATE_END──► Arrived: everything anew
//!    └──cancel─────────┴────────────────┘               └─DO_SEAMLESS──► Seamless ─MIGRATE_DATA─► Arrived
//!  end: MIGRATE_END, MIGRATE on all channels, or SWITCH_HOST ─► Told, gone within 10 s
//! ```

mod arrival;
mod departure;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

pub(crate) use arrival::{Begins, begins};
pub(crate) use departure::Migration;
use sumac_core::channel::migrate;
use sumac_core::proto::main::Destination;
use sumac_core::wire::SizedAt;

/// Where viewers are to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationTarget {
    /// Host name or address, as viewers reach it.
    pub host: String,
    /// TCP port for plain connections.
    pub port: Option<u16>,
    /// TCP port for TLS; at least one of both is needed.
    pub tls_port: Option<u16>,
    /// Subject of the certificate that viewers are to expect there.
    pub cert_subject: Option<String>,
    /// Viewers may keep all their state, where both servers and the viewer can; there must be only one.
    pub seamless: bool,
}

/// What came of asking viewers to connect to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MigrationBegun {
    /// Viewers that are connected to it, and will move when the migration ends.
    pub connected: usize,
    /// Of these, viewers that keep their state.
    pub seamless: usize,
    /// Viewers that are not: they cannot, could not, or did not answer in 10 s. They will be told to
    /// connect anew when the migration ends.
    pub others: usize,
}

/// What the main channel is to tell its client.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Begin(Rc<Wire>, Seamless),
    Cancel,
    End,
    SwitchHost(Rc<Wire>),
}

/// Whether state may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seamless(pub(crate) bool);

/// A target as messages name it.
#[derive(Debug)]
pub(crate) struct Wire {
    port: u16,
    tls_port: u16,
    host: Vec<u8>,
    cert_subject: Option<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(target: &MigrationTarget) -> Self {
        let text = |text: &str| text.bytes().filter(|byte| *byte != 0).chain([0]).collect();
        Self {
            port: target.port.unwrap_or(0),
            tls_port: target.tls_port.unwrap_or(0),
            host: text(&target.host),
            cert_subject: target.cert_subject.as_deref().map(text),
        }
    }

    pub(crate) fn destination(&self) -> Destination<'_> {
        let cert_subject = SizedAt(self.cert_subject.as_deref());
        Destination { port: self.port, sport: self.tls_port, host: SizedAt(Some(&self.host)), cert_subject }
    }
}

/// Where a session stands that may go to another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    #[default]
    Here,
    /// Told to connect to the target; it has not answered.
    Asked,
    /// Connected to it.
    Connected(Seamless),
    /// It cannot, or it could not.
    Failed,
    /// Told to go: it has a few seconds.
    Told,
}

/// Where a session stands that came from another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It began here, or is here now.
    #[default]
    Arrived,
    /// It is still shown the other server.
    Parked,
    /// So it is, and will come with its state.
    Seamless,
}

/// A session's part in migrations.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    orders: RefCell<VecDeque<Order>>,
    standing: Cell<Standing>,
    arrival: Cell<Arrival>,
    /// All channels are to say MIGRATE.
    departs: Rc<Cell<bool>>,
}

impl Moves {
    /// Of a session that comes from another server.
    pub(crate) fn parked() -> Self {
        Self { arrival: Cell::new(Arrival::Parked), ..Self::default() }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.get()
    }

    pub(crate) fn stand(&self, standing: Standing) {
        self.standing.set(standing);
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival.get()
    }

    pub(crate) fn arrive(&self, arrival: Arrival) {
        self.arrival.set(arrival);
    }

    /// What the main channel is to say next.
    pub(crate) fn take_order(&self) -> Option<Order> {
        self.orders.borrow_mut().pop_front()
    }

    fn order(&self, order: Order) {
        self.orders.borrow_mut().push_back(order);
    }

    /// Whether its channels are to say MIGRATE, or have said it.
    pub(crate) fn departs(&self) -> &Rc<Cell<bool>> {
        &self.departs
    }
}

/// Whether state of this version can be taken.
pub(crate) fn takes(src_version: u32) -> bool {
    src_version == migrate::VERSION
}
