//! The link in both roles: whatever the peer sends and the host answers, nobody gets in unasked.

use sumac_core::channel::Refused;
use sumac_core::limits;
use sumac_core::link::{
    Admission, Auth, ClientConfig, ClientLink, ClientQuestion, LinkClosed, LinkPoll, Linking, Policy, Question,
    SaslStep, Security, ServerConfig, ServerLink, Verdict,
};
use sumac_core::proto::caps::CommonCaps;
use sumac_core::proto::common::{ChannelType, LinkError};
use sumac_core::proto::link::{PUB_KEY_BYTES, TICKET_BYTES};
use sumac_core::time::Millis;

use super::input::Input;

/// What is always enough for [`Linking::poll`].
const POLL: usize = 194;
const START: Millis = Millis(1000);

/// Input: a byte for the role, a byte of configuration, a block of answers, then the peer's bytes.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (role, config) = (input.byte(), input.byte());
    let answers = Input::new(input.block());
    if role & 1 == 0 { server(config, answers, &mut input) } else { client(config, answers, &mut input) }
}

/// Input: a byte for the role, a block of answers, then what the peer says once both ends have agreed
/// on SASL.
pub(super) fn sasl(data: &[u8]) {
    let mut input = Input::new(data);
    let role = input.byte();
    let answers = Input::new(input.block());
    if role & 1 == 0 {
        let bytes = [&HELLO[..], &AGREED, input.rest()].concat();
        server(SASL_ONLY, answers, &mut Input::new(&bytes));
    } else {
        let mut reply = HELLO[..12].to_vec();
        reply.extend([182, 0, 0, 0, 0, 0, 0, 0]);
        reply.resize(20 + PUB_KEY_BYTES, 0x30);
        reply.extend([1, 0, 0, 0, 0, 0, 0, 0, 178, 0, 0, 0]);
        reply.extend(AUTH_CAPS.to_le_bytes());
        client(1, answers, &mut Input::new(&[&reply, input.rest()].concat()));
    }
}

/// AUTH_SELECTION, AUTH_SASL and mini headers.
const AUTH_CAPS: u32 = 0b1101;
/// A link message for a main channel with these capabilities.
const HELLO: [u8; 38] = *b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\x12\0\0\0\x0d\0\0\0";
/// The selection of SASL.
const AGREED: [u8; 4] = [2, 0, 0, 0];
/// Configuration of a server that takes nothing else.
const SASL_ONLY: u8 = 1 << 1;

fn server(config: u8, mut answers: Input<'_>, input: &mut Input<'_>) {
    let auth = [Auth::Ticket, Auth::Sasl, Auth::TicketOrSasl][usize::from(config >> 1) % 3];
    let security = [Security::Any, Security::Secured, Security::Unsecured][usize::from(config >> 3) % 3];
    let config = ServerConfig { secure: config & 1 != 0, auth, policy: Policy::all(security), ..Default::default() };
    let mut link = ServerLink::new(START, config);
    let (mut verdict, mut questions) = (None, 0);
    let end = run(&mut link, input, |link, question| {
        let mut out = vec![0; 1 << 10];
        questions += 1;
        assert!(questions <= limits::SASL_ROUNDS + 3, "channel, mechanisms, choice, and so many responses");
        assert_eq!(wrong_answers(link, &question), [true; 4], "only the open question can be answered");
        let written = match question {
            Question::Channel(_) => {
                let public_key = [Some(&[7; PUB_KEY_BYTES]), None][usize::from(answers.byte() & 1)];
                let admit = Admission::Admit { public_key, channel_caps: answers.u32() };
                let admission = [admit, admit, admit, Admission::Fail, Admission::Silent][answers.below(5)];
                if admission == admit {
                    assert!(matches!(link.admit(&admit, &mut [0; 20]), Err(Refused::Encode(_))));
                }
                link.admit(&admission, &mut out)
            }
            Question::Ticket(_) => {
                verdict = Some(decide(&mut answers));
                link.ticket(verdict.unwrap_or(Verdict::Denied)).map(|()| 0)
            }
            Question::SaslMechanisms => link.sasl_mechanisms(b",PLAIN,TEST,", &mut out),
            Question::SaslChoice(name) => {
                assert!(name.len() <= limits::SASL_MECHANISM && !name.contains(&b','));
                link.sasl_choice(answers.byte() & 1 == 0).map(|()| 0)
            }
            Question::SaslResponse(data) => {
                let step = if answers.byte() & 1 == 0 {
                    SaslStep::Continue(data.map(|data| &data[..data.len().min(100)]))
                } else {
                    verdict = Some(decide(&mut answers));
                    SaslStep::Complete { data: None, verdict: verdict.unwrap_or(Verdict::Denied) }
                };
                link.sasl_step(&step, &mut out)
            }
            _ => Ok(0),
        };
        assert!(matches!(written, Ok(n) if n <= out.len()), "{written:?}");
    });
    if let LinkPoll::Open(_) = end {
        assert_eq!(verdict, Some(Verdict::Accepted), "nobody opens a channel without the host's consent");
        assert_ne!((security, config.secure), (Security::Secured, false));
        assert_ne!((security, config.secure), (Security::Unsecured, true));
    }
}

