//! The recorded sessions once more, now through core's machines: what real clients said opens our
//! server's links and channels, and what libspice-server said our client's.

use std::fs;
use std::path::Path;

use sumac_core::channel::client::{
    ClientChannel, Cursor, Dialect, Display, Inputs, Main, Playback, Port, Record, Smartcard, Usbredir,
};
use sumac_core::channel::cursor::shape_len;
use sumac_core::channel::inputs::{Input, InputsEvent, InputsServer};
use sumac_core::channel::{Channel, Negotiated, Poll};
use sumac_core::link::{
    Admission, ClientConfig, ClientLink, ClientQuestion, LinkPoll, Linking, Opened, Question, ServerConfig, ServerLink,
    Verdict,
};
use sumac_core::proto::caps::CommonCaps;
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::cursor::{ServerMessage as CursorSays, Shape};
use sumac_core::time::Millis;
use sumac_tests::recording::{Recording, Speaker};
use sumac_tests::session::Session;

const NOW: Millis = Millis(0);
const REPLY: usize = 16;
const KEY: std::ops::Range<usize> = REPLY + 4..REPLY + 166;
const ACK: u16 = 2;
const MOTION_ACK: u16 = 111;

/// A link that opened, its name, and both ends' bytes.
struct Recorded {
    name: String,
    session: Session,
    client: Vec<u8>,
    server: Vec<u8>,
}

