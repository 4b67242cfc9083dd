mod pair;
mod sasl;

use std::vec::Vec;

use super::*;
use crate::channel::Refused;
use crate::limits;
use crate::proto::common::LinkError;
use crate::proto::link::{AuthMechanism, PUB_KEY_BYTES, TICKET_BYTES};
use crate::wire::Sampler;

const START: Millis = Millis(5000);
const KEY: [u8; PUB_KEY_BYTES] = [0x30; PUB_KEY_BYTES];
const MAIN_CAPS: u32 = 0xf;

/// A login with a ticket, its bytes worked out by hand.
fn hello() -> Vec<u8> {
    let mut bytes = b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0".to_vec();
    bytes.extend(b"\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\x12\0\0\0\x0b\0\0\0");
    bytes
}

fn ticket() -> Vec<u8> {
    [&[1, 0, 0, 0][..], &[7; TICKET_BYTES]].concat()
}

fn refusal(code: u8) -> Vec<u8> {
    let mut bytes = b"REDQ\x02\0\0\0\x02\0\0\0\xb2\0\0\0".to_vec();
    bytes.push(code);
    bytes.resize(16 + 178, 0);
    bytes
}

fn accepted_reply() -> Vec<u8> {
    let mut bytes = b"REDQ\x02\0\0\0\x02\0\0\0\xba\0\0\0\0\0\0\0".to_vec();
    bytes.extend(KEY);
    bytes.extend(b"\x01\0\0\0\x01\0\0\0\xb2\0\0\0\x0b\0\0\0\x0f\0\0\0");
    bytes
}

/// What a host answers.
#[derive(Clone, Copy)]
struct Host {
    config: ServerConfig,
    admission: Admission<'static>,
    verdict: Verdict,
    /// SASL: responses until the mechanism is complete.
    rounds: u32,
}

const HOST: Host = Host {
    config: ServerConfig {
        secure: false,
        auth: Auth::Ticket,
        policy: Policy::all(Security::Any),
        wait_ms: limits::LINK_WAIT_MS,
    },
    admission: Admission::Admit { public_key: Some(&KEY), channel_caps: MAIN_CAPS },
    verdict: Verdict::Accepted,
    rounds: 1,
};

const SASL_HOST: Host = Host { config: ServerConfig { auth: Auth::Sasl, ..HOST.config }, ..HOST };

/// A server's machine behind a driver that collects.
struct Served {
    host: Host,
    link: ServerLink,
    inbox: Vec<u8>,
    sent: Vec<u8>,
    asked: u32,
}

impl Served {
    fn new(host: Host) -> Self {
        let link = ServerLink::new(START, host.config);
        Self { host, link, inbox: Vec::new(), sent: Vec::new(), asked: 0 }
    }

    /// Takes bytes in; how it ended, if it did.
    fn hear(&mut self, bytes: &[u8]) -> Option<LinkPoll> {
        self.inbox.extend(bytes);
        loop {
            if let Some(end) = self.drain() {
                return Some(end);
            }
            let want = self.link.want();
            if self.inbox.len() < want {
                return None;
            }
            let unit: Vec<u8> = self.inbox.drain(..want).collect();
            if let Some(question) = self.link.on_bytes(START, &unit) {
                self.asked += 1;
                assert_eq!(self.link.want(), 0, "nothing is wanted while {question:?} is open");
                assert!(matches!(self.link.poll(START, &mut []), Ok(LinkPoll::Wait(Some(_)))));
                self.answer(question);
            }
        }
    }

    fn drain(&mut self) -> Option<LinkPoll> {
        let mut out = [0; 194];
        loop {
            match self.link.poll(START, &mut out).expect("194 bytes are enough") {
                LinkPoll::Transmit(n) => self.sent.extend(&out[..n]),
                LinkPoll::Wait(_) => return None,
                end => return Some(end),
            }
        }
    }

