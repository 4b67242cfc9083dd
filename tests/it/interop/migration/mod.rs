//! A viewer moves from one server to another and does not notice: spice-gtk, two servers in this
//! process, and a guest that stops at the one and goes on at the other.

mod agent;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sumac::Embedded;
use sumac::devices::{Device, DeviceKind};
use sumac::migration::{MigrationBegun, MigrationTarget};
use sumac::source::{Host, Inbox, InputEvent, ToSource};

use super::embedded::{SIZE, display, serve, uri};
use super::picture::Picture;
use super::programs::{Client, PATIENCE, needs, until};

const PORT: &str = "com.example.echo";
/// Bytes that go through the port while the viewer moves.
const ECHOED: usize = 6_000_000;

/// A guest: what it has read from its port and not written back, and where it runs.
#[derive(Default)]
struct Machine {
    memory: Mutex<VecDeque<u8>>,
    place: AtomicU8,
    keys: Mutex<Vec<(u8, u8)>>,
}

const NOWHERE: u8 = 0;
const SOURCE: u8 = 1;
const TARGET: u8 = 2;

/// A server at which the guest may run, in a colour of its own.
fn place(machine: &Arc<Machine>, place: u8, colour: [u8; 3]) -> Embedded {
    let machine = Arc::clone(machine);
    serve(move |host, inbox| machine.live(place, colour, host, inbox))
}

impl Machine {
    fn live(&self, place: u8, colour: [u8; 3], host: &dyn Host, inbox: &Inbox) {
        let _display = display(host, colour);
        let port = host.peripherals().devices.open(DeviceKind::Port, PORT);
        port.set_opened(true);
        loop {
            match inbox.recv_timeout(Duration::from_millis(1)) {
                Ok(ToSource::Quit) => return,
                Ok(ToSource::Input(InputEvent::Key { code, down: true, .. })) => {
                    self.keys.lock().unwrap().push((place, code));
                }
                _ => {}
            }
            let memory = &mut *self.memory.lock().unwrap();
            if self.place.load(Ordering::SeqCst) == place {
                echo(&port, memory);
            }
        }
    }

    /// Stops it: nothing changes any more when this returns.
    fn stop(&self) {
        self.place.store(NOWHERE, Ordering::SeqCst);
        drop(self.memory.lock().unwrap());
    }

    fn run(&self, place: u8) {
        self.place.store(place, Ordering::SeqCst);
    }
}

/// Writes back what was read, a little at a time: much is always on its way.
fn echo(port: &Device, memory: &mut VecDeque<u8>) {
    let mut bytes = [0; 4096];
    for _ in 0..16 {
        if memory.len() < 1 << 20 {
            let len = port.read(&mut bytes);
            memory.extend(&bytes[..len]);
        }
        let len = port.write(memory.as_slices().0);
        memory.drain(..len);
    }
}

fn target(server: &Embedded, seamless: bool) -> MigrationTarget {
    let port = Some(server.addresses()[0].port());
    MigrationTarget { host: "127.0.0.1".into(), port, seamless, ..MigrationTarget::default() }
}

fn begin(server: &Embedded, target: MigrationTarget) -> MigrationBegun {
    let (tell, told) = channel();
    server.migrate_begin(target, move |begun| tell.send(begun).unwrap());
    told.recv_timeout(PATIENCE).unwrap()
}

fn end(server: &Embedded, completed: bool) -> Receiver<()> {
    let (tell, told) = channel();
    server.migrate_end(completed, move || tell.send(()).unwrap());
    told
}

