//! Streaming agents: each codes its guest's desktop itself, and becomes a display whose pictures go
//! to viewers as they are.
//!
//! ```text
//!  device ─► StreamDevice (core) ─► FORMAT, DATA ─► the display's video hub ─► viewers
//!         ◄─ START_STOP ◄────────── codecs that all viewers decode, none without viewers
//! ```
//!
//! The display opens when the guest opens the port, with the first number that is free: a guest's
//! own displays are there long before. It stays until the device goes.

mod cursor;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use sumac_core::channel::vmc::DeviceBytes;
use sumac_core::proto::stream_device::{GuestMessage, NotifyError, ServerMessage, StartStop};
use sumac_core::stream_device::{StreamDevice, StreamError, write};
use sumac_core::wire::{Counted, Data, Rest};
use tokio::time::Instant;

use crate::devices::{Attached, DeviceHub, DeviceKind};
use crate::server::{Display, Displays};
use crate::source::{Host, Size, Stage};
use crate::video::{codec_of, wire_codec};

/// Bytes taken at once, and before others have their turn.
const STEP: usize = 64 * 1024;
const TURN: usize = 1024 * 1024;
/// Room for the longest message to an agent, an error in words.
const MESSAGE: usize = 512;

/// All streaming agents.
#[derive(Default)]
pub(crate) struct StreamingAgents {
    there: RefCell<Vec<Agent>>,
}

/// One device.
struct Agent {
    attached: Attached,
    machine: StreamDevice,
    /// What was received of the next message.
    received: BytesMut,
    /// How often the guest had opened the port when the machine began.
    opens: u64,
    /// Codecs that it was told to start with; none when it is stopped.
    started: Vec<u8>,
    display: Option<(u8, Box<dyn Stage>)>,
}

impl StreamingAgents {
    /// Takes in what agents said; to be called before displays take their mail.
    pub(crate) fn take_mail(&self, devices: &DeviceHub, displays: &Displays) {
        let mut there = self.there.borrow_mut();
        there.retain(|agent| !agent.attached.is_ended());
        while let Some(attached) = devices.attach_own(DeviceKind::Stream) {
            there.push(Agent::new(attached));
        }
        there.iter_mut().for_each(|agent| agent.take_mail(displays));
    }
}

impl Agent {
    fn new(attached: Attached) -> Self {
        Self {
            attached,
            machine: StreamDevice::default(),
            received: BytesMut::new(),
            opens: 0,
            started: Vec::new(),
            display: None,
        }
    }

    fn take_mail(&mut self, displays: &Displays) {
        let guest = self.attached.guest();
        if self.opens != guest.opens || !guest.opened {
            self.opens = guest.opens;
            self.begin_anew(displays);
        }
        if !guest.opened {
            return;
        }
        let Some(display) = self.display(displays) else { return };
        self.start_or_stop(&display);
        if let Err(error) = self.hear(&display, displays) {
            tracing::warn!(name = self.attached.name(), %error, "a streaming agent broke the protocol");
            self.say(&ServerMessage::NotifyError(NotifyError {
                error_code: 0,
                message: Rest(Data::Here(error.to_string().as_bytes())),
            }));
            self.received = BytesMut::new();
            display.video.end_guest();
        }
    }

    fn begin_anew(&mut self, displays: &Displays) {
        self.machine = StreamDevice::default();
        self.received = BytesMut::new();
        self.started.clear();
        if let Some(display) = self.display.as_ref().and_then(|(number, _)| displays.get(*number)) {
            display.video.end_guest();
            display.scene.ring_viewers();
        }
    }

    /// Its display, once that is there.
    fn display(&mut self, displays: &Displays) -> Option<Rc<Display>> {
        let host = displays.host();
        if let Some((number, _)) = &self.display {
            let display = displays.get(*number)?;
            if display.video.set_guest(host.bell()) {
                display.scene.ring_viewers();
            }
            return Some(display);
        }
        // The engine takes it in and comes back.
        self.display = (0..=u8::MAX).find_map(|number| {
            let stage = host.display(number)?;
            tracing::info!(name = self.attached.name(), number, "a streaming agent's display");
            Some((number, stage))
        });
        None
    }

    /// Tells the agent what viewers decode; one that is to make a key frame is stopped and started.
    fn start_or_stop(&mut self, display: &Display) {
        let wanted: Vec<u8> =
            display.video.guest_codecs().into_iter().filter_map(wire_codec).map(|codec| codec.0).collect();
        if display.video.take_key_wanted() && !self.started.is_empty() {
            self.tell(Vec::new());
        }
        if wanted != self.started {
            self.tell(wanted);
        }
    }

    fn tell(&mut self, codecs: Vec<u8>) {
        if self.say(&ServerMessage::StartStop(StartStop { codecs: Counted::new(&codecs) })) {
            self.started = codecs;
        }
    }

    /// Says it unless the guest does not read: it can be said when it has.
    fn say(&self, message: &ServerMessage<'_>) -> bool {
        let mut out = [0; MESSAGE];
        let Some(message) = write(message, &mut out).ok().and_then(|len| out.get(..len)) else { return false };
        !self.attached.is_full() && self.attached.push(&DeviceBytes::Plain(message)).is_ok()
    }

    /// Takes in what came, as long as viewers take it, too.
    fn hear(&mut self, display: &Display, displays: &Displays) -> Result<(), StreamError> {
        let mut left = TURN;
        while !display.video.guest_waits(Instant::now()) {
            if self.received.len() < self.machine.want() {
                let bytes = self.attached.take(STEP.min(left));
                if bytes.is_empty() {
                    if left == 0 {
                        displays.host().bell().notify_one();
                    }
                    return Ok(());
                }
                left -= bytes.len();
                self.received.extend_from_slice(&bytes);
                if self.machine.want() == usize::MAX {
                    // Nothing is heard any more.
                    self.received = BytesMut::new();
                }
                continue;
            }
            let unit = self.received.split_to(self.machine.want()).freeze();
            if let Some(message) = self.machine.on_bytes(&unit)? {
                Self::on_message(self.display.as_mut().map(|(_, stage)| stage), display, &message, &unit);
            }
        }
        Ok(())
    }

    /// `unit` is what the message lies in.
    fn on_message(stage: Option<&mut Box<dyn Stage>>, display: &Display, message: &GuestMessage<'_>, unit: &Bytes) {
        match message {
            GuestMessage::Format(format) => {
                let Some(codec) = codec_of(format.codec.0) else { return };
                display.video.on_guest_format(codec, Size { width: format.width, height: format.height });
                display.scene.ring_viewers();
            }
            GuestMessage::Data(_) => {
                display.video.on_guest_packet(unit.clone());
                display.scene.ring_viewers();
            }
            GuestMessage::CursorSet(set) => {
                stage.into_iter().for_each(|stage| stage.cursor(cursor::shape(set)));
            }
            GuestMessage::CursorMove(to) => stage.into_iter().for_each(|stage| stage.pointer(to.x, to.y)),
            GuestMessage::DeviceDisplayInfo(info) => {
                let address = String::from_utf8_lossy(info.device_address.items()).into_owned();
                tracing::debug!(
                    stream = info.stream_id,
                    display = info.device_display_id,
                    address,
                    "a guest's monitor"
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
