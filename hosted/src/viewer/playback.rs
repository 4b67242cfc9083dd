//! The playback channel: the source's sound, as Opus where the client and the rate allow it.

use std::rc::Rc;

use sumac_core::channel::Heard;
use sumac_core::channel::playback::PlaybackServer;
use sumac_core::proto::caps::PlaybackCaps;
use sumac_core::proto::playback::{
    AudioFormat, AudioMode, Data as Sound, Latency, Mode, Mute, ServerMessage, Start, Stop, Volume as WireVolume,
};
use sumac_core::wire::{Counted, Data, Rest};
use tokio::sync::Notify;

use super::Session;
use crate::connection::{Close, Handler, Line};
use crate::server::Engine;
use crate::sound::{Packet, Stream, Volume};

/// Unsent bytes up to which the next packet is said: two raw ones. What is older by the time the
/// client reads is never said.
const AHEAD: usize = 4 * 1024;
/// Bytes that the kernel may hold for a client that does not read; it doubles them.
pub(super) const SEND_BUFFER: usize = 16 * 1024;
/// Milliseconds of sound that a client should hold back: spice-gtk would take 200 by itself. Packets
/// have 10 ms and come from this machine, so little more than the network's jitter is needed.
const LATENCY_MS: u32 = 60;

/// The handler.
pub(super) struct Playback {
    engine: Rc<Engine>,
    session: Rc<Session>,
    volume: Volume,
    mode: AudioMode,
    /// The stream that was started and the number of the packet that is due.
    playing: Option<Playing>,
}

#[derive(Clone, Copy)]
struct Playing {
    stream: u64,
    next: u64,
}

impl Playback {
    pub(super) fn new(engine: Rc<Engine>, session: Rc<Session>, bell: &Rc<Notify>) -> Self {
        engine.playback().listen(bell);
        let volume = engine.playback().volume();
        Self { engine, session, volume, mode: AudioMode::RAW, playing: None }
    }

    /// Stops, starts and says what is due.
    fn follow(&mut self, line: &mut Line<PlaybackServer>) -> Result<(), Close> {
        let engine = Rc::clone(&self.engine);
        let stream = engine.playback().stream();
        let running = stream.as_ref().map(|stream| stream.number);
        if self.playing.is_some_and(|playing| running != Some(playing.stream)) {
            self.playing = None;
            send(line, &ServerMessage::Stop(Stop {}))?;
        }
        let Some(stream) = stream.as_ref() else { return Ok(()) };
        let mut playing = match self.playing {
            Some(playing) => playing,
            None => self.start(line, stream)?,
        };
        while line.unsent() <= AHEAD
            && let Some(packet) = stream.packet(playing.next)
        {
            playing.next = packet.number + 1;
            self.say(line, packet)?;
        }
        self.playing = Some(playing);
        Ok(())
    }

    fn start(&mut self, line: &mut Line<PlaybackServer>, stream: &Stream) -> Result<Playing, Close> {
        let (next, time) = stream.begin();
        let opus = stream.has_opus() && line.machine.caps().contains(PlaybackCaps::OPUS);
        let mode = if opus { AudioMode::OPUS } else { AudioMode::RAW };
        if mode != self.mode {
            self.mode = mode;
            send(line, &ServerMessage::Mode(Mode { time, mode, data: Rest(Data::Here(&[])) }))?;
        }
        if line.machine.caps().contains(PlaybackCaps::LATENCY) {
            send(line, &ServerMessage::Latency(Latency { latency_ms: LATENCY_MS }))?;
        }
        let start = Start { channels: 2, format: AudioFormat::S16, frequency: stream.rate, time };
        send(line, &ServerMessage::Start(start))?;
        Ok(Playing { stream: stream.number, next })
    }

    fn say(&self, line: &mut Line<PlaybackServer>, packet: &Packet) -> Result<(), Close> {
        let payload = match (self.mode, &packet.opus) {
            (AudioMode::OPUS, Some(opus)) => opus.clone(),
            // A packet that could not be coded is 10 ms of nothing.
            (AudioMode::OPUS, None) => return Ok(()),
            _ => packet.raw.clone(),
        };
        let data = Sound { time: packet.time, data: Rest(Data::Promised(payload.len())) };
        line.send(&ServerMessage::Data(data), &[payload]).map_err(Close::Refused)
    }

    fn send_volume(&self, line: &mut Line<PlaybackServer>) -> Result<(), Close> {
        if !line.machine.caps().contains(PlaybackCaps::VOLUME) {
            return Ok(());
        }
        let volume = [self.volume.left.into(), self.volume.right.into()];
        send(line, &ServerMessage::Volume(WireVolume { volume: Counted::new(&volume) }))?;
        send(line, &ServerMessage::Mute(Mute { mute: self.volume.muted.into() }))
    }
}

impl Handler for Playback {
    type Machine = PlaybackServer;

    fn on_open(&mut self, line: &mut Line<PlaybackServer>) -> Result<(), Close> {
        let mode = Mode { time: line.now().mm_time(), mode: self.mode, data: Rest(Data::Here(&[])) };
        send(line, &ServerMessage::Mode(mode))?;
        self.follow(line)?;
        self.send_volume(line)
    }

    fn on_event(&mut self, _line: &mut Line<PlaybackServer>, event: Heard<'_>) -> Result<(), Close> {
        match event {
            Heard::Disconnecting(_) => Err(Close::Goodbye),
            _ => Ok(()),
        }
    }

    fn on_wake(&mut self, line: &mut Line<PlaybackServer>) -> Result<(), Close> {
        self.session.check()?;
        let volume = self.engine.playback().volume();
        if volume != self.volume {
            self.volume = volume;
            self.send_volume(line)?;
        }
        self.follow(line)
    }
}

/// The channel has no acknowledgement window: a refusal is a mistake of ours.
fn send(line: &mut Line<PlaybackServer>, message: &ServerMessage<'_>) -> Result<(), Close> {
    line.send(message, &[]).map_err(Close::Refused)
}
