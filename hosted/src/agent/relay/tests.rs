use super::*;
use crate::devices::{Device, DeviceKind, Devices};

const ALL: Filter = Filter { copy_paste: true, file_transfer: true };
const NONE: Filter = Filter { copy_paste: false, file_transfer: false };

struct Guest {
    devices: DeviceHub,
    relay: Relay,
    port: Device,
}

impl Guest {
    /// A guest whose agent has its port open.
    fn new(filter: Filter) -> Self {
        let devices = Devices::default();
        let port = devices.open(DeviceKind::Agent, "com.redhat.spice.0");
        let guest = Self { devices: DeviceHub::new(devices), relay: Relay::new(filter), port };
        guest.look();
        assert_eq!(guest.relay.connection(), None, "nobody has it open");
        guest.port.set_opened(true);
        assert!(guest.look());
        guest
    }

    fn look(&self) -> bool {
        self.devices.take_mail();
        self.relay.take_mail(&self.devices)
    }

    fn enter(&self) -> Rc<Ear> {
        self.relay.enter(&Rc::new(Notify::new()))
    }

    /// The agent says this chunk to the clients.
    fn says(&self, chunk: &[u8]) {
        assert_eq!(self.port.write(&on_port(1, chunk)), CHUNK_HEAD + chunk.len());
        self.look();
    }

    /// All that the agent was told.
    fn told(&self) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let len = self.port.read(&mut bytes);
        bytes.truncate(len);
        bytes
    }

    fn heard(&self, ear: &Ear) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.relay.next_chunk(ear)).map(|chunk| chunk.to_vec()).collect()
    }
}

/// A chunk as it is on the port.
fn on_port(port: u32, chunk: &[u8]) -> Vec<u8> {
    [&port.to_le_bytes()[..], &(chunk.len() as u32).to_le_bytes(), chunk].concat()
}

/// The beginning of a message whose body has `size` bytes.
fn head(kind: u32, size: u32) -> Vec<u8> {
    [1, kind, 0, 0, size].map(u32::to_le_bytes).concat()
}

fn message(kind: u32, body: &[u8]) -> Vec<u8> {
    [head(kind, body.len() as u32), body.to_vec()].concat()
}

#[test]
fn a_viewer_and_the_agent_hear_each_other() {
    let guest = Guest::new(ALL);
    let ear = guest.enter();
    guest.says(&message(4, b"copied"));
    assert_eq!(guest.heard(&ear), [message(4, b"copied")]);
    let chunk = message(7, &[0; 8]);
    guest.relay.say(&ear, chunk.clone().into(), true);
    assert_eq!((guest.told(), ear.take_taken(), ear.take_taken()), (on_port(1, &chunk), 1, 0));
    let (to_server, to_client) = (message(9, &[]), message(3, &[0; 8]));
    assert_eq!(guest.port.write(&[on_port(2, &to_server), on_port(1, &to_client)].concat()), 64);
    guest.look();
    assert_eq!(guest.heard(&ear), [to_client], "what is for the server is not for viewers");
}

#[test]
fn a_viewer_joins_between_two_messages() {
    let guest = Guest::new(ALL);
    let early = guest.enter();
    guest.says(&head(4, 5));
    let late = guest.enter();
    guest.says(b"abcde");
    guest.says(&message(9, &[]));
    assert_eq!(guest.heard(&early), [head(4, 5), b"abcde".to_vec(), message(9, &[])]);
    assert_eq!(guest.heard(&late), [message(9, &[])]);
}

#[test]
fn messages_of_two_viewers_do_not_mix_and_take_turns() {
    let guest = Guest::new(ALL);
    let (one, two) = (guest.enter(), guest.enter());
    guest.relay.say(&one, head(4, 2).into(), false);
    guest.relay.say(&two, message(9, b"2").into(), true);
    guest.relay.say(&two, message(9, b"4").into(), true);
    guest.relay.say(&one, Bytes::from_static(b"1a"), true);
    guest.relay.say(&one, message(9, b"3").into(), true);
    let said = [head(4, 2), b"1a".to_vec(), message(9, b"2"), message(9, b"4"), message(9, b"3")];
    assert_eq!(guest.told(), said.map(|chunk| on_port(1, &chunk)).concat());
    assert_eq!((one.take_taken(), two.take_taken()), (3, 2));
}

#[test]
fn what_the_operator_forbids_goes_neither_way() {
    for kind in [4, 7, 8, 9, 10, 11, 12] {
        assert!(ALL.lets(kind) && !NONE.lets(kind), "{kind}");
        assert_eq!(Filter { copy_paste: true, file_transfer: false }.lets(kind), kind < 10, "{kind}");
    }
    assert!([1, 2, 3, 5, 6, 13, 14, 15, 16, 4 + (1 << 16)].into_iter().all(|kind| NONE.lets(kind)));
    let guest = Guest::new(NONE);
    let ear = guest.enter();
    guest.says(&head(4, 3000));
    guest.says(&[0; 2048]);
    guest.says(&[0; 952]);
    guest.says(&message(3, &[1; 8]));
    assert_eq!(guest.heard(&ear), [message(3, &[1; 8])]);
}

