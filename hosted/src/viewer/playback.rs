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
use crate::sound::{Packet, PlaybackHub, Stream, Volume};

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
    hub: Rc<PlaybackHub>,
    session: Rc<Session>,
    volume: Volume,
    mode: AudioMode,
    /// Whether there was no stream when it last looked.
    waiting: bool,
    /// The stream that was started and the number of the packet that is due.
    playing: Option<Playing>,
}

#[derive(Clone, Copy)]
struct Playing {
    stream: u64,
    next: u64,
}

impl Playback {
    pub(super) fn new(hub: Rc<PlaybackHub>, session: Rc<Session>, bell: &Rc<Notify>) -> Self {
        hub.listen(bell);
        let volume = hub.volume();
        Self { hub, session, volume, mode: AudioMode::RAW, waiting: false, playing: None }
    }

    /// Stops, starts and says what is due.
    fn follow(&mut self, line: &mut Line<PlaybackServer>) -> Result<(), Close> {
        let hub = Rc::clone(&self.hub);
        let stream = hub.stream();
        let running = stream.as_ref().map(|stream| stream.number);
        if self.playing.is_some_and(|playing| running != Some(playing.stream)) {
            self.playing = None;
            self.waiting = true;
            self.session.hears.set(false);
            send(line, &ServerMessage::Stop(Stop {}))?;
        }
        let was_waiting = std::mem::replace(&mut self.waiting, stream.is_none());
        let Some(stream) = stream.as_ref() else { return Ok(()) };
        let mut playing = match self.playing {
            Some(playing) => playing,
            None => self.start(line, stream, was_waiting)?,
        };
        while line.unsent() <= AHEAD
            && let Some(packet) = stream.packet(playing.next)
        {
            playing.next = packet.number + 1;
            self.say(line, packet)?;
        }
        self.playing = Some(playing);
        self.session.hears.set(true);
        Ok(())
    }

    fn start(&mut self, line: &mut Line<PlaybackServer>, stream: &Stream, was_there: bool) -> Result<Playing, Close> {
        let (next, time) = stream.begin(was_there);
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
        let volume = self.hub.volume();
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

#[cfg(test)]
mod tests {
    use sumac_core::channel::Negotiated;
    use sumac_core::channel::framing::Framing;
    use sumac_core::time::Millis;
    use tokio::net::UnixStream;
    use tokio::time::Instant;

    use super::*;
    use crate::connection::drive;
    use crate::sound::Sound;
    use crate::transport::Stream as Socket;

    /// 10 ms at 48 kHz.
    const PACKET: usize = 1920;
    const START: u16 = 103;
    const STOP: u16 = 104;
    const DATA: u16 = 101;

    /// Runs a listener without capabilities beside `script`, which gets the other end of its socket.
    async fn listener<F: Future<Output = ()>>(script: impl FnOnce(Sound, Rc<PlaybackHub>, UnixStream) -> F) -> Close {
        let sound = Sound::default();
        let hub = Rc::new(PlaybackHub::new(sound.playback().clone(), true));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Socket::from(ours);
        ours.limit_send_buffer(SEND_BUFFER).unwrap();
        let bell = Rc::new(Notify::new());
        let mut line = Line::new(PlaybackServer::new(Negotiated { mini_header: true, peer_caps: 0 }), Instant::now());
        let mut handler = Playback::new(Rc::clone(&hub), Session::for_tests(false), &bell);
        let framing = Framing::new(true, 1024);
        let drive = drive(&ours, framing, Vec::new(), &mut line, &mut handler, &bell);
        tokio::join!(drive, script(sound, hub, theirs)).0
    }

    async fn play(sound: &Sound, hub: &PlaybackHub, packets: std::ops::Range<u64>) {
        for n in packets {
            sound.playback().write(&[n as u8 | 1; PACKET]);
            hub.take_mail(Millis(n * 10));
            tokio::task::yield_now().await;
        }
    }

    /// What is there to read: numbers of messages, and the first words of their bodies.
    async fn read(theirs: &UnixStream) -> Vec<(u16, u32)> {
        let (mut bytes, mut room) = (Vec::new(), vec![0; 1 << 16]);
        for _ in 0..100 {
            tokio::task::yield_now().await;
            while let Ok(n) = theirs.try_read(&mut room) {
                bytes.extend(&room[..n]);
            }
        }
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let word = |at| rest.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().unwrap()));
            messages.push((u16::from_le_bytes([rest[0], rest[1]]), word(6)));
            rest = &rest[6 + word(2) as usize..];
        }
        messages
    }

    #[tokio::test]
    async fn a_listener_hears_starts_sound_and_stops() {
        listener(async |sound, hub, theirs| {
            assert_eq!(read(&theirs).await.iter().map(|m| m.0).collect::<Vec<_>>(), [102]);
            sound.playback().start(48_000).unwrap();
            play(&sound, &hub, 0..3).await;
            let said = read(&theirs).await;
            assert_eq!(said.iter().map(|m| m.0).collect::<Vec<_>>(), [START, DATA, DATA, DATA]);
            assert_eq!(said[1..].iter().map(|m| m.1).collect::<Vec<_>>(), [0, 10, 20]);
            sound.playback().stop();
            hub.take_mail(Millis(30));
            assert_eq!(read(&theirs).await.iter().map(|m| m.0).collect::<Vec<_>>(), [STOP]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_listener_that_does_not_read_loses_old_sound_and_hears_the_newest() {
        listener(async |sound, hub, theirs| {
            sound.playback().start(48_000).unwrap();
            play(&sound, &hub, 0..1000).await;
            let times: Vec<u32> = read(&theirs).await.iter().filter(|m| m.0 == DATA).map(|m| m.1).collect();
            assert!(times.len() < 100, "{} packets of 1000 were kept", times.len());
            assert!(times.is_sorted() && times.last() == Some(&9990), "{times:?}");
        })
        .await;
    }
}
