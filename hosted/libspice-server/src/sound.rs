//! Sound: [`Playback`] and [`Record`] instances on the server's streams, of which there is one each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sumac::sound::Volume;

use crate::server::lock;

/// Frames of both channels in a buffer: 10 ms at 48 kHz.
const FRAMES: usize = 480;
/// Buffers that the application can have at once.
const BUFFERS: usize = 3;
/// Frames a second that cost least: those of Opus.
pub(crate) const BEST_RATE: u32 = 48_000;
/// Frames a second of an application that names none: SPICE_INTERFACE_PLAYBACK_FREQ.
const FIRST_RATE: u32 = 44_100;

/// Sound to the viewers.
pub(crate) struct Playback {
    stream: sumac::sound::Playback,
    rate: AtomicU32,
    runs: AtomicBool,
    volume: Mutex<Volume>,
    buffers: [Buffer; BUFFERS],
}

/// Room that the application fills.
struct Buffer {
    frames: Box<[AtomicU32]>,
    lent: AtomicBool,
}

impl Buffer {
    /// Where the application writes; atomic cells may change behind a shared reference.
    fn room(&self) -> *mut u32 {
        self.frames.as_ptr().cast_mut().cast()
    }
}

impl Playback {
    pub(crate) fn new(stream: sumac::sound::Playback) -> Self {
        let buffer =
            || Buffer { frames: (0..FRAMES).map(|_| AtomicU32::new(0)).collect(), lent: AtomicBool::new(false) };
        Self {
            stream,
            rate: AtomicU32::new(FIRST_RATE),
            runs: AtomicBool::new(false),
            volume: Mutex::default(),
            buffers: std::array::from_fn(|_| buffer()),
        }
    }

    pub(crate) fn set_rate(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    pub(crate) fn start(&self) {
        match self.stream.start(self.rate.load(Ordering::Relaxed)) {
            Ok(()) => self.runs.store(true, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "no sound"),
        }
    }

    pub(crate) fn stop(&self) {
        self.runs.store(false, Ordering::Relaxed);
        self.stream.stop();
    }

    /// Room for some frames; `None` while the stream does not run or all room is lent.
    pub(crate) fn buffer(&self) -> Option<(*mut u32, u32)> {
        if !self.runs.load(Ordering::Relaxed) {
            return None;
        }
        let free = self.buffers.iter().find(|buffer| !buffer.lent.swap(true, Ordering::Relaxed))?;
        Some((free.room(), u32::try_from(FRAMES).unwrap_or(0)))
    }

    /// Plays what the application wrote into such room.
    pub(crate) fn play(&self, room: *mut u32) {
        let Some(buffer) = self.buffers.iter().find(|buffer| buffer.room() == room) else { return };
        let samples: Vec<u8> =
            buffer.frames.iter().flat_map(|frame| frame.load(Ordering::Relaxed).to_ne_bytes()).collect();
        buffer.lent.store(false, Ordering::Relaxed);
        self.stream.write(&samples);
    }

    pub(crate) fn set_volume(&self, channels: &[u16]) {
        self.stream.set_volume(with_channels(&self.volume, channels));
    }

    pub(crate) fn set_mute(&self, muted: bool) {
        self.stream.set_volume(with_mute(&self.volume, muted));
    }
}

/// Sound from a viewer.
pub(crate) struct Record {
    stream: sumac::sound::Record,
    rate: AtomicU32,
    volume: Mutex<Volume>,
}

impl Record {
    pub(crate) fn new(stream: sumac::sound::Record) -> Self {
        Self { stream, rate: AtomicU32::new(FIRST_RATE), volume: Mutex::default() }
    }

    pub(crate) fn set_rate(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    pub(crate) fn start(&self) {
        if let Err(error) = self.stream.start(self.rate.load(Ordering::Relaxed)) {
            tracing::warn!(%error, "no sound");
        }
    }

    pub(crate) fn stop(&self) {
        self.stream.stop();
    }

    /// At most so many frames that were recorded.
    pub(crate) fn frames(&self, most: u32) -> Vec<u32> {
        // More than is ever kept, so that no application makes this allocate much.
        let most = usize::try_from(most).unwrap_or(0).min(BEST_RATE as usize * 4);
        let mut bytes = vec![0; most * size_of::<u32>()];
        let len = self.stream.read(&mut bytes);
        let frames = bytes.get(..len).unwrap_or_default().chunks_exact(size_of::<u32>());
        frames.map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    pub(crate) fn set_volume(&self, channels: &[u16]) {
        self.stream.set_volume(with_channels(&self.volume, channels));
    }

    pub(crate) fn set_mute(&self, muted: bool) {
        self.stream.set_volume(with_mute(&self.volume, muted));
    }
}

/// One channel's volume is that of both.
fn with_channels(volume: &Mutex<Volume>, channels: &[u16]) -> Volume {
    let mut volume = lock(volume);
    if let Some(left) = channels.first() {
        (volume.left, volume.right) = (*left, *channels.get(1).unwrap_or(left));
    }
    *volume
}

fn with_mute(volume: &Mutex<Volume>, muted: bool) -> Volume {
    let mut volume = lock(volume);
    volume.muted = muted;
    *volume
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_while_the_stream_runs_and_not_more_than_so_much() {
        let playback = Playback::new(sumac::sound::Playback::default());
        assert_eq!(playback.buffer(), None, "stopped");
        playback.set_rate(BEST_RATE);
        playback.start();
        let rooms: Vec<_> = (0..BUFFERS).map(|_| playback.buffer().unwrap().0).collect();
        assert!(rooms[0] != rooms[1] && rooms[1] != rooms[2] && playback.buffer().is_none());
        playback.play(rooms[1]);
        assert_eq!(playback.buffer(), Some((rooms[1], 480)));
        playback.play(std::ptr::null_mut());
        playback.stop();
        playback.play(rooms[0]);
        assert_eq!(playback.buffer(), None);
    }

    #[test]
    fn one_channel_s_volume_is_that_of_both() {
        let volume = Mutex::default();
        assert_eq!(with_channels(&volume, &[1, 2, 3]), Volume { left: 1, right: 2, muted: false });
        assert_eq!(with_mute(&volume, true), Volume { left: 1, right: 2, muted: true });
        assert_eq!(with_channels(&volume, &[7]), Volume { left: 7, right: 7, muted: true });
        assert_eq!(with_channels(&volume, &[]), Volume { left: 7, right: 7, muted: true });
    }
}
