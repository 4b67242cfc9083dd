//! [`PlaybackHub`]: a source's sound as packets, coded once for all listeners.

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use sumac_core::time::Millis;
use tokio::sync::Notify;

use super::playback::{News, Playback};
use super::{Resampler, SAMPLE_BYTES, Volume, bytes_of, opus, wire_rate};

/// Milliseconds of sound in a packet: Opus's usual, and what libspice-server sends.
const PACKET_MS: u32 = 10;
/// Packets that are kept for listeners which are late.
const KEPT: usize = 20;
/// Packets of nothing but zeros after which the stream stops: 2 s, so that pauses do not stop it.
const SILENCE: u32 = 200;
/// Milliseconds that the packets' times may be away from the clock before they are set anew: a
/// source hands over more than one packet at once, and has a clock of its own.
const DRIFT_MS: i32 = 100;

/// The engine's end of [`Playback`].
pub(crate) struct PlaybackHub {
    source: Playback,
    compression: bool,
    volume: Cell<Volume>,
    /// What was taken and fills no packet.
    rest: RefCell<Vec<u8>>,
    /// The source's rate while it plays, and that of the packets.
    rate: Cell<Option<u32>>,
    wire_rate: Cell<u32>,
    resampler: RefCell<Option<Resampler>>,
    stream: RefCell<Option<Stream>>,
    streams: Cell<u64>,
    bells: RefCell<Vec<Weak<Notify>>>,
}

/// Sound that began and did not end yet.
pub(crate) struct Stream {
    /// Another one has another number.
    pub(crate) number: u64,
    /// Samples of a channel in a second.
    pub(crate) rate: u32,
    packets: VecDeque<Packet>,
    /// Number of the next packet, from 0.
    next: u64,
    time: u32,
    quiet: u32,
    encoder: Option<opus::Encoder>,
}

/// 10 ms of sound.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Counts up by one in a stream.
    pub(crate) number: u64,
    /// When to play it, on the multi-media clock.
    pub(crate) time: u32,
    /// The samples.
    pub(crate) raw: Bytes,
    /// The same as Opus, where the stream has it.
    pub(crate) opus: Option<Bytes>,
}

impl PlaybackHub {
    /// With `compression`, listeners that can are sent Opus.
    pub(crate) fn new(source: Playback, compression: bool) -> Self {
        Self {
            source,
            compression,
            volume: Cell::default(),
            rest: RefCell::default(),
            rate: Cell::default(),
            wire_rate: Cell::default(),
            resampler: RefCell::default(),
            stream: RefCell::default(),
            streams: Cell::new(0),
            bells: RefCell::default(),
        }
    }

    /// `bell` rings whenever there is something new, as long as somebody keeps it.
    pub(crate) fn listen(&self, bell: &Rc<Notify>) {
        self.bells.borrow_mut().push(Rc::downgrade(bell));
    }

    /// How loud.
    pub(crate) fn volume(&self) -> Volume {
        self.volume.get()
    }