/// The client shows this colour: blue, green, red.
fn shows(client: &mut Client, [b, g, r]: [u8; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.ppm");
    until("the colour of the server", || {
        let shown = client.tries(&format!("dump {}", file.display())).then(|| Picture::read_ppm(&file));
        shown.is_some_and(|shown| (shown.width, shown.height) == (64, 48) && shown.at(3, 3) == [r, g, b])
    });
}

const RED: [u8; 3] = [10, 20, 200];
const BLUE: [u8; 3] = [220, 30, 40];

/// The key arrives where the guest is.
fn types(client: &mut Client, machine: &Machine, place: u8, code: u8) {
    client.does(&format!("key press {code}"));
    until("the key", || machine.keys.lock().unwrap().contains(&(place, code)));
}

fn settings() -> (Arc<Machine>, Embedded, Embedded, Client) {
    let machine = Arc::new(Machine::default());
    machine.run(SOURCE);
    let (source, there) = (place(&machine, SOURCE, RED), place(&machine, TARGET, BLUE));
    let mut client = Client::connect(&uri(&source));
    client.event(&format!("\"port\", \"name\": \"{PORT}\", \"opened\": true"));
    shows(&mut client, RED);
    assert_eq!(SIZE, (64, 48));
    (machine, source, there, client)
}

fn stays_whole(client: &mut Client) {
    assert_eq!(client.0.count("\"event\": \"error\""), 0);
    client.0.say("quit");
    assert!(client.0.ends_well());
}

#[test]
fn a_viewer_moves_with_all_its_state() {
    needs!("a_viewer_moves_with_all_its_state": "gi");
    let (machine, source, there, mut client) = settings();
    client.0.say(&format!("port-echo {PORT} {ECHOED}"));
    let begun = begin(&source, target(&there, true));
    assert_eq!(begun, MigrationBegun { connected: 1, seamless: 1, others: 0 });
    types(&mut client, &machine, SOURCE, 30);
    machine.stop();
    let ended = end(&source, true);
    machine.run(TARGET);
    ended.recv_timeout(PATIENCE).unwrap();
    // Since the last command; the echo's end may have come before.
    let echo = client.whole_run("\"port-echo\"");
    assert!(echo.contains(&format!("\"bytes\": {ECHOED}, \"right\": true")), "{echo}");
    shows(&mut client, BLUE);
    types(&mut client, &machine, TARGET, 31);
    drop(source);
    types(&mut client, &machine, TARGET, 32);
    assert_eq!(client.0.count("\"surface-gone\""), 0, "the surface stays");
    stays_whole(&mut client);
}

#[test]
fn a_viewer_moves_without_its_state() {
    needs!("a_viewer_moves_without_its_state": "gi");
    let (machine, source, there, mut client) = settings();
    let begun = begin(&source, target(&there, false));
    assert_eq!(begun, MigrationBegun { connected: 1, seamless: 0, others: 0 });
    machine.stop();
    let ended = end(&source, true);
    machine.run(TARGET);
    ended.recv_timeout(PATIENCE).unwrap();
    shows(&mut client, BLUE);
    types(&mut client, &machine, TARGET, 31);
    client.0.say(&format!("port-echo {PORT} 100000"));
    assert!(client.event("\"port-echo\"").contains("\"right\": true"));
    drop(source);
    stays_whole(&mut client);
}

#[test]
fn a_cancelled_migration_leaves_the_viewer_where_it_is() {
    needs!("a_cancelled_migration_leaves_the_viewer_where_it_is": "gi");
    let (machine, source, there, mut client) = settings();
    for seamless in [true, false, true] {
        assert_eq!(begin(&source, target(&there, seamless)).connected, 1);
        end(&source, false).recv_timeout(PATIENCE).unwrap();
        types(&mut client, &machine, SOURCE, 33);
    }
    drop(there);
    client.0.say(&format!("port-echo {PORT} 100000"));
    assert!(client.event("\"port-echo\"").contains("\"right\": true"));
    shows(&mut client, RED);
    stays_whole(&mut client);
}

#[test]
fn a_target_that_is_not_there_leaves_the_viewer_where_it_is() {
    needs!("a_target_that_is_not_there_leaves_the_viewer_where_it_is": "gi");
    let (machine, source, there, mut client) = settings();
    let gone = target(&there, true);
    drop(there);
    assert_eq!(begin(&source, gone), MigrationBegun { connected: 0, seamless: 0, others: 1 });
    end(&source, false).recv_timeout(PATIENCE).unwrap();
    types(&mut client, &machine, SOURCE, 30);
    stays_whole(&mut client);
}

#[test]
fn a_viewer_that_could_not_connect_before_is_told_to_switch() {
    needs!("a_viewer_that_could_not_connect_before_is_told_to_switch": "gi");
    let (machine, source, there, mut client) = settings();
    let (tell, told) = channel();
    machine.stop();
    source.switch_host(target(&there, true), move || tell.send(()).unwrap());
    machine.run(TARGET);
    told.recv_timeout(PATIENCE).unwrap();
    shows(&mut client, BLUE);
    types(&mut client, &machine, TARGET, 31);
    client.0.say("quit");
    assert!(client.0.ends_well());
}
