//! Sound of QEMU's `-audiodev dbus`, both directions: [`Speaker`] and [`Microphone`].
//!
//! QEMU calls with each piece that the guest plays, and asks for each piece that it records; it
//! waits for the answer, which is what there is. Of several voices the one that was enabled last is
//! heard. Where no viewer records, the guest hears silence at the speed of sound.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use zbus::message::Flags;
use zbus::wire::Fd;
use zbus::{Connection, Message};

use super::calls::{Call, Calls};
use super::interfaces::{AUDIO, BUS_NAME};
use super::samples::SampleFormat;
use crate::sound::{Playback, Record, Sound, Volume};

/// The name that we have where no bus gives one.
const SENDER: &str = ":1.1";
const OUT: &str = "org.qemu.Display1.AudioOutListener";
const IN: &str = "org.qemu.Display1.AudioInListener";
/// How long a viewer may be silent before the guest is given silence.
const PATIENCE: Duration = Duration::from_millis(100);
/// Voices at once, of all devices.
const MAX_VOICES: usize = 64;
/// The largest piece that is read at once, in bytes.
const MOST: u64 = 1 << 20;

/// The arguments of Init: the voice, bits, signed, float, samples a second, channels, bytes of a
/// frame and of a second, big-endian.
type Init = (u64, u8, bool, bool, u32, u8, u32, u32, bool);

/// What the guest plays.
pub(super) struct Speaker {
    calls: Calls,
    playback: Playback,
    voices: HashMap<u64, SampleFormat>,
    /// The voice that is heard.
    heard: Option<u64>,
}

/// What the guest records.
pub(super) struct Microphone {
    calls: Calls,
    record: Record,
    voices: HashMap<u64, SampleFormat>,
    /// The voice that listens, and until when it was given sound.
    listens: Option<(u64, Instant)>,
}

impl Speaker {
    /// Takes part in the sound that this QEMU plays.
    pub(super) async fn register(connection: &Connection, path: &str, sound: &Sound) -> anyhow::Result<Self> {
        let calls = register(connection, path, "RegisterOutListener").await?;
        Ok(Self { calls, playback: sound.playback().clone(), voices: HashMap::new(), heard: None })
    }

