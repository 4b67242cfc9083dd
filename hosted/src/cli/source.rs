//! `What they see`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use sumac::config::{
    Config, DmabufMemory, Frames, QemuAddress, QemuDisplay, SoundCheck, SourceChoice, ValueError, parse_size,
};
use sumac::source::Size;

#[derive(Args)]
#[command(next_help_heading = "What they see")]
pub(super) struct SourceArgs {
    /// Where the pictures come from: test-desktop, frames [default: test-desktop].
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceWord>,
    /// Size of the picture [default: 1280x720].
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    size: Option<Size>,
    /// Stop all motion.
    #[arg(long)]
    freeze: bool,
    /// File of raw BGRX pictures, for --source frames.
    #[arg(long, value_name = "FILE")]
    frames: Option<PathBuf>,
    /// Pictures a second from that file, 1 to 1000 [default: 30].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Frames::MAX_RATE)))]
    rate: Option<u32>,
    /// Something to hear: a tone, or an echo of the viewer's microphone [default: nothing].
    #[arg(long, value_name = "tone|echo", value_parser = sound_check)]
    sound_check: Option<SoundCheck>,
    /// A port of this name that sends back what it gets; may be said several times.
    #[arg(long, value_name = "NAME", value_parser = port_name)]
    echo_port: Vec<String>,
    /// Offer what a viewer copies back to all viewers.
    #[arg(long)]
    echo_clipboard: bool,
    /// Write number and time into a corner of each of these pictures.
    #[arg(long)]
    stamp: bool,
    /// Show a QEMU that runs with -display dbus, on a bus or on this socket.
    #[arg(long, value_name = "ADDRESS|session|p2p:FD", conflicts_with_all = ["source", "frames", "size", "dmabuf"])]
    qemu_dbus: Option<QemuAddress>,
    /// Its consoles to show, as displays 0, 1, ... [default: all graphical ones].
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1..)]
    console: Vec<u32>,
    /// Show the pictures as scanouts in dmabufs: udmabuf, dma-heap; memfd is for tests only, no
    /// client can import it [default without a value: what the kernel has, else memfds that go to
    /// encoders only].
    #[arg(long, value_name = "MEMORY", num_args = 0..=1, require_equals = true, default_missing_value = "any")]
    dmabuf: Option<DmabufMemory>,
}

/// The words of `--source`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceWord {
    TestDesktop,
    Frames,
}

impl SourceArgs {
    pub(super) fn apply(self, config: &mut Config) -> Result<(), String> {
        config.size = self.size.unwrap_or(config.size);
        config.freeze = self.freeze;
        config.dmabuf = self.dmabuf;
        config.sound_check = self.sound_check;
        config.echo_ports = self.echo_port;
        config.echo_clipboard = self.echo_clipboard;
        if let Some(address) = self.qemu_dbus {
            config.source = SourceChoice::Qemu(QemuDisplay { address, consoles: self.console });
            return Ok(());
        }
        if !self.console.is_empty() {
            return Err("--console needs --qemu-dbus".into());
        }
        config.source = match (self.source, self.frames) {
            (Some(SourceWord::Frames), None) => return Err("--source frames needs --frames FILE".into()),
            (Some(SourceWord::TestDesktop), Some(_)) => return Err("--frames needs --source frames".into()),
            (_, Some(file)) => {
                let rate = self.rate.unwrap_or(Frames::DEFAULT_RATE);
                SourceChoice::Frames(Frames { file, rate, stamp: self.stamp })
            }
            (_, None) if self.rate.is_some() => return Err("--rate needs --source frames".into()),
            (_, None) if self.stamp => return Err("--stamp needs --source frames".into()),
            (_, None) => SourceChoice::TestDesktop,
        };
        Ok(())
    }
}

impl FromStr for SourceWord {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "test-desktop" => Ok(Self::TestDesktop),
            "frames" => Ok(Self::Frames),
            _ => Err(ValueError::Invalid { value: text.into(), expected: "one of test-desktop, frames".into() }),
        }
    }
}

