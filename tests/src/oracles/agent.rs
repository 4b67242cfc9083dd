//! The agent's stream: the same messages out of any chunks, and every message in every form.

use sumac_core::agent::{Assembled, Chunks};
use sumac_core::limits;
use sumac_core::proto::agent::{AgentForms, PROTOCOL};
use sumac_core::wire::Writer;

use super::input::Input;

/// Small, so that larger messages are at hand too.
const ROOM: usize = 512;
type Agent = Chunks<ROOM>;

/// Input: a byte that says whether messages or chunks follow; blocks of them.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 { messages(&mut input) } else { chunks(&mut input) }
}

/// Messages, each a `u32` kind, a byte that says how it is cut, and a block: they arrive as they were.
fn messages(input: &mut Input<'_>) {
    let mut agent = Agent::default();
    while !input.is_empty() {
        let (kind, cut, body) = (input.u32(), usize::from(input.byte()), input.block());
        let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let message = [&PROTOCOL.to_le_bytes()[..], &kind.to_le_bytes(), &[0; 8], &size.to_le_bytes(), body].concat();
        // A chunk holds the whole header, or begins behind it.
        let (first, rest) = message.split_at(HEADER.saturating_add(cut).min(message.len()));
        let mut got = None;
        for chunk in std::iter::once(first).chain(rest.chunks(cut.saturating_add(1))) {
            assert_eq!(got, None, "the message is complete with its last chunk only");
            let assembled = agent.on_chunk(chunk);
            assert!(assembled.is_ok(), "{assembled:?}");
            got = assembled.ok().flatten().map(|assembled| match assembled {
                Assembled::Message { header, body } => (header.kind(), Some(body.to_vec())),
                Assembled::Skipped { header } => (header.kind(), None),
            });
        }
        let kept = (body.len() <= ROOM).then(|| body.to_vec());
        assert_eq!(got, Some((kind, kept)));
        in_every_form(kind, body);
    }
}

/// Chunks as they come, up to the first that is against the rules.
fn chunks(input: &mut Input<'_>) {
    let mut agent = Agent::default();
    while !input.is_empty() {
        let chunk = input.block();
        match agent.on_chunk(chunk) {
            Ok(Some(Assembled::Message { header, body })) => {
                assert_eq!(Ok(body.len()), usize::try_from(header.size()));
                in_every_form(header.kind(), body);
            }
            Ok(Some(Assembled::Skipped { header })) => {
                assert!(usize::try_from(header.size()).is_ok_and(|size| size > ROOM))
            }
            Ok(None) => assert!(chunk.len() <= limits::AGENT_CHUNK),
            Err(_) => return,
        }
    }
}

/// Bytes of a VDAgentMessage header.
const HEADER: usize = 20;

fn in_every_form(kind: u32, body: &[u8]) {
    for (selection, serial) in [(false, false), (false, true), (true, false), (true, true)] {
        let forms = AgentForms { selection, serial };
        let Ok((message, trailing)) = forms.decode(kind, body) else { continue };
        assert!(trailing <= body.len());
        let mut out = vec![0; forms.size(&message)];
        let mut w = Writer::new(&mut out);
        assert_eq!(forms.encode(&message, &mut w), Ok(()), "{forms:?} {message:?}");
        assert_eq!(w.position(), forms.size(&message), "{forms:?} {message:?}");
        assert_eq!(forms.decode(kind, w.written()), Ok((message, 0)), "{forms:?}");
    }
}