    /// Takes QEMU's calls until it closes the connection.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        while let Some(call) = self.calls.next().await? {
            done(&call, self.take(&call)).await?;
        }
        Ok(())
    }

    /// Does what a call says; whether there is such a method.
    fn take(&mut self, call: &Call) -> anyhow::Result<bool> {
        let body = call.message().body();
        let (interface, member) = call.name();
        match (interface.as_str(), member.as_str()) {
            (OUT, "Write") => {
                let (voice, samples): (u64, &[u8]) = body.deserialize()?;
                if let Some(format) = self.voices.get(&voice).filter(|_| self.heard == Some(voice)) {
                    self.playback.write(&format.to_stereo(samples));
                }
            }
            (OUT, "Init") => drop(init(&mut self.voices, body.deserialize()?)?),
            (OUT, "SetEnabled") => {
                let (voice, enabled): (u64, bool) = body.deserialize()?;
                if enabled {
                    self.playback.start(format_of(&self.voices, voice)?.rate)?;
                    self.heard = Some(voice);
                } else {
                    self.silence(voice);
                }
            }
            (OUT, "SetVolume") => {
                let (_, volume) = volume(body.deserialize()?);
                self.playback.set_volume(volume);
            }
            (OUT, "Fini") => {
                let voice: u64 = body.deserialize()?;
                self.silence(voice);
                self.voices.remove(&voice);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn silence(&mut self, voice: u64) {
        if self.heard == Some(voice) {
            self.heard = None;
            self.playback.stop();
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.playback.stop();
    }
}

impl Microphone {
    /// Takes part in the sound that this QEMU records.
    pub(super) async fn register(connection: &Connection, path: &str, sound: &Sound) -> anyhow::Result<Self> {
        let calls = register(connection, path, "RegisterInListener").await?;
        Ok(Self { calls, record: sound.record().clone(), voices: HashMap::new(), listens: None })
    }

    /// Takes QEMU's calls until it closes the connection.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        while let Some(call) = self.calls.next().await? {
            if call.name() == (IN.to_owned(), "Read".to_owned()) {
                let samples = call.message().body().deserialize().map_err(anyhow::Error::from);
                match samples.map(|(voice, size)| self.read(voice, size)) {
                    Ok(samples) => call.answer(&samples).await?,
                    Err(error) => call.refuse(&error).await?,
                }
                continue;
            }
            done(&call, self.take(&call)).await?;
        }
        Ok(())
    }

    /// Does what a call says; whether there is such a method.
    fn take(&mut self, call: &Call) -> anyhow::Result<bool> {
        let body = call.message().body();
        let (interface, member) = call.name();
        match (interface.as_str(), member.as_str()) {
            (IN, "Init") => drop(init(&mut self.voices, body.deserialize()?)?),
            (IN, "SetEnabled") => {
                let (voice, enabled): (u64, bool) = body.deserialize()?;
                if enabled {
                    self.record.start(format_of(&self.voices, voice)?.rate)?;
                    self.listens = Some((voice, Instant::now()));
                } else {
                    self.stop(voice);
                }
            }
            (IN, "SetVolume") => {
                let (_, volume) = volume(body.deserialize()?);
                self.record.set_volume(volume);
            }
            (IN, "Fini") => {
                let voice: u64 = body.deserialize()?;
                self.stop(voice);
                self.voices.remove(&voice);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// At most `size` bytes for the voice: what a viewer said, or silence when none says anything.
    fn read(&mut self, voice: u64, size: u64) -> Vec<u8> {
        let (Some(format), Some((listens, given))) = (self.voices.get(&voice), &mut self.listens) else {
            return Vec::new();
        };
        if *listens != voice {
            return Vec::new();
        }
        let frames = usize::try_from(size.min(MOST)).unwrap_or(0) / format.frame();
        let mut stereo = vec![0; frames * 4];
        let len = self.record.read(&mut stereo);
        let now = Instant::now();
        if len > 0 {
            *given = now;
            return format.of_stereo(&stereo[..len]);
        }
        let silent = now.saturating_duration_since(*given + PATIENCE);
        let silent = (silent.as_secs_f64() * f64::from(format.rate)) as usize;
        let silent = silent.min(frames);
        *given += Duration::from_secs_f64(silent as f64 / f64::from(format.rate.max(1)));
        format.of_stereo(&stereo[..silent * 4])
    }

    fn stop(&mut self, voice: u64) {
        if self.listens.is_some_and(|(listens, _)| listens == voice) {
            self.listens = None;
            self.record.stop();
        }
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.record.stop();
    }
}

/// Gives QEMU a socket for its calls. QEMU 7.2 looks up the caller by the sender of the call and
/// breaks down without one, so there is one also where no bus gives names; that QEMU speaks on the
/// socket is answer enough.
async fn register(connection: &Connection, path: &str, method: &str) -> anyhow::Result<Calls> {
    let call = async |socket: Fd<'_>| {
        let sender = connection.unique_name().map_or(SENDER, |name| name.as_str());
        let call = Message::method_call(path, method).interface(AUDIO).destination(BUS_NAME);
        connection.send(&call.sender(sender).with_flags(Flags::NO_REPLY_EXPECTED).build(&socket)?).await
    };
    Calls::on_socket(&[], call).await.context(method.to_owned())
}

/// Answers a call by what it came to: whether there is such a method, or what is wrong.
async fn done(call: &Call, taken: anyhow::Result<bool>) -> zbus::Result<()> {
    match taken {
        Ok(true) => call.answer(&()).await,
        Ok(false) if call.answer_question(&[]).await? => Ok(()),
        Ok(false) => call.is_unknown().await,
        Err(error) => call.refuse(&error).await,
    }
}

/// A new voice.
fn init(voices: &mut HashMap<u64, SampleFormat>, init: Init) -> anyhow::Result<SampleFormat> {
    let (voice, bits, signed, float, rate, channels, _, _, big_endian) = init;
    let format = SampleFormat::new(bits, signed, float, rate, channels, big_endian);
    let format = format.with_context(|| format!("sound of {bits} bits in {channels} channels"))?;
    anyhow::ensure!(voices.len() < MAX_VOICES || voices.contains_key(&voice), "more than {MAX_VOICES} voices");
    voices.insert(voice, format);
    Ok(format)
}

fn format_of(voices: &HashMap<u64, SampleFormat>, voice: u64) -> anyhow::Result<SampleFormat> {
    voices.get(&voice).copied().with_context(|| format!("voice {voice} was not made known"))
}

/// A voice and how loud it is: a byte for each channel.
fn volume((voice, muted, levels): (u64, bool, &[u8])) -> (u64, Volume) {
    let level = |at: usize| levels.get(at).or(levels.first()).map_or(u16::MAX, |&level| u16::from(level) * 257);
    (voice, Volume { left: level(0), right: level(1), muted })
}
