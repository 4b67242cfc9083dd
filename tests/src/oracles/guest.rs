//! A guest's agent, what stands in for it, and its devices, between the guest and viewers that do
//! anything.

use std::pin::pin;
use std::task::{Context, Waker};

use sumac::agent::{ClipboardEvent, ClipboardKind, GuestClipboard, Selection};
use sumac::devices::{Device, DeviceKind, Devices};
use sumac::fuzzing::agent::Agents;
use sumac::fuzzing::devices::{Holder, Hub};
use sumac_core::agent::{Assembled, Chunks};
use sumac_core::channel::vmc::DeviceBytes;
use sumac_core::limits;

use super::input::Input;

const VIEWERS: usize = 2;
/// Messages that are put together; larger ones are skipped.
const ROOM: usize = 4096;

/// What a viewer's client hears is whole messages, in chunks as they have to be.
#[derive(Default)]
struct Ear(Chunks<ROOM>);

impl Ear {
    fn hear(&mut self, chunk: &[u8]) {
        assert!((1..=limits::AGENT_CHUNK).contains(&chunk.len()), "a chunk of {} bytes", chunk.len());
        let assembled = self.0.on_chunk(chunk);
        assert!(assembled.is_ok(), "{assembled:?}");
        if let Ok(Some(Assembled::Message { header, body })) = assembled {
            assert_eq!(Ok(body.len()), usize::try_from(header.size()));
        }
    }
}

/// Viewers whose clients have a stream open, or broke the rules.
struct Viewers {
    agents: Agents,
    ears: Vec<Option<Ear>>,
}

impl Viewers {
    fn new(devices: &Devices, flags: u8) -> Self {
        let mut agents = Agents::new(devices, flags & 1 == 0, flags & 2 == 0);
        (0..VIEWERS).for_each(|_| agents.come());
        Self { agents, ears: (0..VIEWERS).map(|_| None).collect() }
    }

    /// What a client may do: start, say a message or a chunk, read, leave.
    fn operate(&mut self, operation: u8, input: &mut Input<'_>) {
        let viewer = usize::from(operation >> 7);
        match operation % 6 {
            0 => {
                self.agents.start(viewer);
                self.ears[viewer] = Some(Ear::default());
            }
            1 => {
                let (kind, body) = (input.u32(), input.block());
                let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
                let message = [&[1, kind, 0, 0, size].map(u32::to_le_bytes).concat(), body].concat();
                message.chunks(limits::AGENT_CHUNK).for_each(|chunk| self.say(viewer, chunk));
            }
            2 => self.say(viewer, input.block()),
            3 => self.read(viewer, input.byte().into()),
            4 => self.leave(viewer),
            _ => assert!(self.agents.tokens(viewer) <= 1 << 20),
        }
    }

    fn say(&mut self, viewer: usize, chunk: &[u8]) {
        // A channel machine takes no larger ones, and nothing on a stream that is closed.
        if self.ears[viewer].is_some() && chunk.len() <= limits::AGENT_CHUNK && self.agents.hear(viewer, chunk).is_err()
        {
            self.leave(viewer);
        }
    }

    fn read(&mut self, viewer: usize, most: usize) {
        for _ in 0..most {
            let Some(chunk) = self.agents.next_chunk(viewer) else { return };
            if let Some(ear) = &mut self.ears[viewer] {
                ear.hear(&chunk);
            }
        }
    }

    fn leave(&mut self, viewer: usize) {
        self.agents.leave(viewer);
        self.ears[viewer] = None;
    }

    /// Another agent than before: clients open their streams anew.
    fn look(&mut self) {
        for (viewer, changed) in self.agents.look().into_iter().enumerate() {
            if changed {
                self.ears[viewer] = None;
            }
        }
    }
}

/// Input: a byte of flags, then operations of two viewers and of a guest that takes part in the
/// clipboard.
pub(super) fn clipboard(data: &[u8]) {
    let mut input = Input::new(data);
    let mut viewers = Viewers::new(&Devices::default(), input.byte());
    let mut guest: Option<GuestClipboard> = None;
    while !input.is_empty() {
        let operation = input.byte();
        match operation % 12 {
            6 => guest = Some(viewers.agents.clipboard().open()),
            7 => guest = None,
            8 => {
                if let Some(guest) = &guest {
                    let kinds: Vec<_> = (0..input.below(4)).map(|_| input.pick(&ClipboardKind::ALL)).collect();
                    guest.grab(input.pick(&SELECTIONS), &kinds);
                }
            }
            9 => {
                if let Some(guest) = &guest {
                    guest.release(input.pick(&SELECTIONS));
                }
            }
            10 => {
                if let Some(guest) = &guest {
                    answer(guest, input.block());
                }
            }
            11 => {
                if let Some(guest) = &guest {
                    // Asked, and given up at once if nobody answers.
                    let mut asked = pin!(guest.request(input.pick(&SELECTIONS), input.pick(&ClipboardKind::ALL)));
                    let waker = Waker::noop();
                    let _ = asked.as_mut().poll(&mut Context::from_waker(waker));
                    viewers.look();
                    (0..VIEWERS).for_each(|viewer| viewers.read(viewer, 8));
                    let body = input.block();
                    let message =
                        [&[1, 4, 0, 0, u32::try_from(body.len()).unwrap_or(0)].map(u32::to_le_bytes).concat(), body];
                    message.concat().chunks(limits::AGENT_CHUNK).for_each(|chunk| viewers.say(0, chunk));
                    let _ = asked.as_mut().poll(&mut Context::from_waker(waker));
                }
            }
            _ => viewers.operate(operation, &mut input),
        }
        viewers.look();
    }
}

