//! The record channel: a viewer's microphone, when the source listens and this viewer is asked.

use std::rc::Rc;

use sumac_core::channel::record::{RecordEvent, RecordServer};
use sumac_core::channel::{Heard, PeerError};
use sumac_core::proto::caps::RecordCaps;
use sumac_core::proto::playback::{AudioFormat, AudioMode};
use sumac_core::proto::record::{Mute, ServerMessage, Start, Stop, Volume as WireVolume};
use sumac_core::wire::Counted;
use tokio::sync::Notify;

use super::Session;
use crate::connection::{Close, Handler, Line};
use crate::sound::{Decoder, RecordHub, Resampler, Volume, wire_rate};

/// The handler.
pub(super) struct Record {
    hub: Rc<RecordHub>,
    session: Rc<Session>,
    bell: Rc<Notify>,
    /// Samples a second that the source wants, and that the client was asked for.
    asked: Option<u32>,
    frequency: Option<u32>,
    volume: Option<Volume>,
    /// For the mode in force; there is none for raw sound.
    decoder: Option<Decoder>,
    /// From the client's rate to the source's, where they differ.
    resampler: Option<Resampler>,
}

impl Record {
    pub(super) fn new(hub: Rc<RecordHub>, session: Rc<Session>, bell: Rc<Notify>) -> Self {
        hub.enter(&bell);
        Self { hub, session, bell, asked: None, frequency: None, volume: None, decoder: None, resampler: None }
    }

    fn on_sound(&mut self, mode: AudioMode, data: &[u8]) -> Result<(), Close> {
        if mode != AudioMode::OPUS {
            match &mut self.resampler {
                None => self.hub.on_raw(data),
                Some(resampler) => {
                    let samples =
                        data.as_chunks().0.iter().map(|&[a, b, c, d]| [[a, b], [c, d]].map(i16::from_le_bytes));
                    self.hub.on_samples(&resampler.push(samples));
                }
            }
            return Ok(());
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => {
                let decoder = self.frequency.map_or(Err("nothing was asked for"), Decoder::new);
                self.decoder.insert(decoder.map_err(|why| unexpected("MODE", why))?)
            }
        };
        let samples = decoder.decode(data).map_err(|why| unexpected("DATA", why))?;
        match &mut self.resampler {
            None => self.hub.on_samples(samples),
            Some(resampler) => {
                let samples = samples.as_chunks().0.iter().copied();
                self.hub.on_samples(&resampler.push(samples));
            }
        }
        Ok(())
    }
}

fn unexpected(message: &'static str, why: &'static str) -> PeerError {
    PeerError::Unexpected { message, why }
}

impl Handler for Record {
    type Machine = RecordServer;

    fn on_open(&mut self, line: &mut Line<RecordServer>) -> Result<(), Close> {
        self.on_wake(line)
    }

    fn on_event(&mut self, _line: &mut Line<RecordServer>, event: RecordEvent<'_>) -> Result<(), Close> {
        match event {
            RecordEvent::Common(Heard::Disconnecting(_)) => Err(Close::Goodbye),
            RecordEvent::Mode(_) => {
                self.decoder = None;
                Ok(())
            }
            RecordEvent::Sound { mode, data, .. } => self.on_sound(mode, data),
            _ => Ok(()),
        }
    }

    fn on_wake(&mut self, line: &mut Line<RecordServer>) -> Result<(), Close> {
        self.session.check()?;
        let wish = self.hub.wish(&self.bell);
        if wish.rate != self.asked {
            if self.asked.is_some() {
                send(line, &ServerMessage::Stop(Stop {}))?;
            }
            self.decoder = None;
            self.asked = wish.rate;
            let opus = line.machine.caps().contains(RecordCaps::OPUS);
            self.frequency = wish.rate.map(|rate| if opus { wire_rate(rate) } else { rate });
            if let (Some(rate), Some(frequency)) = (wish.rate, self.frequency) {
                self.resampler = Resampler::new(frequency, rate).filter(|_| frequency != rate);
                let start = Start { channels: 2, format: AudioFormat::S16, frequency };
                send(line, &ServerMessage::Start(start))?;
            }
        }
        if wish.rate.is_some() && self.volume != Some(wish.volume) && line.machine.caps().contains(RecordCaps::VOLUME) {
            self.volume = Some(wish.volume);
            let volume = [wish.volume.left.into(), wish.volume.right.into()];
            send(line, &ServerMessage::Volume(WireVolume { volume: Counted::new(&volume) }))?;
            send(line, &ServerMessage::Mute(Mute { mute: wish.volume.muted.into() }))?;
        }
        Ok(())
    }

    fn on_close(&mut self, _line: &mut Line<RecordServer>) {
        self.hub.leave(&self.bell);
    }
}

/// The channel has no acknowledgement window: a refusal is a mistake of ours.
fn send(line: &mut Line<RecordServer>, message: &ServerMessage<'_>) -> Result<(), Close> {
    line.send(message, &[]).map_err(Close::Refused)
}
