//! [`Config`]: everything that an operator decides, in one place, with defaults that are safe.
//!
//! It can be filled in by hand (an embedding program), from QEMU's option string
//! ([`apply_spice_options`]) or from the command line of the binary.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use listen::{DEFAULT_ADDR, DEFAULT_PORT, Family, InheritedSocket, Listen, UnixAddress};
pub use qemu::{QemuAddress, QemuDisplay};
pub use sasl::{Sasl, SaslMechanism};
pub use spice_option::{OptionError, apply_spice_options};
pub use sumac_backends::registry::EncoderName;
pub use sumac_core::link::{Policy, Security};
pub use tls::{ChannelWord, KeyPassword, Tls, channel_policy};
pub(crate) use tls::{allows_clear, channel_name, secure_channels};
pub use words::{
    DmabufMemory, ImageCompression, Name, StreamingVideo, Uuid, ValueError, VideoCodec, VideoCodecs, WanCompression,
    parse_encoder, parse_size,
};

use crate::auth::Password;
use crate::source::Size;

mod listen;
mod qemu;
mod sasl;
mod spice_option;
mod sys;
mod tls;
mod words;

/// What a server is and does. `Config::default()` serves the built-in desktop to this machine only,
/// with a password made up for the run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect. Default: 127.0.0.1, port 5900.
    pub listen: Listen,
    /// The server's certificate; with one, TLS is spoken on every port. Default: none.
    pub tls: Tls,
    /// Which channels may be linked in clear, and which over TLS; see [`channel_policy`]. Default: all
    /// in both ways.
    pub channel_security: Vec<(ChannelWord, Security)>,
    /// A folder of files for browsers, sent to those who ask a port for one. Default: none.
    pub web_root: Option<PathBuf>,
    /// What a client must know. Default: a random password.
    pub ticketing: Ticketing,
    /// Whether viewers prove who they are with SASL instead of a ticket. Default: no.
    pub sasl: Sasl,
    /// Whether wrong tickets slow down their sender's next new sessions. Default: yes.
    pub auth_rate: bool,
    /// Whether a new session ends the others, as in libspice-server. Default: no, all stay.
    pub exclusive: bool,
    /// The file for `remote-viewer FILE`, with the password in it (mode 0600); `None` writes none.
    /// Default: `sumac.vv` in the working directory.
    pub vv: Option<PathBuf>,
    /// The name of the desktop, shown in the title of the viewer's window. Default: the source's, if
    /// it has one, else `Sumac`.
    pub name: Option<Name>,
    /// The identity of the desktop that viewers are told. Default: the source's, if it has one.
    pub uuid: Option<Uuid>,
    /// Where the pictures come from. Default: the built-in desktop.
    pub source: SourceChoice,
    /// Size of the first picture in pixels; 1 to 8192 each way. Default: 1280x720.
    pub size: Size,
    /// Whether all animations stand still. Default: no.
    pub freeze: bool,
    /// A PNG file that gets what the source shows: the first picture before the server is ready, the
    /// current one at exit and on SIGUSR1. Default: none.
    pub write_ref: Option<PathBuf>,
    /// How still pictures are compressed. Default: automatic.
    pub image_compression: ImageCompression,
    /// When pictures that look natural are sent as JPEG first, and exactly when they rest.
    pub jpeg_wan_compression: WanCompression,
    /// When GLZ pictures are deflated.
    pub zlib_glz_wan_compression: WanCompression,
    /// Which regions of a picture in memory become video streams. Default: those that look like video.
    /// A scanout is one stream in any case.
    pub streaming_video: StreamingVideo,
    /// Codecs for those, the most wanted first. Default: all.
    pub video_codecs: VideoCodecs,
    /// Which backends may encode a codec, the most wanted first; a codec that is not named here may
    /// be encoded by any. Default: none is named.
    pub encoders: Vec<EncoderName>,
    /// The only graphics device to encode on, as its render node. Default: any.
    pub rendernode: Option<PathBuf>,
    /// Whether sound is sent as Opus to viewers that can. Default: yes.
    pub playback_compression: bool,
    /// Whether what is copied goes between viewers and the guest. Default: yes.
    pub copy_paste: bool,
    /// Whether viewers may send files to a guest's own agent. Default: yes.
    pub file_transfer: bool,
    /// What is to be heard without a machine behind the server. Default: nothing.
    pub sound_check: Option<SoundCheck>,
    /// Names of ports that send back what they get. Default: none.
    pub echo_ports: Vec<String>,
    /// Whether what a viewer copies is offered back to all. Default: no.
    pub echo_clipboard: bool,
    /// Whether the source, one of those built in, shows its pictures as scanouts in dmabufs, and of
    /// what kind. Default: no.
    pub dmabuf: Option<DmabufMemory>,
    /// The UNIX socket for the operator's programs; see [`control`](crate::control). Default: none.
    pub control: Option<PathBuf>,
    /// Where figures are served over HTTP, as Prometheus reads them; port 0 lets the system choose.
    /// Whoever reaches it reads them. Default: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Whether a line of figures is printed every second. Default: no.
    pub stats: bool,
    /// Whether the whole process gives up, for good, what a server that is open does not need: most of the
    /// file system, TCP connections to others, new processes, most system calls. For a process that does
    /// nothing else; the binary's own default is yes. Default: no.
    pub sandbox: bool,
    /// How processes are started in which encoders work, so that what goes wrong in a codec's library ends
    /// one of those. Default: none, encoders work in this process.
    pub helper: Option<Helper>,
}

