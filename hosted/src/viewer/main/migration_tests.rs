//! Migrations by script: what a client that can this or that is told, and what it may say when.

use sumac_core::channel::{Channel, Negotiated};
use tokio::time::Instant;

use super::*;
use crate::auth::Grant;
use crate::config::Config;
use crate::migration::{MigrationBegun, MigrationTarget};
use crate::server::testing::engine;
use crate::transport::Peer;

const ALL: MainCaps =
    MainCaps::SEMI_SEAMLESS_MIGRATE.union(MainCaps::SEAMLESS_MIGRATE).union(MainCaps::AGENT_CONNECTED_TOKENS);
const PEER: Peer = Peer::Unix { uid: 0, pid: None };

// What servers say.
const BEGIN: u16 = 101;
const CANCEL: u16 = 102;
const INIT: u16 = 103;
const SWITCH_HOST: u16 = 111;
const END: u16 = 112;
const BEGIN_SEAMLESS: u16 = 116;
const ACK: u16 = 117;
const NACK: u16 = 118;

// What clients say.
const CONNECTED: u16 = 102;
const CONNECT_ERROR: u16 = 103;
const CLIENT_END: u16 = 109;
const DO_SEAMLESS: u16 = 110;
const CONNECTED_SEAMLESS: u16 = 111;
const MIGRATE_DATA: u16 = 5;

/// A client's main channel.
struct Client {
    session: Rc<Session>,
    line: Line<MainServer>,
    main: Main,
}

impl Client {
    fn at(engine: &Rc<Engine>, caps: MainCaps) -> Self {
        let session = engine.new_session(PEER, Grant::to_everybody()).unwrap();
        let mut client = Self::of(engine, session, caps);
        client.said();
        client
    }

    /// One that comes from another server.
    fn arriving(engine: &Rc<Engine>) -> Self {
        let session = engine.arriving_session(77, PEER, Grant::to_everybody()).unwrap();
        Self::of(engine, session, ALL)
    }

    fn of(engine: &Rc<Engine>, session: Rc<Session>, caps: MainCaps) -> Self {
        let negotiated = Negotiated { mini_header: true, peer_caps: caps.bits() };
        let machine = if session.is_here() { MainServer::new(negotiated) } else { MainServer::arriving(negotiated) };
        let mut line = Line::new(machine, Instant::now());
        let mut main = Main::new(Rc::clone(engine), Rc::clone(&session), Rc::default());
        main.on_open(&mut line).unwrap();
        Self { session, line, main }
    }

    fn says(&mut self, id: u16, body: &[u8]) -> Result<(), Close> {
        let now = self.line.now();
        match self.line.machine.on_message(now, id, body)? {
            Some(event) => self.main.on_event(&mut self.line, event),
            None => Ok(()),
        }
    }

    /// Numbers of the messages that it was told since.
    fn said(&mut self) -> Vec<u16> {
        self.main.on_wake(&mut self.line).unwrap();
        let bytes = self.line.take_unsent();
        let (mut rest, mut ids) = (&bytes[..], Vec::new());
        while let Some((head, behind)) = rest.split_first_chunk::<6>() {
            ids.push(u16::from_le_bytes([head[0], head[1]]));
            rest = &behind[u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize..];
        }
        ids
    }
}

fn target(seamless: bool) -> MigrationTarget {
    MigrationTarget { host: "there".into(), port: Some(5900), seamless, ..MigrationTarget::default() }
}

/// Begins a migration; the client answers with these, or not at all.
async fn begin(engine: &Rc<Engine>, client: &mut Client, seamless: bool, answer: Option<u16>) -> MigrationBegun {
    let target = target(seamless);
    let told = async {
        tokio::task::yield_now().await;
        let first = client.said();
        if let Some(answer) = answer {
            client.says(answer, &[]).unwrap();
        }
        first
    };
    let (begun, told) = tokio::join!(engine.migration().begin(&target, engine.sessions()), told);
    let caps = client.line.machine.caps();
    let expected = match () {
        () if !caps.contains(MainCaps::SEMI_SEAMLESS_MIGRATE) => vec![],
        () if seamless && caps.contains(MainCaps::SEAMLESS_MIGRATE) => vec![BEGIN_SEAMLESS],
        () => vec![BEGIN],
    };
    assert_eq!(told, expected);
    begun
}

async fn end(engine: &Rc<Engine>, completed: bool) {
    engine.migration().end(completed, engine.sessions()).await;
}

const SEMI: MigrationBegun = MigrationBegun { connected: 1, seamless: 0, others: 0 };
const NONE: MigrationBegun = MigrationBegun { connected: 0, seamless: 0, others: 1 };

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_its_state_says_migrate_on_all_channels() {
    let engine = engine(Config::default());
    let mut client = Client::at(&engine, ALL);
    let begun = begin(&engine, &mut client, true, Some(CONNECTED_SEAMLESS)).await;
    assert_eq!(begun, MigrationBegun { connected: 1, seamless: 1, others: 0 });
    assert!(!client.session.moves.departs().get());
    end(&engine, true).await;
    assert!(client.session.moves.departs().get() && client.said().is_empty());
}

