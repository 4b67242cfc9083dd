//! What is being copied while a viewer moves arrives: a guest's own agent, scripted, and spice-gtk.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use sumac::Embedded;
use sumac::devices::{Device, DeviceKind};
use sumac::source::{Host, Inbox, ToSource};

use super::super::embedded::{display, serve, uri};
use super::super::programs::{Client, PATIENCE, needs, until};
use super::{begin, end, target};

/// Bytes that are copied, and of those how many go before the viewer moves.
const COPIED: usize = 3_000_000;
const BEFORE: usize = 1_000_000;

const CLIPBOARD: u32 = 4;
const ANNOUNCE: u32 = 6;
const GRAB: u32 = 7;
const REQUEST: u32 = 8;
/// CLIPBOARD_BY_DEMAND and CLIPBOARD_SELECTION.
const CAPS: u32 = 1 << 5 | 1 << 6;
/// The clipboard, and UTF-8 text.
const TEXT: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];

/// The agent's memory, which moves with the machine.
#[derive(Default)]
struct Agent {
    place: AtomicU8,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    announced: bool,
    /// Bytes of the port that were read, out of their chunks and not understood yet.
    port: Vec<u8>,
    said: Vec<u8>,
    /// Bytes for the port.
    out: Vec<u8>,
    copied: Vec<u8>,
    /// Bytes that it may still read, and write.
    reads: usize,
    writes: usize,
}

#[test]
fn what_is_copied_while_a_viewer_moves_arrives() {
    needs!("what_is_copied_while_a_viewer_moves_arrives": "gi");
    let agent = Arc::new(Agent::default());
    let (one, two) = (place(&agent, 1), place(&agent, 2));
    agent.run(1, BEFORE, usize::MAX);
    let mut client = Client::connect(&uri(&one));
    until("the agent's word", || agent.memory.lock().unwrap().announced);
    client.does(&format!("copy-bytes {COPIED}"));
    until("a part of it", || agent.memory.lock().unwrap().reads == 0);
    moves(&agent, &one, &two, || agent.run(2, usize::MAX, usize::MAX));
    until("all of it", || agent.memory.lock().unwrap().copied.len() == COPIED);
    // And back again, while it goes the other way.
    agent.run(2, usize::MAX, BEFORE);
    agent.memory.lock().unwrap().say(GRAB, &TEXT);
    client.event("\"clipboard-grab\"");
    client.does("paste");
    until("a part of it", || agent.memory.lock().unwrap().writes == 0);
    moves(&agent, &two, &one, || agent.run(1, usize::MAX, usize::MAX));
    let pasted = client.whole_run("\"clipboard\"");
    assert!(pasted.contains(&format!("\"bytes\": {COPIED}, \"right\": true")), "{pasted}");
    assert_eq!(client.0.count("\"event\": \"error\""), 0);
    client.0.say("quit");
    assert!(client.0.ends_well());
}

fn moves(agent: &Agent, from: &Embedded, to: &Embedded, run: impl FnOnce()) {
    assert_eq!(begin(from, target(to, true)).seamless, 1);
    agent.run(0, 0, 0);
    let ended = end(from, true);
    run();
    ended.recv_timeout(PATIENCE).unwrap();
}

fn place(agent: &Arc<Agent>, place: u8) -> Embedded {
    let agent = Arc::clone(agent);
    let (tell, told) = channel();
    let server = serve(move |host, inbox| agent.live(place, host, inbox, || tell.send(()).unwrap()));
    told.recv_timeout(PATIENCE).unwrap();
    server
}

impl Agent {
    fn run(&self, place: u8, reads: usize, writes: usize) {
        let mut memory = self.memory.lock().unwrap();
        (memory.reads, memory.writes) = (reads, writes);
        self.place.store(place, Ordering::SeqCst);
    }

    fn live(&self, place: u8, host: &dyn Host, inbox: &Inbox, ready: impl FnOnce()) {
        let _display = display(host, [90; 3]);
        let port = host.peripherals().devices.open(DeviceKind::Agent, "com.redhat.spice.0");
        port.set_opened(true);
        ready();
        while !matches!(inbox.recv_timeout(Duration::from_millis(1)), Ok(ToSource::Quit)) {
            let memory = &mut *self.memory.lock().unwrap();
            if self.place.load(Ordering::SeqCst) == place {
                memory.step(&port);
            }
        }
    }
}

impl Memory {
    fn step(&mut self, port: &Device) {
        let mut bytes = [0; 65536];
        let most = bytes.len().min(self.reads);
        let len = port.read(&mut bytes[..most]);
        self.reads -= len;
        self.port.extend_from_slice(&bytes[..len]);
        while let Some(len) = self.port.get(4..8).map(|len| u32::from_le_bytes(len.try_into().unwrap()) as usize)
            && self.port.len() >= 8 + len
        {
            let chunk: Vec<u8> = self.port.drain(..8 + len).collect();
            if chunk[0] == 1 {
                self.said.extend_from_slice(&chunk[8..]);
            }
        }
        while let Some(size) = self.said.get(16..20).map(|size| u32::from_le_bytes(size.try_into().unwrap()) as usize)
            && self.said.len() >= 20 + size
        {
            let message: Vec<u8> = self.said.drain(..20 + size).collect();
            self.on_message(u32::from_le_bytes(message[4..8].try_into().unwrap()), &message[20..]);
        }
        let most = self.out.len().min(self.writes);
        let len = port.write(&self.out[..most]);
        self.writes -= len;
        self.out.drain(..len);
    }

    fn on_message(&mut self, kind: u32, body: &[u8]) {
        match kind {
            ANNOUNCE => {
                self.say(ANNOUNCE, &[0u32.to_le_bytes(), CAPS.to_le_bytes()].concat());
                self.announced = true;
            }
            GRAB => self.say(REQUEST, &TEXT),
            REQUEST => self.say(CLIPBOARD, &[&TEXT[..], &self.copied].concat()),
            CLIPBOARD => self.copied = body[8..].to_vec(),
            _ => {}
        }
    }

    fn say(&mut self, kind: u32, body: &[u8]) {
        let size = u32::try_from(body.len()).unwrap();
        let message = [&[1, kind, 0, 0, size].map(u32::to_le_bytes).concat()[..], body].concat();
        for chunk in message.chunks(2048) {
            self.out.extend_from_slice(&1u32.to_le_bytes());
            self.out.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
            self.out.extend_from_slice(chunk);
        }
    }
}