/// This program, started once more for encoders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its arguments; one more follows them, with which the program is to call [`crate::helper::run`].
    pub arguments: Vec<OsString>,
    /// Whether devices are used by such processes, too, and not only the libraries that encode in software.
    pub hardware: bool,
}

/// What is to be heard for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCheck {
    /// A tone of 500 Hz.
    Tone,
    /// What a viewer records.
    Echo,
}

/// What a client must know to get in.
#[derive(Clone, Debug)]
pub enum Ticketing {
    /// Nothing: whoever reaches the port is in.
    Disabled,
    /// A random password, made at start and shown to the user.
    Generated,
    /// This password.
    Password(Password),
    /// The password in the first line of this file, read at start.
    File(PathBuf),
}

/// Where the pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChoice {
    /// A desktop drawn by the program.
    TestDesktop,
    /// Raw pictures from a file.
    Frames(Frames),
    /// A virtual machine's consoles.
    Qemu(QemuDisplay),
}

/// A file of raw pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// BGRX pictures one after another, each `width * height * 4` bytes.
    pub file: PathBuf,
    /// Pictures a second; 1 to 1000.
    pub rate: u32,
    /// Whether number and time are written into the corner of each picture.
    pub stamp: bool,
}

impl Frames {
    /// Pictures a second unless told otherwise.
    pub const DEFAULT_RATE: u32 = 30;
    /// The most pictures a second.
    pub const MAX_RATE: u32 = 1000;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            tls: Tls::default(),
            channel_security: Vec::new(),
            web_root: None,
            ticketing: Ticketing::Generated,
            sasl: Sasl::default(),
            auth_rate: true,
            exclusive: false,
            vv: Some("sumac.vv".into()),
            name: None,
            uuid: None,
            source: SourceChoice::TestDesktop,
            size: Size { width: 1280, height: 720 },
            freeze: false,
            write_ref: None,
            image_compression: ImageCompression::AutoGlz,
            jpeg_wan_compression: WanCompression::Auto,
            zlib_glz_wan_compression: WanCompression::Auto,
            streaming_video: StreamingVideo::Filter,
            video_codecs: VideoCodecs::default(),
            encoders: Vec::new(),
            rendernode: None,
            playback_compression: true,
            copy_paste: true,
            file_transfer: true,
            sound_check: None,
            echo_clipboard: false,
            echo_ports: Vec::new(),
            dmabuf: None,
            control: None,
            metrics: None,
            stats: false,
            sandbox: false,
            helper: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_safe() {
        let config = Config::default();
        assert_eq!((config.listen.addr.as_str(), config.listen.tcp_port()), ("127.0.0.1", Some(5900)));
        assert!(matches!(config.ticketing, Ticketing::Generated));
        assert!(config.auth_rate);
    }
}