/// The target refused the state, or the client or the program did not want that.
#[tokio::test(start_paused = true)]
async fn without_state_it_is_told_to_switch_to_what_it_has_connected() {
    let semi = MainCaps::SEMI_SEAMLESS_MIGRATE;
    for (caps, seamless) in [(ALL, true), (ALL, false), (semi, true), (semi.union(MainCaps::SEAMLESS_MIGRATE), false)] {
        let engine = engine(Config::default());
        let mut client = Client::at(&engine, caps);
        assert_eq!(begin(&engine, &mut client, seamless, Some(CONNECTED)).await, SEMI);
        end(&engine, true).await;
        assert_eq!((client.said(), client.session.moves.departs().get()), (vec![END], false));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_connected_is_told_to_connect_anew() {
    for (caps, answer) in [(MainCaps::empty(), None), (ALL, Some(CONNECT_ERROR)), (ALL, None)] {
        let engine = engine(Config::default());
        let mut client = Client::at(&engine, caps);
        let began = Instant::now();
        assert_eq!(begin(&engine, &mut client, true, answer).await, NONE);
        let silent = caps == ALL && answer.is_none();
        assert_eq!(began.elapsed().as_secs(), if silent { 10 } else { 0 });
        assert_eq!(client.said(), if silent { vec![CANCEL] } else { vec![] });
        client.says(CONNECTED, &[]).unwrap();
        end(&engine, true).await;
        assert_eq!(client.said(), [SWITCH_HOST], "what it says too late does not count");
    }
}

#[tokio::test(start_paused = true)]
async fn two_viewers_move_without_their_state() {
    let engine = engine(Config::default());
    let mut clients = [Client::at(&engine, ALL), Client::at(&engine, ALL)];
    let target = target(true);
    let answers = async {
        tokio::task::yield_now().await;
        for client in &mut clients {
            assert_eq!(client.said(), [BEGIN]);
            client.says(CONNECTED, &[]).unwrap();
        }
    };
    let (begun, ()) = tokio::join!(engine.migration().begin(&target, engine.sessions()), answers);
    assert_eq!(begun, MigrationBegun { connected: 2, seamless: 0, others: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_one_can_begin_again_and_one_without_a_beginning_ends_nothing() {
    let engine = engine(Config::default());
    let mut client = Client::at(&engine, ALL);
    end(&engine, true).await;
    assert!(client.said().is_empty());
    for _ in 0..2 {
        assert_eq!(begin(&engine, &mut client, false, Some(CONNECTED)).await, SEMI);
        end(&engine, false).await;
        assert_eq!(client.said(), [CANCEL]);
    }
    // Begun again without an end: the first target is forgotten.
    assert_eq!(begin(&engine, &mut client, false, Some(CONNECTED)).await, SEMI);
    let (target, engine) = (target(false), &engine);
    let answer = async {
        tokio::task::yield_now().await;
        assert_eq!(client.said(), [CANCEL, BEGIN]);
        client.says(CONNECT_ERROR, &[]).unwrap();
    };
    assert_eq!(tokio::join!(engine.migration().begin(&target, engine.sessions()), answer).0, NONE);
}

#[tokio::test(start_paused = true)]
async fn words_out_of_place_mean_nothing() {
    let engine = engine(Config::default());
    let mut client = Client::at(&engine, ALL);
    for (id, body) in [
        (CONNECTED, &[][..]),
        (CONNECTED_SEAMLESS, &[]),
        (CONNECT_ERROR, &[]),
        (CLIENT_END, &[]),
        (DO_SEAMLESS, &[0, 0, 0, 0]),
        (4, &[]),
        (MIGRATE_DATA, b"anything"),
    ] {
        client.says(id, body).unwrap();
        assert_eq!((client.said(), client.session.moves.standing()), (vec![], Standing::Here), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_arrives_is_told_nothing_until_it_is_here() {
    let engine = engine(Config::default());
    let mut client = Client::arriving(&engine);
    assert!(client.said().is_empty());
    for version in [0, 1, migrate::VERSION - 1, migrate::VERSION + 1, u32::MAX] {
        client.says(DO_SEAMLESS, &version.to_le_bytes()).unwrap();
        assert_eq!(client.said(), [NACK], "{version}");
    }
    client.says(MIGRATE_DATA, b"nobody asked").unwrap();
    client.says(CLIENT_END, &[]).unwrap();
    assert!(client.session.is_here());
    assert_eq!(client.said(), [INIT], "it has its channels");
    assert!(engine.arriving_session(77, PEER, Grant::to_everybody()).is_none(), "it is here");
}

#[tokio::test(start_paused = true)]
async fn one_with_state_goes_on_and_one_with_nonsense_is_over() {
    let engine = engine(Config::default());
    let mut source = Client::at(&engine, ALL);
    let state = source.main.state(&mut source.line).unwrap().concat();
    for (data, right) in [(&state[..], true), (&state[..20], false), (b"nonsense", false), (b"", false)] {
        let mut client = Client::arriving(&engine);
        client.says(DO_SEAMLESS, &migrate::VERSION.to_le_bytes()).unwrap();
        assert_eq!(client.said(), [ACK]);
        client.says(CLIENT_END, &[]).unwrap();
        assert!(!client.session.is_here(), "it said that it would come with its state");
        let result = client.says(MIGRATE_DATA, data);
        assert_eq!((result.is_ok(), client.session.is_here()), (right, right), "{result:?}");
        if right {
            let said = client.said();
            assert!(said.contains(&105) && said.contains(&106) && !said.contains(&INIT), "{said:?}");
            engine.forget(&client.session);
        }
    }
}