    /// The stream that runs, if one does.
    pub(crate) fn stream(&self) -> Ref<'_, Option<Stream>> {
        self.stream.borrow()
    }

    /// Takes in what the source played.
    pub(crate) fn take_mail(&self, now: Millis) {
        let News { rate, samples, volume } = self.source.take();
        let changed = self.volume.replace(volume) != volume || self.rate.get() != rate || !samples.is_empty();
        if !changed {
            return;
        }
        let before = self.rate.replace(rate);
        if let Some(rate) = rate.filter(|_| rate != before) {
            self.end();
            self.begin(rate);
        }
        self.play(&samples, now);
        if rate.is_none() {
            self.end();
        }
        self.ring();
    }

    fn begin(&self, rate: u32) {
        let wire_rate = if self.compression { wire_rate(rate) } else { rate };
        self.wire_rate.set(wire_rate);
        self.resampler.replace(Resampler::new(rate, wire_rate).filter(|_| wire_rate != rate));
    }

    /// Cuts packets; without listeners the sound is dropped.
    fn play(&self, samples: &[u8], now: Millis) {
        self.bells.borrow_mut().retain(|bell| bell.strong_count() > 0);
        if self.bells.borrow().is_empty() {
            return self.end();
        }
        let mut rest = self.rest.borrow_mut();
        match &mut *self.resampler.borrow_mut() {
            None => rest.extend_from_slice(samples),
            Some(resampler) => {
                let samples =
                    samples.as_chunks().0.iter().map(|&[a, b, c, d]| [[a, b], [c, d]].map(i16::from_le_bytes));
                rest.extend(resampler.push(samples).into_iter().flat_map(i16::to_le_bytes));
            }
        }
        let rate = self.wire_rate.get();
        let size = bytes_of(rate, PACKET_MS).max(SAMPLE_BYTES);
        let whole = rest.len() - rest.len() % size;
        let packets: Vec<u8> = rest.drain(..whole).collect();
        for packet in packets.chunks(size) {
            self.push(rate, packet, now);
        }
    }

    fn push(&self, rate: u32, samples: &[u8], now: Millis) {
        let silent = samples.iter().all(|&byte| byte == 0);
        let mut stream = self.stream.borrow_mut();
        if stream.is_none() && !silent {
            self.streams.set(self.streams.get() + 1);
            *stream = Some(Stream::new(self.streams.get(), rate, self.compression, now));
        }
        if let Some(running) = stream.as_mut() {
            running.quiet = if silent { running.quiet + 1 } else { 0 };
            if running.quiet > SILENCE {
                *stream = None;
            } else {
                running.push(samples, now);
            }
        }
    }

    fn end(&self) {
        self.rest.borrow_mut().clear();
        *self.stream.borrow_mut() = None;
    }

    fn ring(&self) {
        self.bells.borrow().iter().filter_map(Weak::upgrade).for_each(|bell| bell.notify_one());
    }
}

impl Stream {
    fn new(number: u64, rate: u32, compression: bool, now: Millis) -> Self {
        let encoder = if compression { opus::Encoder::new(rate) } else { None };
        let time = now.mm_time();
        Self { number, rate, packets: VecDeque::with_capacity(KEPT), next: 0, time, quiet: 0, encoder }
    }

    /// Whether its packets are there as Opus.
    pub(crate) fn has_opus(&self) -> bool {
        self.encoder.is_some()
    }

    /// Number and time of the packet that a listener gets first: who comes when it has begun gets
    /// the newest, because what it gets at once it would be late by ever after.
    pub(crate) fn begin(&self, was_there: bool) -> (u64, u32) {
        let first = if was_there { self.packets.front() } else { self.packets.back() };
        first.map_or((self.next, self.time), |packet| (packet.number, packet.time))
    }

    /// The first packet from `number` on; older ones are lost.
    pub(crate) fn packet(&self, number: u64) -> Option<&Packet> {
        self.packets.iter().find(|packet| packet.number >= number)
    }