fn sound_check(text: &str) -> Result<SoundCheck, ValueError> {
    match text {
        "tone" => Ok(SoundCheck::Tone),
        "echo" => Ok(SoundCheck::Echo),
        _ => Err(ValueError::Invalid { value: text.into(), expected: "tone or echo".into() }),
    }
}

/// Clients take a port's name for text that ends with a zero byte.
fn port_name(text: &str) -> Result<String, ValueError> {
    let fits = (1..=128).contains(&text.len()) && !text.contains(char::is_control);
    let expected = "a name of 1 to 128 bytes without control characters";
    fits.then(|| text.into()).ok_or_else(|| ValueError::Invalid { value: text.into(), expected: expected.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{assert_error, config, error};

    #[test]
    fn what_they_see() {
        let frames = |rate, stamp| SourceChoice::Frames(Frames { file: "f".into(), rate, stamp });
        assert_eq!(config("sumac --frames f").source, frames(30, false));
        assert_eq!(config("sumac --source frames --frames f --rate 1 --stamp").source, frames(1, true));
        assert_eq!(config("sumac --frames f --rate 1000").source, frames(1000, false));
        assert_eq!(config("sumac --source test-desktop --freeze").source, SourceChoice::TestDesktop);
        let qemu = |consoles| SourceChoice::Qemu(QemuDisplay { address: QemuAddress::Session, consoles });
        assert_eq!(config("sumac --qemu-dbus session").source, qemu(vec![]));
        assert_eq!(config("sumac --qemu-dbus session --console 1 0 --console 2").source, qemu(vec![1, 0, 2]));
        assert_eq!(config("sumac --dmabuf --freeze").dmabuf, Some(DmabufMemory::Any));
        assert_eq!(config("sumac --dmabuf=memfd").dmabuf, Some(DmabufMemory::Memfd));
        assert_eq!(config("sumac --size 640x480").size, Size { width: 640, height: 480 });
    }

    #[test]
    fn sound_devices_and_what_passes() {
        let all = config("sumac --sound-check echo --echo-port a --echo-port b --echo-clipboard");
        assert_eq!((all.sound_check, all.echo_clipboard), (Some(SoundCheck::Echo), true));
        assert_eq!(all.echo_ports, ["a", "b"]);
        assert!(all.playback_compression && all.copy_paste && all.file_transfer);
        let none = config("sumac --playback-compression off --disable-copy-paste --disable-agent-file-xfer");
        assert!(!none.playback_compression && !none.copy_paste && !none.file_transfer);
        // The command line does not allow what the option string forbids.
        assert!(!config("sumac --spice disable-copy-paste=on").copy_paste);
        let line = error("sumac --sound-check noise");
        assert!(line.contains("'noise' is not tone or echo"), "{line}");
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac --size 0x0", "error: invalid value '0x0' for '--size <WxH>': '0x0' is not a size like 1280x720"),
            ("sumac --source frames", "error: --source frames needs --frames FILE"),
            ("sumac --source test-desktop --frames f", "error: --frames needs --source frames"),
            ("sumac --rate 30", "error: --rate needs --source frames"),
            ("sumac --console 0", "error: --console needs --qemu-dbus"),
            (
                "sumac --qemu-dbus x",
                "error: invalid value 'x' for '--qemu-dbus <ADDRESS|session|p2p:FD>': 'x' is not session",
            ),
            ("sumac --stamp", "error: --stamp needs --source frames"),
            ("sumac --frames f --rate 1001", "error: invalid value '1001' for '--rate <N>': 1001 is not in 1..=1000"),
            ("sumac --frames f --rate 0", "error: invalid value '0' for '--rate <N>': 0 is not in 1..=1000"),
            ("sumac --source x", "error: invalid value 'x' for '--source <SOURCE>': 'x' is not one of test-desktop"),
        ] {
            assert_error(line, expected);
        }
    }
}
