//! [`start`]: what a viewer's user can try without a machine behind the server: a tone, echoes of the
//! microphone and of the clipboard, ports that send back what they get.

use std::f64::consts::TAU;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};

use crate::agent::{ClipboardEvent, GuestClipboard};
use crate::config::{Config, SoundCheck};
use crate::devices::{Device, DeviceKind};
use crate::sound::{RateError, Sound};
use crate::source::Peripherals;

const RATE: u32 = 48_000;
/// Samples of one period of the tone, which has 500 Hz.
const PERIOD: u16 = 96;
/// Periods in 10 ms.
const PERIODS: usize = 5;
const STEP: Duration = Duration::from_millis(10);
/// A quarter of full scale.
const LOUDNESS: f64 = 8192.0;
/// Bytes that an echo has on its way.
const ECHO: usize = 64 * 1024;

/// Starts what the configuration asks for; it ends with the engine's tasks.
pub(super) fn start(config: &Config, peripherals: &Peripherals) -> Result<(), RateError> {
    let sound = peripherals.sound.clone();
    match config.sound_check {
        None => {}
        Some(SoundCheck::Tone) => {
            sound.playback().start(RATE)?;
            tokio::task::spawn_local(tone(sound));
        }
        Some(SoundCheck::Echo) => {
            sound.playback().start(RATE)?;
            sound.record().start(RATE)?;
            tokio::task::spawn_local(sound_echo(sound));
        }
    }
    for name in &config.echo_ports {
        tokio::task::spawn_local(port_echo(
            peripherals.devices.open(DeviceKind::of(name).unwrap_or(DeviceKind::Port), name),
        ));
    }
    if config.echo_clipboard {
        tokio::task::spawn_local(clipboard_echo(peripherals.clipboard.open()));
    }
    Ok(())
}

async fn tone(sound: Sound) {
    let samples = (0..PERIOD).map(|n| ((TAU * f64::from(n) / f64::from(PERIOD)).sin() * LOUDNESS).round() as i16);
    let step = samples.flat_map(|sample| [sample.to_le_bytes(); 2].concat()).collect::<Vec<u8>>().repeat(PERIODS);
    let mut clock = interval(STEP);
    loop {
        clock.tick().await;
        sound.playback().write(&step);
    }
}

async fn sound_echo(sound: Sound) {
    let mut clock = interval(STEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = vec![0; ECHO];
    loop {
        clock.tick().await;
        let len = sound.record().read(&mut samples);
        sound.playback().write(samples.get(..len).unwrap_or_default());
    }
}

async fn port_echo(device: Device) {
    device.set_opened(true);
    let mut buffer = vec![0; ECHO];
    loop {
        let viewer = device.state().viewer;
        let len = device.read(&mut buffer);
        let mut left = buffer.get(..len).unwrap_or_default();
        if left.is_empty() {
            device.changed().await;
        } else {
            // What the viewer before did not take is not for the one that comes.
            while !left.is_empty() && device.state().viewer == viewer {
                let taken = device.write(left);
                left = left.get(taken..).unwrap_or_default();
                if taken == 0 {
                    device.changed().await;
                }
            }
        }
    }
}

/// Fetches what a viewer copied as its first kind, and then has it itself.
async fn clipboard_echo(clipboard: GuestClipboard) {
    let mut content = Bytes::new();
    loop {
        match clipboard.next().await {
            ClipboardEvent::Grab(selection, kinds) => {
                let Some(&kind) = kinds.first() else { continue };
                if let Some(copied) = clipboard.request(selection, kind).await {
                    content = copied;
                    clipboard.grab(selection, &[kind]);
                }
            }
            ClipboardEvent::Request(request) => request.answer(content.clone()),
            ClipboardEvent::Release(_) => {}
        }
    }
}