const SELECTIONS: [Selection; 3] = [Selection::Clipboard, Selection::Primary, Selection::Secondary];

/// The guest answers what viewers want, with this.
fn answer(guest: &GuestClipboard, content: &[u8]) {
    for _ in 0..64 {
        let next = pin!(guest.next());
        match next.poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(ClipboardEvent::Request(request)) if !content.is_empty() => {
                request.answer(content.to_vec());
            }
            std::task::Poll::Ready(_) => {}
            std::task::Poll::Pending => return,
        }
    }
}

/// Input: a byte of flags, then operations of two viewers and of the guest's own agent behind its port.
pub(super) fn relay(data: &[u8]) {
    let mut input = Input::new(data);
    let devices = Devices::default();
    let port = devices.open(DeviceKind::Agent, "com.redhat.spice.0");
    let mut viewers = Viewers::new(&devices, input.byte());
    viewers.look();
    let mut opened = false;
    while !input.is_empty() {
        let operation = input.byte();
        match operation % 10 {
            6 => {
                opened = !opened;
                port.set_opened(opened);
            }
            7 => {
                let chunk = input.block();
                let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                let _ = port.write(&[&[1, len].map(u32::to_le_bytes).concat(), chunk].concat());
            }
            8 => drop(port.write(input.block())),
            9 => {
                let mut told = vec![0; usize::from(input.u16())];
                let len = port.read(&mut told);
                assert!(len <= told.len());
            }
            _ => viewers.operate(operation, &mut input),
        }
        viewers.look();
    }
}

/// Input: a byte for the kind of device, then operations of the guest and of viewers that have it one
/// after another. What is said comes out at the other end, in order.
pub(super) fn devices(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.pick(&[DeviceKind::Usbredir, DeviceKind::Webdav, DeviceKind::Port, DeviceKind::Smartcard]);
    let devices = Devices::default();
    let hub = Hub::new(&devices);
    let mut guest = devices.open(kind, "device");
    let (mut holder, mut streams, mut session): (Option<Holder>, _, _) = (None, Streams::default(), 0);
    let channels = hub.look();
    assert_eq!(channels.len(), 1);
    while !input.is_empty() {
        match input.byte() % 9 {
            0 => {
                session += 1;
                let other = channels.first().and_then(|channel| hub.attach(*channel, session));
                assert_eq!(other.is_some(), holder.is_none(), "one viewer has it");
                if other.is_some() {
                    (holder, streams) = (other, Streams::default());
                }
            }
            1 => holder = None,
            2 => streams.viewer_says(holder.as_ref(), &DeviceBytes::Plain(input.block()), Some(())),
            3 => {
                let (len, block) = (usize::from(input.u16()), input.block());
                streams.viewer_says(holder.as_ref(), &DeviceBytes::Lz4 { len, block }, None);
            }
            4 => streams.guest_reads(&guest, holder.is_some(), usize::from(input.u16())),
            5 => streams.guest_says(&guest, holder.is_some(), input.block()),
            6 => streams.viewer_reads(holder.as_ref(), usize::from(input.u16())),
            7 => {
                if let Some(holder) = &holder {
                    holder.set_opened(input.byte() & 1 == 0);
                    holder.send_break();
                }
            }
            _ => {
                // Gone, and there again: the same channel is free, or its viewer has one that ended.
                if holder.is_none() {
                    drop(guest);
                    hub.look();
                    guest = devices.open(kind, "again");
                    assert_eq!(hub.look(), channels);
                }
            }
        }
        hub.look();
        if let Some(holder) = &holder {
            assert!(guest.state().viewer.is_some());
            let _ = holder.is_full();
        }
    }
}

/// What was said and has not come out.
#[derive(Default)]
struct Streams {
    to_guest: Vec<u8>,
    to_viewer: Vec<u8>,
}

impl Streams {
    fn viewer_says(&mut self, holder: Option<&Holder>, bytes: &DeviceBytes<'_>, must: Option<()>) {
        let Some(holder) = holder.filter(|holder| !holder.is_full()) else { return };
        let mut plain = vec![0; bytes.len()];
        let whole = bytes.copy_to(&mut plain).is_ok();
        assert_eq!(holder.push(bytes).is_ok(), whole);
        assert!(must.is_none() || whole);
        if whole {
            self.to_guest.extend(plain);
        }
    }

    fn guest_reads(&mut self, guest: &Device, held: bool, most: usize) {
        let mut out = vec![0; most];
        let len = guest.read(&mut out);
        out.truncate(len);
        if held {
            assert_eq!(out, self.to_guest.drain(..len.min(self.to_guest.len())).collect::<Vec<_>>());
        }
    }

    fn guest_says(&mut self, guest: &Device, held: bool, bytes: &[u8]) {
        let taken = guest.write(bytes);
        assert!(taken <= bytes.len());
        if held {
            self.to_viewer.extend(&bytes[..taken]);
        }
    }

    fn viewer_reads(&mut self, holder: Option<&Holder>, most: usize) {
        let Some(holder) = holder else { return };
        let out = holder.take(most);
        assert!(out.len() <= most);
        assert_eq!(out, self.to_viewer.drain(..out.len().min(self.to_viewer.len())).collect::<Vec<_>>());
    }
}