/// All links that opened, of recordings in which the relay changed nothing.
fn recorded() -> impl Iterator<Item = Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/sessions");
    let paths = fs::read_dir(folder).expect("the vectors").map(|entry| entry.expect("the vectors").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "rec")).flat_map(|path| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let recording = Recording::read(&path).expect("a recording");
        let altered = recording.origin.get("altered").is_some();
        let connections = if altered { Vec::new() } else { recording.connections };
        connections.into_iter().filter_map(move |connection| {
            let session = Session::cut(&connection).ok().filter(|session| session.link_result == Some(0))?;
            let name = format!("{name}, channel {}:{}", session.channel_type, session.channel_id);
            let [client, server] = [Speaker::Client, Speaker::Server].map(|speaker| connection.stream(speaker));
            Some(Recorded { name, session, client, server })
        })
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Hands `bytes` over until the link is open; answers that, and what was sent.
fn run<L: Linking>(
    link: &mut L,
    mut bytes: &[u8],
    mut answer: impl FnMut(&mut L, L::Question<'_>, &mut [u8]) -> usize,
) -> (Opened, Vec<u8>) {
    let (mut sent, mut out) = (Vec::new(), [0; 512]);
    loop {
        match link.poll(NOW, &mut out).expect("room") {
            LinkPoll::Transmit(n) => sent.extend(&out[..n]),
            LinkPoll::Open(opened) => return (opened, sent),
            LinkPoll::Closed(why) => panic!("{why}"),
            LinkPoll::Wait(_) => {
                let (unit, rest) = bytes.split_at(link.want());
                bytes = rest;
                if let Some(question) = link.on_bytes(NOW, unit) {
                    let n = answer(link, question, &mut out);
                    sent.extend(&out[..n]);
                }
            }
        }
    }
}

#[test]
fn recorded_clients_open_our_links_and_are_answered_as_they_were() {
    let mut opened_links = 0;
    for Recorded { name, session, client, server } in recorded() {
        let reply = &session.link_reply;
        let key: [u8; 162] = reply[KEY].try_into().expect("a key");
        let words = u32_at(reply, REPLY + 170);
        assert!(words <= 1, "{name}: {words} capability words");
        let channel_caps = if words == 0 { 0 } else { u32_at(reply, reply.len() - 4) };
        let mut link = ServerLink::new(NOW, ServerConfig::default());
        let (opened, sent) = run(&mut link, &client, |link, question, out| match question {
            Question::Channel(_) => {
                link.admit(&Admission::Admit { public_key: Some(&key), channel_caps }, out).expect("asked")
            }
            _ => link.ticket(Verdict::Accepted).map(|()| 0).expect("asked"),
        });
        assert_eq!((opened.channel_type.0, opened.channel_id), (session.channel_type, session.channel_id), "{name}");
        assert_eq!(opened.negotiated.mini_header, session.mini_headers, "{name}");
        assert_eq!(sent, server[..sent.len()], "{name}: reply and result");
        opened_links += 1;
    }
    assert!(opened_links > 50, "{opened_links} links");
}

#[test]
fn recorded_servers_open_our_clients_links() {
    for Recorded { name, session, client, server } in recorded() {
        let message = &session.link_message;
        let (common, channel) = (u32_at(message, 22), u32_at(message, 26));
        let at = 16 + u32_at(message, 30) as usize;
        let config = ClientConfig {
            common_caps: CommonCaps::from_bits_retain(if common == 0 { 0 } else { u32_at(message, at) }),
            ..ClientConfig::new(
                u32_at(message, 16),
                ChannelType(session.channel_type),
                session.channel_id,
                if channel == 0 { 0 } else { u32_at(message, at + 4 * common as usize) },
            )
        };
        let ticket: [u8; 128] = session.ticket.as_deref().expect("a ticket").try_into().expect("128 bytes");
        let (opened, sent) = run(&mut ClientLink::new(NOW, config), &server, |link, question, out| {
            let ClientQuestion::Reply { .. } = question else { panic!("{question:?}") };
            link.ticket(&ticket, out).expect("asked")
        });
        assert_eq!(opened.negotiated.mini_header, session.mini_headers, "{name}");
        if (common, channel) == (1, 1) {
            assert_eq!(sent, client[..sent.len()], "{name}: link message and ticket");
        }
    }
}

/// Hears all that the server said; the ACKs that came of it.
fn acknowledge<D: Dialect>(session: &Session) -> u32 {
    let negotiated = Negotiated { mini_header: true, peer_caps: 0 };
    let mut channel = ClientChannel::<D>::new(negotiated, usize::MAX);
    let mut acks = 0;
    for message in session.messages.iter().filter(|m| m.speaker == Speaker::Server) {
        channel.on_message(NOW, message.id, &message.body).expect("real servers are understood");
        let mut out = [0; 64];
        while let Ok(Poll::Transmit(_)) = channel.poll(NOW, &mut out) {
            acks += u32::from(u16::from_le_bytes([out[0], out[1]]) == ACK);
        }
    }
    acks
}

#[test]
fn our_clients_acknowledge_as_recorded_ones_did() {
    let mut most = 0;
    for Recorded { name, session, .. } in recorded() {
        let ours = match session.channel_type {
            1 => acknowledge::<Main>(&session),
            2 => acknowledge::<Display>(&session),
            3 => acknowledge::<Inputs>(&session),
            4 => acknowledge::<Cursor>(&session),
            5 => acknowledge::<Playback>(&session),
            6 => acknowledge::<Record>(&session),
            8 => acknowledge::<Smartcard>(&session),
            9 => acknowledge::<Usbredir>(&session),
            10 | 11 => acknowledge::<Port>(&session),
            other => panic!("{name}: channel type {other}"),
        };
        let theirs = session.messages.iter().filter(|m| m.speaker == Speaker::Client && m.id == ACK).count();
        let theirs = u32::try_from(theirs).expect("few");
        // The last one can have been on its way when the recording ended.
        assert!(ours == theirs || ours == theirs + 1, "{name}: {ours} and {theirs}");
        most = most.max(ours);
    }
    assert!(most > 10, "{most} at most");
}

#[test]
fn recorded_inputs_are_understood_and_leave_nothing_held() {
    let (mut keys, mut buttons, mut wheels, mut moves) = (0, 0, 0, 0);
    for Recorded { name, session, .. } in recorded().filter(|r| r.session.channel_type == 3) {
        let mut inputs = InputsServer::new(Negotiated { mini_header: true, peer_caps: 0 });
        let init = session.messages.iter().find(|m| m.speaker == Speaker::Server).expect("INIT");
        let init = sumac_core::proto::inputs::ServerMessage::decode(init.id, &init.body).expect("INIT").0;
        let _ = inputs.send(NOW, &init, &mut [0; 64]).expect("INIT");
        let (mut ours, mut motions) = (0, 0u32);
        for message in session.messages.iter().filter(|m| m.speaker == Speaker::Client) {
            if let Some(InputsEvent::Inputs(all)) =
                inputs.on_message(NOW, message.id, &message.body).expect("real clients are understood")
            {
                for input in all {
                    match input {
                        Input::Key(_) => keys += 1,
                        Input::Button { .. } => buttons += 1,
                        Input::Wheel(_) => wheels += 1,
                        Input::MoveBy { .. } | Input::MoveTo { .. } => (moves, motions) = (moves + 1, motions + 1),
                    }
                }
            }
            while let Ok(Poll::Transmit(_)) = inputs.poll(NOW, &mut [0; 64]) {
                ours += 1;
            }
        }
        let server = session.messages.iter().filter(|m| m.speaker == Speaker::Server);
        let theirs = u32::try_from(server.filter(|m| m.id == MOTION_ACK).count()).expect("few");
        assert_eq!(ours, motions / 4, "{name}");
        assert!(ours == theirs || ours == theirs + 1, "{name}: {ours} and {theirs} acknowledgements");
        assert_eq!(inputs.release_all().collect::<Vec<_>>(), [], "{name}");
    }
    assert!(keys > 0 && buttons > 0 && wheels > 0 && moves > 0, "{keys} {buttons} {wheels} {moves}");
}

#[test]
fn recorded_cursor_shapes_are_as_long_as_we_say() {
    let mut kinds = Vec::new();
    for Recorded { name, session, .. } in recorded().filter(|r| r.session.channel_type == 4) {
        for message in session.messages.iter().filter(|m| m.speaker == Speaker::Server) {
            let cursor = match CursorSays::decode(message.id, &message.body).expect("a message").0 {
                CursorSays::Init(m) => m.cursor,
                CursorSays::Set(m) => m.cursor,
                _ => continue,
            };
            if let Shape::Here(header, data) = cursor.shape {
                assert_eq!(shape_len(header.kind, header.width, header.height), Some(data.len()), "{name}: {header:?}");
                kinds.push(header.kind);
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    println!("{kinds:?}");
    assert!(!kinds.is_empty());
}