#[test]
fn announcements_are_rewritten_however_they_are_cut() {
    let body = [1, 0, 0, 0, 0xff, 0xff, 0x01, 0xf0, 0xff, 0xff, 0xff, 0xff];
    let left = [1, 0, 0, 0, 0x97, 0xff, 0x01, 0xf0, 0xff, 0xff, 0xff, 0xff];
    for cut in 0..=body.len() {
        let guest = Guest::new(NONE);
        let ear = guest.enter();
        let whole = message(6, &body);
        let (first, rest) = whole.split_at(20 + cut);
        guest.says(first);
        if !rest.is_empty() {
            guest.says(rest);
        }
        assert_eq!(guest.heard(&ear).concat(), message(6, &left), "{cut}");
    }
    let guest = Guest::new(Filter { copy_paste: true, file_transfer: false });
    let ear = guest.enter();
    guest.says(&message(6, &[0; 8]));
    assert_eq!(guest.heard(&ear), [message(6, &[0, 0, 0, 0, 0, 0x20, 0, 0])]);
}

#[test]
fn the_port_waits_for_a_slow_viewer() {
    let guest = Guest::new(ALL);
    let (slow, quick) = (guest.enter(), guest.enter());
    let chunk = message(9, &[7; 2028]);
    let mut said = 0;
    while guest.port.write(&on_port(1, &chunk)) == CHUNK_HEAD + chunk.len() {
        said += 1;
        guest.look();
        guest.heard(&quick);
        assert!(said < 1000, "nothing holds the port back");
    }
    assert!(slow.heard.borrow().len() == QUEUE && slow.full_since.get().is_some() && !slow.is_stuck());
    let mut heard = 0;
    loop {
        let now = guest.heard(&slow).len();
        heard += now;
        if now + guest.heard(&quick).len() == 0 {
            break;
        }
    }
    assert_eq!(heard, said, "all of it comes");
    assert!(slow.full_since.get().is_none());
}

#[test]
fn the_last_viewer_to_go_is_told_to_the_agent() {
    let guest = Guest::new(ALL);
    let (one, two) = (guest.enter(), guest.enter());
    guest.relay.leave(&one);
    assert!(guest.told().is_empty());
    guest.relay.leave(&two);
    assert_eq!(guest.told(), on_port(2, &message(13, &[])));
}

#[test]
fn half_a_message_of_a_viewer_that_goes_begins_a_new_connection() {
    let guest = Guest::new(ALL);
    let (one, two) = (guest.enter(), guest.enter());
    let viewer = guest.port.state().viewer;
    let connection = guest.relay.connection();
    guest.relay.say(&one, head(4, 100).into(), false);
    guest.relay.say(&two, message(9, &[]).into(), true);
    guest.relay.leave(&one);
    assert_ne!((guest.relay.connection(), guest.port.state().viewer), (connection, viewer));
    assert!(guest.told().is_empty());
    // The other one hears of it and begins anew.
    guest.relay.leave(&two);
    let two = guest.enter();
    guest.relay.say(&two, message(9, &[]).into(), true);
    assert_eq!(guest.told(), on_port(1, &message(9, &[])));
}

#[test]
fn an_agent_that_breaks_the_rules_is_cut_off() {
    let beyond = [head(4, 1), vec![0; 2]].concat();
    for wrong in [&[1, 0, 0, 0, 1, 8, 0, 0][..], &on_port(1, &[0; 20]), &on_port(1, &beyond), &on_port(1, &[1; 3])] {
        let guest = Guest::new(ALL);
        let ear = guest.enter();
        let (connection, viewer) = (guest.relay.connection(), guest.port.state().viewer);
        assert_eq!(guest.port.write(wrong), wrong.len());
        assert!(guest.look(), "{wrong:?}");
        assert_ne!((guest.relay.connection(), guest.port.state().viewer), (connection, viewer));
        assert!(guest.heard(&ear).is_empty());
    }
}

#[test]
fn an_agent_comes_and_goes_with_its_port() {
    let guest = Guest::new(ALL);
    let first = guest.relay.connection();
    guest.port.set_opened(false);
    assert!(guest.look() && guest.relay.connection().is_none());
    guest.port.set_opened(true);
    assert!(guest.look() && guest.relay.connection() != first);
    // Closed and opened before anybody looked: nothing from before is heard or said.
    let (second, ear) = (guest.relay.connection(), guest.enter());
    guest.relay.say(&ear, head(4, 100).into(), false);
    guest.port.set_opened(false);
    guest.port.set_opened(true);
    assert!(guest.look() && guest.relay.connection() != second && guest.told().is_empty());
    let Guest { devices, relay, port } = guest;
    drop(port);
    devices.take_mail();
    assert!(relay.take_mail(&devices) && relay.connection().is_none());
}