fn decide(answers: &mut Input<'_>) -> Verdict {
    answers.pick(&[Verdict::Accepted, Verdict::Denied, Verdict::BadConnectionId, Verdict::NotAvailable])
}

/// Whether answers to other questions are refused: ticket, mechanisms, choice, step.
fn wrong_answers(link: &ServerLink, question: &Question<'_>) -> [bool; 4] {
    let refused = |answer: Result<usize, Refused>| matches!(answer, Err(Refused::Misuse(_)));
    let (mut link, mut out) = (link.clone(), [0; 256]);
    let asked = |is: bool, refused: bool| is || refused;
    [
        asked(matches!(question, Question::Ticket(_)), refused(link.clone().ticket(Verdict::Accepted).map(|()| 0))),
        asked(matches!(question, Question::SaslMechanisms), refused(link.clone().sasl_mechanisms(b",A,", &mut out))),
        asked(matches!(question, Question::SaslChoice(_)), refused(link.clone().sasl_choice(true).map(|()| 0))),
        asked(
            matches!(question, Question::SaslResponse(_)),
            refused(link.sasl_step(&SaslStep::Complete { data: None, verdict: Verdict::Accepted }, &mut out)),
        ),
    ]
}

fn client(config: u8, mut answers: Input<'_>, input: &mut Input<'_>) {
    let mut call = ClientConfig::new(9, ChannelType(config >> 4), 1, 0x55);
    if config & 1 != 0 {
        call.common_caps |= CommonCaps::AUTH_SASL;
    }
    if config & 2 != 0 {
        call.common_caps -= CommonCaps::AUTH_SELECTION;
    }
    let mut link = ClientLink::new(START, call);
    let mut proved = false;
    let end = run(&mut link, input, |link, question| {
        let mut out = vec![0; 1 << 10];
        let written = match question {
            ClientQuestion::Reply { .. } => {
                proved = true;
                let sasl = if answers.byte() & 1 == 0 { Err(Refused::Hold) } else { link.sasl(&mut out) };
                sasl.or_else(|_| link.ticket(&[7; TICKET_BYTES], &mut out))
            }
            ClientQuestion::SaslMechanisms(names) => {
                assert!(names.len() <= limits::SASL_MECHANISMS);
                link.sasl_choose(b"TEST", Some(b"hi"), &mut out)
            }
            ClientQuestion::SaslChallenge { complete: false, data } => {
                link.sasl_respond(data.map(|data| &data[..data.len().min(100)]), &mut out)
            }
            _ => Ok(0),
        };
        assert!(matches!(written, Ok(n) if n <= out.len()), "{written:?}");
    });
    if let LinkPoll::Open(opened) = end {
        assert!(proved, "a channel opens behind the proof only");
        assert_eq!((opened.connection_id, opened.channel_id), (9, 1));
    }
}

/// Feeds a link to its end, which the deadline brings at the latest.
fn run<L: Linking + Clone>(
    link: &mut L,
    input: &mut Input<'_>,
    mut answer: impl FnMut(&mut L, L::Question<'_>),
) -> LinkPoll {
    loop {
        let until = match drain(link, START) {
            LinkPoll::Wait(until) => until,
            end => return ended(link, end),
        };
        assert_eq!(until, Some(START.plus(limits::LINK_WAIT_MS)));
        let want = link.want();
        assert!((1..=limits::SASL_DATA.saturating_add(1)).contains(&want), "with no question open something is wanted");
        let bytes = input.take(want);
        if bytes.len() < want {
            return cut_short(link, bytes);
        }
        if let Some(question) = link.on_bytes(START, bytes) {
            answer(link, question);
        }
    }
}

/// The peer says nothing more: the driver's mistake and the deadline both end it.
fn cut_short<L: Linking + Clone>(link: &mut L, bytes: &[u8]) -> LinkPoll {
    let mut mistaken = link.clone();
    let want = mistaken.want();
    assert!(mistaken.on_bytes(START, bytes).is_none());
    assert_eq!(drain(&mut mistaken, START), LinkPoll::Closed(LinkClosed::Driver { want, got: bytes.len() }));
    let end = drain(link, START.plus(limits::LINK_WAIT_MS));
    assert_eq!(end, LinkPoll::Closed(LinkClosed::Deadline));
    ended(link, end)
}

/// What is over stays over, and wants nothing.
fn ended<L: Linking>(link: &mut L, end: LinkPoll) -> LinkPoll {
    assert_eq!(link.want(), 0);
    assert!(link.on_bytes(START, &[0; 16]).is_none());
    assert_eq!(drain(link, START), end);
    if let LinkPoll::Closed(why) = end {
        assert_ne!(why.code(), Some(LinkError::OK), "{why}");
    }
    end
}

fn drain<L: Linking>(link: &mut L, now: Millis) -> LinkPoll {
    let mut out = [0; POLL];
    for _ in 0..4 {
        match link.poll(now, &mut out) {
            Ok(LinkPoll::Transmit(n)) => assert!((1..=POLL).contains(&n)),
            Ok(poll) => return poll,
            Err(e) => assert_eq!(e.to_string(), "", "{POLL} bytes are always enough"),
        }
    }
    assert_eq!(link.want(), usize::MAX, "a link transmits without end");
    LinkPoll::Wait(None)
}
