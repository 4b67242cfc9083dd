//! Both machines against each other, and the client's against a hostile server.

use std::vec::Vec;

use super::*;

/// A client's machine that answers by itself.
struct Caller {
    link: ClientLink,
    inbox: Vec<u8>,
    sent: Vec<u8>,
    sasl: bool,
}

impl Caller {
    fn new(config: ClientConfig) -> Self {
        let sasl = config.common_caps.contains(CommonCaps::AUTH_SASL);
        Self { link: ClientLink::new(START, config), inbox: Vec::new(), sent: Vec::new(), sasl }
    }

    fn hear(&mut self, bytes: &[u8]) -> Option<LinkPoll> {
        self.inbox.extend(bytes);
        let mut out = [0; 256];
        loop {
            match self.link.poll(START, &mut out).expect("room") {
                LinkPoll::Transmit(n) => self.sent.extend(&out[..n]),
                LinkPoll::Wait(_) if self.inbox.len() < self.link.want() => return None,
                LinkPoll::Wait(_) => {
                    let unit: Vec<u8> = self.inbox.drain(..self.link.want()).collect();
                    if let Some(question) = self.link.on_bytes(START, &unit) {
                        self.answer(question);
                    }
                }
                end => return Some(end),
            }
        }
    }

    fn answer(&mut self, question: ClientQuestion<'_>) {
        let mut out = [0; 256];
        let n = match question {
            ClientQuestion::Reply { .. } if self.sasl => self.link.sasl(&mut out),
            ClientQuestion::Reply { .. } => self.link.ticket(&[7; TICKET_BYTES], &mut out),
            ClientQuestion::SaslMechanisms(names) => {
                assert_eq!(names, b",PLAIN,TEST,");
                self.link.sasl_choose(b"TEST", Some(b"hi"), &mut out)
            }
            ClientQuestion::SaslChallenge { data, complete: false } => self.link.sasl_respond(data, &mut out),
            ClientQuestion::SaslChallenge { data, complete: true } => {
                assert_eq!(data, Some(&b"hi"[..]), "it went to and fro");
                Ok(0)
            }
        };
        self.sent.extend(&out[..n.expect("the question is open")]);
    }
}

fn pair(host: Host, config: ClientConfig) -> (Option<LinkPoll>, Option<LinkPoll>) {
    let (mut server, mut client) = (Served::new(host), Caller::new(config));
    let mut ends = (None, None);
    for _ in 0..100 {
        let from_server = std::mem::take(&mut server.sent);
        ends.1 = client.hear(&from_server);
        let from_client = std::mem::take(&mut client.sent);
        ends.0 = server.hear(&from_client);
        if from_server.is_empty() && from_client.is_empty() && server.sent.is_empty() {
            break;
        }
    }
    ends
}

const CALL: ClientConfig = ClientConfig::new(9, ChannelType::DISPLAY, 1, 0x55);
const SASL_CALL: ClientConfig = ClientConfig { common_caps: CALL.common_caps.union(CommonCaps::AUTH_SASL), ..CALL };

#[test]
fn both_machines_agree() {
    let old = ClientConfig { common_caps: CommonCaps::AUTH_SPICE, ..CALL };
    let both = Host { config: ServerConfig { auth: Auth::TicketOrSasl, ..HOST.config }, ..HOST };
    let long = Host { rounds: limits::SASL_ROUNDS, ..SASL_HOST };
    for (host, config) in [(HOST, CALL), (HOST, old), (both, CALL), (both, SASL_CALL), (both, old), (long, SASL_CALL)] {
        let (Some(LinkPoll::Open(server)), Some(LinkPoll::Open(client))) = pair(host, config) else {
            panic!("{config:?}");
        };
        assert_eq!((server.negotiated.peer_caps, client.negotiated.peer_caps), (0x55, MAIN_CAPS));
        assert_eq!(server.negotiated.mini_header, client.negotiated.mini_header);
        assert_eq!(server.negotiated.mini_header, config != old);
        assert_eq!(Opened { negotiated: client.negotiated, ..server }, client);
    }
}

#[test]
fn both_machines_agree_on_refusals() {
    let refused = |code| Some(LinkPoll::Closed(LinkClosed::Refused(code)));
    let secured = ServerConfig { policy: Policy::all(Security::Secured), ..HOST.config };
    let rows = [
        (Host { config: secured, ..HOST }, CALL, refused(LinkError::NEED_SECURED)),
        (Host { admission: Admission::Fail, ..HOST }, CALL, refused(LinkError::ERROR)),
        (Host { verdict: Verdict::Denied, ..HOST }, CALL, refused(LinkError::PERMISSION_DENIED)),
        (Host { verdict: Verdict::NotAvailable, ..HOST }, CALL, refused(LinkError::CHANNEL_NOT_AVAILABLE)),
        (SASL_HOST, CALL, refused(LinkError::INVALID_DATA)),
        (HOST, SASL_CALL, refused(LinkError::INVALID_DATA)),
        (Host { verdict: Verdict::Denied, ..SASL_HOST }, SASL_CALL, Some(LinkPoll::Closed(LinkClosed::Denied))),
        (Host { admission: Admission::Silent, ..HOST }, CALL, None),
    ];
    for (n, (host, config, client)) in rows.into_iter().enumerate() {
        let ends = pair(host, config);
        assert!(matches!(ends.0, Some(LinkPoll::Closed(_))), "{n}");
        assert_eq!(ends.1, client, "{n}");
    }
}

#[test]
fn a_client_survives_any_server() {
    let mut sampler = Sampler::new(11);
    let good = [accepted_reply(), [0; 4].to_vec()].concat();
    let rounds = if cfg!(miri) { 50 } else { 20_000 };
    for _ in 0..rounds {
        let mut stream = good.clone();
        for _ in 0..=sampler.below(4) {
            let at = sampler.below(stream.len());
            stream[at] = sampler.number().to_le_bytes()[0];
        }
        let mut client = Caller::new(CALL);
        let _ = client.hear(&stream);
        assert!(client.link.want() <= limits::LINK_BODY);
    }
    for at in 0..good.len() {
        let mut client = Caller::new(CALL);
        assert_eq!(client.hear(&good[..at]), None);
        assert!(matches!(client.hear(&good[at..]), Some(LinkPoll::Open(_))), "split at {at}");
    }
}