    fn push(&mut self, samples: &[u8], now: Millis) {
        // Never back: clients take that for a fault.
        let ahead = self.time.wrapping_sub(now.mm_time()).cast_signed();
        if ahead < -DRIFT_MS {
            self.time = now.mm_time();
        }
        if self.packets.len() == KEPT {
            self.packets.pop_front();
        }
        let opus = self.encoder.as_mut().and_then(|encoder| encoder.encode(samples));
        let raw = Bytes::copy_from_slice(samples);
        self.packets.push_back(Packet { number: self.next, time: self.time, raw, opus });
        self.next += 1;
        if ahead <= DRIFT_MS {
            self.time = self.time.wrapping_add(PACKET_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1920;

    fn started(compression: bool) -> (Playback, PlaybackHub, Rc<Notify>) {
        let source = Playback::default();
        source.start(48_000).unwrap();
        let hub = PlaybackHub::new(source.clone(), compression);
        let bell = Rc::new(Notify::new());
        hub.listen(&bell);
        (source, hub, bell)
    }

    fn numbers(hub: &PlaybackHub) -> Vec<u64> {
        hub.stream().as_ref().map_or(Vec::new(), |s| s.packets.iter().map(|p| p.number).collect())
    }

    #[test]
    fn packets_have_10_ms_and_times_that_follow_the_clock() {
        let (source, hub, _bell) = started(false);
        source.write(&[1; PACKET * 2 + 400]);
        hub.take_mail(Millis(1000));
        source.write(&[1; PACKET - 400]);
        hub.take_mail(Millis(1010));
        {
            let stream = hub.stream();
            let stream = stream.as_ref().unwrap();
            let times: Vec<_> = stream.packets.iter().map(|p| (p.time, p.raw.len(), p.opus.is_some())).collect();
            assert_eq!(times, [(1000, PACKET, false), (1010, PACKET, false), (1020, PACKET, false)]);
            assert_eq!((stream.rate, stream.begin(false), stream.begin(true)), (48_000, (2, 1020), (0, 1000)));
        }
        source.write(&[1; PACKET]);
        hub.take_mail(Millis(5000));
        assert_eq!(hub.stream().as_ref().unwrap().begin(false), (3, 5000), "set anew after a pause");
    }

    #[test]
    fn late_listeners_lose_the_oldest() {
        let (source, hub, _bell) = started(false);
        for n in 0..50 {
            source.write(&[1; PACKET]);
            hub.take_mail(Millis(n * 10));
        }
        assert_eq!(numbers(&hub), (30..50).collect::<Vec<_>>());
        let stream = hub.stream();
        let stream = stream.as_ref().unwrap();
        assert_eq!(stream.packet(3).unwrap().number, 30);
        assert_eq!(stream.packet(49).unwrap().number, 49);
        assert!(stream.packet(50).is_none());
    }

    #[test]
    fn a_stop_and_another_rate_end_the_stream() {
        let (source, hub, _bell) = started(false);
        source.write(&[1; PACKET]);
        hub.take_mail(Millis(0));
        let first = hub.stream().as_ref().unwrap().number;
        source.stop();
        hub.take_mail(Millis(10));
        assert!(hub.stream().is_none());
        source.start(44_100).unwrap();
        hub.take_mail(Millis(20));
        assert!(hub.stream().is_none(), "nothing is to be heard yet");
        source.write(&[1; 441 * 4]);
        hub.take_mail(Millis(30));
        let stream = hub.stream();
        let stream = stream.as_ref().unwrap();
        assert!((stream.rate, stream.has_opus()) == (44_100, false) && stream.number != first);
    }

    #[test]
    fn rates_that_opus_does_not_have_are_brought_to_one() {
        if !opus::is_there() {
            println!("SKIPPED: rates_that_opus_does_not_have_are_brought_to_one: no libopus");
            return;
        }
        let (source, hub, _bell) = started(true);
        source.start(44_100).unwrap();
        for n in 0..20 {
            source.write(&[1; 441 * 4]);
            hub.take_mail(Millis(n * 10));
        }
        let stream = hub.stream();
        let stream = stream.as_ref().unwrap();
        assert!((stream.rate, stream.has_opus()) == (48_000, true));
        let newest = stream.packets.back().unwrap();
        assert!(newest.number >= 18 && newest.raw.len() == PACKET && newest.opus.is_some());
    }

    #[test]
    fn silence_stops_the_stream_and_sound_starts_another() {
        let (source, hub, _bell) = started(false);
        let play = |byte, packets: u32| {
            for n in 0..packets {
                source.write(&[byte; PACKET]);
                hub.take_mail(Millis(u64::from(n) * 10));
            }
        };
        play(0, 3);
        assert!(hub.stream().is_none());
        play(1, 1);
        play(0, SILENCE);
        assert!(hub.stream().is_some(), "a pause");
        play(0, 1);
        assert!(hub.stream().is_none());
        play(1, 1);
        assert_eq!(hub.stream().as_ref().unwrap().number, 2);
    }

    #[test]
    fn nothing_is_kept_or_coded_for_nobody() {
        let (source, hub, bell) = started(true);
        drop(bell);
        source.write(&[1; PACKET]);
        hub.take_mail(Millis(0));
        assert!(hub.stream().is_none() && hub.rest.borrow().is_empty());
    }

    #[tokio::test]
    async fn volume_rings_the_listeners() {
        let (source, hub, bell) = started(false);
        hub.take_mail(Millis(0));
        bell.notified().await;
        let volume = Volume { left: 1, right: 2, muted: true };
        source.set_volume(volume);
        hub.take_mail(Millis(0));
        bell.notified().await;
        assert_eq!(hub.volume(), volume);
    }
}
