//! [`Migration`]: the source's side, for all sessions.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{MigrationBegun, MigrationTarget, Order, Seamless, Standing, Wire};
use crate::viewer::Session;

/// How long viewers may take to connect to the target, and to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// The migration that is under way, if there is one.
#[derive(Default)]
pub(crate) struct Migration {
    target: RefCell<Option<Rc<Wire>>>,
    /// Counts what the program asked for: what comes later puts an end to waiting.
    asked: Cell<u64>,
    /// Rings when a session's standing changed, or a channel closed.
    changed: Notify,
}

impl Migration {
    /// A session's standing changed, or a channel closed.
    pub(crate) fn ring(&self) {
        self.changed.notify_waiters();
    }

    /// Asks these sessions to connect to the target; answers what came of it.
    pub(crate) async fn begin(&self, target: &MigrationTarget, sessions: Vec<Rc<Session>>) -> MigrationBegun {
        let number = self.next();
        let wire = Rc::new(Wire::new(target));
        self.target.replace(Some(Rc::clone(&wire)));
        // Several would have to arrive with all that they share.
        let seamless = Seamless(target.seamless && sessions.len() == 1);
        for session in &sessions {
            if session.moves.standing() != Standing::Here {
                session.moves.order(Order::Cancel);
            }
            session.moves.stand(Standing::Asked);
            session.moves.order(Order::Begin(Rc::clone(&wire), seamless));
            session.ring();
        }
        let asked = |session: &&Rc<Session>| session.moves.standing() == Standing::Asked && !session.is_over();
        self.wait(number, || !sessions.iter().any(|session| asked(&session))).await;
        if self.asked.get() == number {
            for session in sessions.iter().filter(asked) {
                tracing::info!(session = session.id, "the viewer did not connect to the target in time");
                session.moves.stand(Standing::Failed);
                session.moves.order(Order::Cancel);
                session.ring();
            }
        }
        let mut begun = MigrationBegun::default();
        for session in sessions.iter().filter(|session| !session.is_over()) {
            match session.moves.standing() {
                Standing::Connected(Seamless(seamless)) => {
                    begun.connected += 1;
                    begun.seamless += usize::from(seamless);
                }
                _ => begun.others += 1,
            }
        }
        tracing::info!(
            connected = begun.connected,
            seamless = begun.seamless,
            others = begun.others,
            "migration begun"
        );
        begun
    }

    /// The machine runs at the target now: these sessions go there, and are over in a few seconds. Or
    /// it does not: they stay.
    pub(crate) async fn end(&self, completed: bool, sessions: Vec<Rc<Session>>) {
        let number = self.next();
        let Some(target) = self.target.take() else { return };
        if !completed {
            tracing::info!("the migration was cancelled");
            for session in sessions.iter().filter(|session| session.moves.standing() != Standing::Here) {
                session.moves.stand(Standing::Here);
                session.moves.order(Order::Cancel);
                session.ring();
            }
            return;
        }
        for session in &sessions {
            match session.moves.standing() {
                Standing::Connected(Seamless(true)) => session.moves.departs().set(true),
                Standing::Connected(_) => session.moves.order(Order::End),
                _ => session.moves.order(Order::SwitchHost(Rc::clone(&target))),
            }
            session.moves.stand(Standing::Told);
            session.ring();
        }
        self.leave(number, &sessions).await;
    }

    /// These sessions are to leave this server and begin anew at the target.
    pub(crate) async fn switch_host(&self, target: &MigrationTarget, sessions: Vec<Rc<Session>>) {
        let number = self.next();
        let wire = Rc::new(Wire::new(target));
        for session in &sessions {
            session.moves.stand(Standing::Told);
            session.moves.order(Order::SwitchHost(Rc::clone(&wire)));
            session.ring();
        }
        self.leave(number, &sessions).await;
    }

    /// Waits until they have gone, and ends those that do not go.
    async fn leave(&self, number: u64, sessions: &[Rc<Session>]) {
        self.wait(number, || sessions.iter().all(|session| session.channels().is_empty())).await;
        for session in sessions.iter().filter(|session| !session.channels().is_empty()) {
            session.end("it was told to go to another server");
        }
        tracing::info!("migration ended");
    }

    fn next(&self) -> u64 {
        self.asked.update(|asked| asked + 1);
        self.ring();
        self.asked.get()
    }

    /// Waits until it is so, until something else was asked for, or until the time is up.
    async fn wait(&self, number: u64, is_so: impl Fn() -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if is_so() || self.asked.get() != number {
                    return;
                }
                changed.await;
            }
        };
        // What is not so by then never will be.
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
    }
}