    fn answer(&mut self, question: Question<'_>) {
        let mut out = [0; 512];
        let n = match question {
            Question::Channel(_) => self.link.admit(&self.host.admission, &mut out),
            Question::Ticket(_) => self.link.ticket(self.host.verdict).map(|()| 0),
            Question::SaslMechanisms => self.link.sasl_mechanisms(b",PLAIN,TEST,", &mut out),
            Question::SaslChoice(name) => self.link.sasl_choice(name == b"TEST").map(|()| 0),
            Question::SaslResponse(data) => {
                self.host.rounds = self.host.rounds.saturating_sub(1);
                let verdict = self.host.verdict;
                let step =
                    if self.host.rounds == 0 { SaslStep::Complete { data, verdict } } else { SaslStep::Continue(data) };
                self.link.sasl_step(&step, &mut out)
            }
        };
        self.sent.extend(&out[..n.expect("the question is open")]);
    }

    fn closed(&mut self, bytes: &[u8]) -> Option<LinkClosed> {
        match self.hear(bytes) {
            Some(LinkPoll::Closed(closed)) => Some(closed),
            Some(LinkPoll::Open(_)) | None => None,
            other => panic!("{other:?}"),
        }
    }
}

fn patched(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = hello();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn a_worked_login_byte_by_byte() {
    let mut served = Served::new(HOST);
    assert_eq!(served.hear(&hello()), None);
    assert_eq!(served.sent, accepted_reply());
    served.sent.clear();
    assert_eq!(served.hear(&ticket()[..131]), None);
    assert!(served.sent.is_empty());
    let opened = Opened {
        negotiated: Negotiated { mini_header: true, peer_caps: 0 },
        connection_id: 0,
        channel_type: ChannelType::MAIN,
        channel_id: 0,
    };
    assert_eq!(served.hear(&ticket()[131..]), Some(LinkPoll::Open(opened)));
    assert_eq!(served.sent, [0; 4]);
    assert_eq!(served.link.want(), 0);
    assert_eq!(served.link.poll(Millis(u64::MAX), &mut []), Ok(LinkPoll::Open(opened)), "no deadline any more");
}

#[test]
fn without_auth_selection_the_ticket_comes_at_once() {
    let mut served = Served::new(HOST);
    let end = served.hear(&[&patched(34, &[8])[..], &[7; TICKET_BYTES]].concat());
    assert!(matches!(end, Some(LinkPoll::Open(_))));
    assert_eq!(served.asked, 2);
}

#[test]
fn words_without_mini_header_and_channel_words_are_understood() {
    let mut bytes = b"REDQ\x02\0\0\0\xff\0\0\0\x22\0\0\0".to_vec();
    bytes.extend(b"\x44\x33\x22\x11\x02\x03\x01\0\0\0\x02\0\0\0\x14\0\0\0??\x03\0\0\0\xaa\0\0\0\xff\xff\xff\xff!!");
    bytes.extend(ticket());
    let opened = Opened {
        negotiated: Negotiated { mini_header: false, peer_caps: 0xaa },
        connection_id: 0x1122_3344,
        channel_type: ChannelType::DISPLAY,
        channel_id: 3,
    };
    assert_eq!(Served::new(HOST).hear(&bytes), Some(LinkPoll::Open(opened)), "any minor, a gap, trailing bytes");
}

/// Malformed links, each with the code that the client is told.
#[test]
fn each_malformed_link_gets_the_right_code() {
    let size = |n: u32| patched(12, &n.to_le_bytes());
    let secured = ServerConfig { policy: Policy::all(Security::Secured), ..HOST.config };
    let unsecured = ServerConfig { policy: Policy::all(Security::Unsecured), secure: true, ..HOST.config };
    let only_main =
        ServerConfig { policy: Policy::default().with(ChannelType::MAIN, Security::Secured), ..HOST.config };
    let both = ServerConfig { auth: Auth::TicketOrSasl, ..HOST.config };
    let plain = HOST.config;
    let select = |n: u32| [&hello()[..], &n.to_le_bytes()].concat();
    let rows: &[(&str, ServerConfig, Vec<u8>, u8)] = &[
        ("HTTP", plain, b"GET ".to_vec(), 2),
        ("zeros", plain, [0; 4].to_vec(), 2),
        ("magic turned round", plain, b"QDER".to_vec(), 2),
        ("major 1", plain, patched(4, &[1])[..16].to_vec(), 4),
        ("major 3", plain, patched(4, &[3])[..16].to_vec(), 4),
        ("major huge", plain, patched(4, &[255; 4])[..16].to_vec(), 4),
        ("size 0", plain, size(0)[..16].to_vec(), 3),
        ("size 17", plain, size(17)[..16].to_vec(), 3),
        ("size 4097", plain, size(4097)[..16].to_vec(), 3),
        ("size huge", plain, size(u32::MAX)[..16].to_vec(), 3),
        ("1025 common words", plain, patched(22, &1025u32.to_le_bytes()), 3),
        ("1025 channel words", plain, patched(26, &1025u32.to_le_bytes()), 3),
        ("words without end", plain, patched(22, &[255; 4]), 3),
        ("words beyond the message", plain, patched(22, &[2]), 3),
        ("words inside the fixed part", plain, patched(30, &[17]), 3),
        ("words behind the message", plain, patched(30, &[19]), 3),
        ("words far away", plain, patched(30, &[255; 4]), 3),
        ("only TLS", secured, hello(), 5),
        ("only main over TLS", only_main, hello(), 5),
        ("only clear", unsecured, hello(), 6),
        ("SASL needed, cannot select", SASL_HOST.config, patched(34, &[8]), 4),
        ("tickets with SASL only", SASL_HOST.config, select(1), 3),
        ("SASL with tickets only", plain, select(2), 3),
        ("mechanism 0", both, select(0), 3),
        ("mechanism 3", both, select(3), 3),
        ("mechanism huge", both, select(u32::MAX), 3),
    ];
    for (name, config, bytes, code) in rows {
        let mut served = Served::new(Host { config: *config, ..HOST });
        let (last, before) = bytes.split_last().expect("bytes");
        assert_eq!(served.closed(before), None, "{name}: before the last byte");
        served.sent.clear();
        let closed = served.closed(&[*last]);
        assert_eq!(closed.and_then(|c| c.code()), Some(LinkError((*code).into())), "{name}");
        assert_eq!(served.sent, refusal(*code), "{name}");
        assert_eq!(served.link.on_bytes(START, &hello()), None, "{name}: dead");
        assert_eq!(served.link.want(), 0, "{name}: dead");
    }
}

#[test]
fn major_0_is_closed_without_a_word() {
    let mut served = Served::new(HOST);
    assert_eq!(served.closed(&patched(4, &[0])), Some(LinkClosed::Version { major: 0, minor: 2 }));
    assert!(served.sent.is_empty());
}

#[test]
fn sizes_at_the_limits_are_taken() {
    for size in [18u32, 4096] {
        let mut bytes = patched(12, &size.to_le_bytes());
        bytes[22] = 0;
        bytes.resize(16 + size as usize, 0xee);
        let mut served = Served::new(HOST);
        assert_eq!(served.hear(&bytes), None);
        assert_eq!(served.asked, 1, "{size}");
    }
    let mut bytes = patched(12, &4096u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&1000u32.to_le_bytes());
    bytes.resize(16 + 4096, 0);
    let mut served = Served::new(HOST);
    assert_eq!(served.hear(&bytes), None);
    assert_eq!(served.asked, 1);
}

#[test]
fn verdicts_travel_as_bare_results() {
    for (verdict, code) in [(Verdict::Denied, 7), (Verdict::BadConnectionId, 8), (Verdict::NotAvailable, 9)] {
        let mut served = Served::new(Host { verdict, ..HOST });
        served.hear(&hello());
        served.sent.clear();
        assert_eq!(served.closed(&ticket()).and_then(|c| c.code()), Some(LinkError(code)));
        assert_eq!(served.sent, code.to_le_bytes());
    }
}

#[test]
fn a_host_can_fail_or_fall_silent() {
    let mut served = Served::new(Host { admission: Admission::Fail, ..HOST });
    assert_eq!(served.closed(&hello()), Some(LinkClosed::Internal));
    assert_eq!(served.sent, refusal(1));
    let mut served = Served::new(Host { admission: Admission::Silent, ..HOST });
    assert_eq!(served.closed(&hello()), Some(LinkClosed::Silent));
    assert!(served.sent.is_empty());
}

#[test]
fn without_a_key_and_caps_the_reply_is_zero_there() {
    let admission = Admission::Admit { public_key: None, channel_caps: 0 };
    let mut served = Served::new(Host { admission, ..SASL_HOST });
    served.hear(&hello());
    assert_eq!(served.sent.len(), 16 + 182);
    assert_eq!(served.sent[12..16], [182, 0, 0, 0]);
    assert!(served.sent[16..16 + 166].iter().all(|&b| b == 0));
    assert_eq!(served.sent[182..], *b"\x01\0\0\0\0\0\0\0\xb2\0\0\0\x0d\0\0\0", "AUTH_SASL instead of AUTH_SPICE");
}

#[test]
fn the_deadline_holds_wherever_the_peer_stops() {
    let late = START.plus(limits::LINK_WAIT_MS);
    let bytes = [hello(), ticket()].concat();
    for n in 0..bytes.len() {
        let mut served = Served::new(HOST);
        assert_eq!(served.hear(&bytes[..n]), None);
        assert_eq!(served.link.poll(START, &mut []), Ok(LinkPoll::Wait(Some(late))));
        assert_eq!(served.link.poll(late, &mut []), Ok(LinkPoll::Closed(LinkClosed::Deadline)));
        assert_eq!(served.link.want(), 0);
    }
    let mut link = ServerLink::new(START, HOST.config);
    assert_eq!(link.on_bytes(late, b"REDQ"), None, "also when a byte comes in time for nothing");
    assert_eq!(link.poll(late, &mut []), Ok(LinkPoll::Closed(LinkClosed::Deadline)));
}

#[test]
fn a_host_that_answers_too_late_answers_nobody() {
    let late = START.plus(limits::LINK_WAIT_MS);
    let mut link = ServerLink::new(START, HOST.config);
    for unit in [&hello()[..4], &hello()[4..16], &hello()[16..]] {
        let _ = link.on_bytes(START, unit);
    }
    assert_eq!(link.poll(late, &mut []), Ok(LinkPoll::Closed(LinkClosed::Deadline)), "the question was open");
    assert!(matches!(link.admit(&HOST.admission, &mut [0; 512]), Err(Refused::Misuse(_))));
}

#[test]
fn every_split_gives_the_same() {
    let streams = [[hello(), ticket()].concat(), [hello(), sasl_bytes()].concat(), patched(4, &[9])];
    for (stream, host) in streams.iter().zip([HOST, SASL_HOST, HOST]) {
        let mut whole = Served::new(host);
        let end = whole.hear(stream);
        assert!(end.is_some());
        for at in 0..stream.len() {
            let mut split = Served::new(host);
            let first = split.hear(&stream[..at]);
            assert_eq!(first.or_else(|| split.hear(&stream[at..])), end, "split at {at}");
            assert_eq!(split.sent, whole.sent, "split at {at}");
        }
        let mut drip = Served::new(host);
        assert_eq!(stream.iter().find_map(|&byte| drip.hear(&[byte])), end, "byte by byte");
        assert_eq!(drip.sent, whole.sent);
    }
}

#[test]
fn corrupt_bytes_never_open_without_the_questions() {
    let mut sampler = Sampler::new(7);
    let rounds = if cfg!(miri) { 50 } else { 20_000 };
    for _ in 0..rounds {
        let (mut stream, host) = match sampler.below(2) {
            0 => ([hello(), ticket()].concat(), HOST),
            _ => ([hello(), sasl_bytes()].concat(), SASL_HOST),
        };
        for _ in 0..=sampler.below(4) {
            let at = sampler.below(stream.len());
            stream[at] = sampler.number().to_le_bytes()[0];
        }
        let mut served = Served::new(host);
        if let Some(LinkPoll::Open(_)) = served.hear(&stream) {
            assert!(served.asked >= 2, "opened unasked: {stream:02x?}");
        }
        assert!(served.link.want() <= limits::SASL_DATA);
    }
}

#[test]
fn a_driver_that_hands_over_something_else_ends_the_link() {
    for n in [0, 3, 5, 16] {
        let mut link = ServerLink::new(START, HOST.config);
        assert_eq!(link.on_bytes(START, &hello()[..n]), None);
        assert_eq!(link.poll(START, &mut []), Ok(LinkPoll::Closed(LinkClosed::Driver { want: 4, got: n })));
    }
}

#[test]
fn what_was_not_asked_cannot_be_answered() {
    let misuse = |link: &mut ServerLink, but: &str| {
        let (out, want) = (&mut [0; 512], link.want());
        let complete = SaslStep::Complete { data: None, verdict: Verdict::Accepted };
        let answers = [
            ("admit", link.clone().admit(&HOST.admission, out).is_ok()),
            ("ticket", link.clone().ticket(Verdict::Accepted).is_ok()),
            ("mechanisms", link.clone().sasl_mechanisms(b",X,", out).is_ok()),
            ("choice", link.clone().sasl_choice(true).is_ok()),
            ("step", link.clone().sasl_step(&complete, out).is_ok()),
        ];
        for (name, ok) in answers {
            assert_eq!(ok, name == but, "{name} where {but} is open");
        }
        if but.is_empty() {
            assert!(matches!(link.ticket(Verdict::Accepted), Err(Refused::Misuse(_))));
            assert_eq!(link.want(), want, "nothing changed");
        }
    };
    for (host, stream) in [(HOST, [hello(), ticket()].concat()), (SASL_HOST, [hello(), sasl_bytes()].concat())] {
        let mut served = Served::new(host);
        let mut at = 0;
        while served.drain().is_none() {
            misuse(&mut served.link, "");
            let unit = &stream[at..at + served.link.want()];
            at += unit.len();
            if let Some(question) = served.link.on_bytes(START, unit) {
                let open = match question {
                    Question::Channel(_) => "admit",
                    Question::Ticket(_) => "ticket",
                    Question::SaslMechanisms => "mechanisms",
                    Question::SaslChoice(_) => "choice",
                    Question::SaslResponse(_) => "step",
                };
                misuse(&mut served.link, open);
                served.answer(question);
            }
        }
        misuse(&mut served.link, "");
    }
}

#[test]
fn lack_of_room_changes_nothing() {
    let mut link = ServerLink::new(START, HOST.config);
    for unit in [&hello()[..4], &hello()[4..16], &hello()[16..]] {
        let _ = link.on_bytes(START, unit);
    }
    for n in [0, 15, 16, 201] {
        assert!(matches!(link.admit(&HOST.admission, &mut [0; 202][..n]), Err(Refused::Encode(_))), "{n}");
    }
    assert_eq!(link.admit(&HOST.admission, &mut [0; 202]), Ok(202));
    let mut link = ServerLink::new(START, HOST.config);
    let _ = link.on_bytes(START, b"nope");
    assert!(link.poll(START, &mut [0; 193]).is_err());
    assert_eq!(link.poll(START, &mut [0; 194]), Ok(LinkPoll::Transmit(194)));
}

/// Mechanism 2, `TEST`, an empty response.
fn sasl_bytes() -> Vec<u8> {
    b"\x02\0\0\0\x04\0\0\0TEST\x01\0\0\0\0".to_vec()
}

#[test]
fn closed_links_say_why() {
    use std::string::ToString;
    let text = |closed: LinkClosed| closed.to_string();
    assert_eq!(text(LinkClosed::Mechanism(AuthMechanism(3))), "authentication AuthMechanism(3) is not offered");
    assert_eq!(text(LinkClosed::NeedSecured(ChannelType::MAIN)), "channel MAIN is served over TLS only");
    let size = LinkClosed::Size { what: "link message", size: 5, min: 18, max: 4096 };
    assert_eq!(text(size), "link message of 5 bytes, 18 to 4096 are taken");
}
