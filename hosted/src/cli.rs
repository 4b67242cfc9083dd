//! The command line of the binary, turned into what it asks for.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use sumac::config::{
    ChannelWord, Config, DmabufMemory, EncoderName, Frames, ImageCompression, KeyPassword, Name, QemuAddress,
    QemuDisplay, Security, SoundCheck, SourceChoice, StreamingVideo, Ticketing, Tls, UnixAddress, Uuid, ValueError,
    VideoCodecs, WanCompression, apply_spice_options, parse_encoder, parse_size,
};
use sumac::qemu::QemuCommand;
use sumac::source::Size;

/// A SPICE server.
///
/// Without a command it does what `serve` does.
#[derive(Parser)]
#[command(name = "sumac", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a desktop to SPICE clients such as remote-viewer.
    Serve(Box<Serve>),
    /// Start a QEMU, serve its consoles and end with it: sumac qemu [options] -- qemu-system-x86_64 ...
    Qemu(Box<QemuArgs>),
    /// Make a CA and a server certificate for --x509-dir, and say how to use them.
    Cert {
        /// The folder, which is made.
        dir: PathBuf,
        /// Host names and IP addresses by which viewers reach the server, the main one first.
        #[arg(value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,
    },
    /// Print what can be encoded here, per backend and device, or why not.
    Probe {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What the command line asks for.
pub(crate) enum Action {
    /// To serve.
    Serve(Box<Config>),
    /// To start a QEMU and serve its consoles.
    Qemu {
        /// The server.
        config: Box<Config>,
        /// The virtual machine.
        command: QemuCommand,
        /// The consoles' ids; none means all graphical ones.
        consoles: Vec<u32>,
    },
    /// To make certificates.
    Cert {
        /// Where.
        dir: PathBuf,
        /// For which hosts.
        names: Vec<String>,
    },
    /// To say what can be encoded here.
    Probe {
        /// For programs.
        json: bool,
    },
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Args)]
struct QemuArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The consoles to show, as displays 0, 1, ... [default: all graphical ones].
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1..)]
    console: Vec<u32>,
    /// QEMU's command line; Sumac adds -display dbus and a monitor.
    #[arg(last = true, value_name = "QEMU COMMAND")]
    command: Vec<OsString>,
}

#[derive(Args)]
struct ServerArgs {
    /// QEMU's option string, such as "port=5930,disable-ticketing=on"; the options below overrule it.
    #[arg(long, value_name = "WORDS")]
    spice: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Where clients connect")]
struct ListenArgs {
    /// Address or host name to listen on; "::" is every address of this machine [default: 127.0.0.1].
    #[arg(long, value_name = "ADDR")]
    addr: Option<String>,
    /// TCP port, 0 to let the system choose [default: 5900, unless there is a --unix].
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// TCP port for TLS only, 0 to let the system choose; --port takes TLS, too, when there is a
    /// certificate.
    #[arg(long, value_name = "N")]
    tls_port: Option<u16>,
    /// UNIX socket; a leading @ makes it abstract.
    #[arg(long, value_name = "PATH")]
    unix: Option<OsString>,
    /// Folder of files for browsers, such as /usr/share/spice-html5.
    #[arg(long, value_name = "DIR")]
    web_root: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "TLS")]
struct TlsArgs {
    /// Folder with server-cert.pem, server-key.pem and ca-cert.pem; `sumac cert DIR` makes one.
    /// SIGHUP reads them again.
    #[arg(long, value_name = "DIR")]
    x509_dir: Option<PathBuf>,
    /// The server's certificate, and those between it and its CA.
    #[arg(long, value_name = "FILE")]
    x509_cert_file: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE")]
    x509_key_file: Option<PathBuf>,
    /// The certificates of the CA.
    #[arg(long, value_name = "FILE")]
    x509_cacert_file: Option<PathBuf>,
    /// File with the password of an encrypted private key in its first line.
    #[arg(long, value_name = "FILE")]
    x509_key_password_file: Option<PathBuf>,
    /// Viewers over TLS must have a certificate of the CA, too; --tls-channel default keeps the
    /// others out.
    #[arg(long)]
    tls_verify_client: bool,
    /// Channel that may only be linked over TLS, such as inputs; default means all others.
    #[arg(long, value_name = "CHANNEL")]
    tls_channel: Vec<ChannelWord>,
    /// Channel that may only be linked in clear.
    #[arg(long, value_name = "CHANNEL")]
    plaintext_channel: Vec<ChannelWord>,
}

#[derive(Args)]
#[command(next_help_heading = "Who may connect")]
struct AccessArgs {
    /// File with the password in its first line [default: a random password is printed].
    #[arg(long, value_name = "FILE", conflicts_with = "disable_ticketing")]
    password_file: Option<PathBuf>,
    /// Let everybody in who reaches the port.
    #[arg(long)]
    disable_ticketing: bool,
    /// Whether wrong passwords slow their sender down [default: on].
    #[arg(long, value_name = "on|off", value_parser = on_off)]
    auth_rate: Option<bool>,
    /// Nothing that is copied goes between viewers and the guest.
    #[arg(long)]
    disable_copy_paste: bool,
    /// Viewers may not send files to the guest's agent.
    #[arg(long)]
    disable_agent_file_xfer: bool,
    /// A new viewer ends the sessions of the others.
    #[arg(long)]
    exclusive: bool,
    /// Connection file for remote-viewer, or "none" [default: sumac.vv].
    #[arg(long, value_name = "PATH|none")]
    vv: Option<PathBuf>,
    /// Name of the desktop in the viewer's title [default: Sumac].
    #[arg(long)]
    name: Option<Name>,
    /// UUID of the desktop.
    #[arg(long)]
    uuid: Option<Uuid>,
}

#[derive(Args)]
#[command(next_help_heading = "What they see")]
struct SourceArgs {
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

#[derive(Args)]
#[command(next_help_heading = "How it is sent")]
struct PictureArgs {
    /// off, auto_glz, auto_lz, quic, glz, lz, lz4 [default: auto_glz].
    #[arg(long, value_name = "WORD")]
    image_compression: Option<ImageCompression>,
    /// When pictures are sent as JPEG first, and exactly when they rest: auto, always, never
    /// [default: auto, on slow links].
    #[arg(long, value_name = "WORD")]
    jpeg_wan_compression: Option<WanCompression>,
    /// When GLZ pictures are deflated: auto, always, never [default: auto, on slow links].
    #[arg(long, value_name = "WORD")]
    zlib_glz_wan_compression: Option<WanCompression>,
    /// Which regions become video: off, all, filter [default: filter].
    #[arg(long, value_name = "WORD")]
    streaming_video: Option<StreamingVideo>,
    /// Codecs, the most wanted first: h264,mjpeg or gstreamer:h264;spice:mjpeg [default: all].
    #[arg(long, value_name = "LIST")]
    video_codecs: Option<VideoCodecs>,
    /// Which backends may encode a codec, such as vaapi:h264,software:mjpeg [default: any, devices first].
    #[arg(long, value_name = "BACKEND:CODEC,…", value_delimiter = ',', value_parser = parse_encoder)]
    encoder: Vec<EncoderName>,
    /// The only graphics device to encode on, such as /dev/dri/renderD128 [default: any].
    #[arg(long, value_name = "PATH")]
    rendernode: Option<PathBuf>,
    /// Whether sound is sent as Opus to viewers that can [default: on].
    #[arg(long, value_name = "on|off", value_parser = on_off)]
    playback_compression: Option<bool>,
}

#[derive(Args)]
#[command(next_help_heading = "What it prints")]
struct OutputArgs {
    /// Print a line of figures every second.
    #[arg(long)]
    stats: bool,
    /// Serve figures for Prometheus, and /healthz, over HTTP to whoever reaches this address; port 0 lets the
    /// system choose.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
    /// PNG file of what is shown: before "ready", on SIGUSR1 and at exit.
    #[arg(long, value_name = "FILE.png")]
    write_ref: Option<PathBuf>,
}

/// The words of `--source`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceWord {
    TestDesktop,
    Frames,
}

/// Reads the command line, program name first. The error knows how to print itself and which exit
/// status it means; asking for help is one, too.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, clap::Error> {
    let cli = Cli::try_parse_from(args)?;
    let action = match cli.command {
        Some(Command::Probe { json }) => return Ok(Action::Probe { json }),
        Some(Command::Cert { dir, names }) => return Ok(Action::Cert { dir, names }),
        Some(Command::Qemu(qemu)) => qemu.into_action(),
        Some(Command::Serve(serve)) => serve.into_action(),
        None => cli.serve.into_action(),
    };
    action.map_err(|message| Cli::command().error(ErrorKind::ValueValidation, message))
}

impl Serve {
    fn into_action(self) -> Result<Action, String> {
        let mut config = self.server.into_config()?;
        self.source.apply(&mut config)?;
        Ok(Action::Serve(Box::new(config)))
    }
}

impl QemuArgs {
    fn into_action(self) -> Result<Action, String> {
        let config = Box::new(self.server.into_config()?);
        let command = QemuCommand::new(self.command).map_err(|error| error.to_string())?;
        Ok(Action::Qemu { config, command, consoles: self.console })
    }
}

impl ServerArgs {
    fn into_config(self) -> Result<Config, String> {
        let mut config = Config::default();
        if let Some(words) = &self.spice {
            apply_spice_options(words, &mut config).map_err(|error| format!("--spice: {error}"))?;
        }
        self.listen.apply(&mut config)?;
        self.tls.apply(&mut config);
        if config.listen.tls_port.is_some() && !config.tls.is_wanted() {
            let how = "name a folder of them with --x509-dir, `sumac cert DIR` makes one";
            return Err(format!("--tls-port: TLS needs a certificate: {how}"));
        }
        self.access.apply(&mut config);
        self.picture.apply(&mut config);
        self.output.apply(&mut config);
        Ok(config)
    }
}

impl ListenArgs {
    fn apply(self, config: &mut Config) -> Result<(), String> {
        config.web_root = self.web_root;
        let listen = &mut config.listen;
        listen.port = self.port.or(listen.port);
        listen.tls_port = self.tls_port.or(listen.tls_port);
        if let Some(unix) = self.unix {
            listen.unix = Some(UnixAddress::from(unix.as_os_str()));
        }
        if let Some(addr) = self.addr {
            if listen.tcp_port().or(listen.tls_port).is_none() {
                return Err("--addr: there is no TCP port; add --port N to have one beside the UNIX socket".into());
            }
            listen.addr = addr;
        }
        Ok(())
    }
}

impl TlsArgs {
    fn apply(self, config: &mut Config) {
        config.tls.overrule(Tls {
            dir: self.x509_dir,
            certificate: self.x509_cert_file,
            key: self.x509_key_file,
            ca: self.x509_cacert_file,
            key_password: self.x509_key_password_file.map(KeyPassword::File),
            verify_client: self.tls_verify_client,
        });
        let secured = self.tls_channel.into_iter().map(|channel| (channel, Security::Secured));
        config.channel_security.extend(secured);
        let unsecured = self.plaintext_channel.into_iter().map(|channel| (channel, Security::Unsecured));
        config.channel_security.extend(unsecured);
    }
}

impl AccessArgs {
    fn apply(self, config: &mut Config) {
        if self.disable_ticketing {
            config.ticketing = Ticketing::Disabled;
        }
        if let Some(file) = self.password_file {
            config.ticketing = Ticketing::File(file);
        }
        config.auth_rate = self.auth_rate.unwrap_or(config.auth_rate);
        config.exclusive = self.exclusive;
        config.copy_paste &= !self.disable_copy_paste;
        config.file_transfer &= !self.disable_agent_file_xfer;
        if let Some(path) = self.vv {
            config.vv = Some(path).filter(|path| path.as_os_str() != "none");
        }
        config.name = self.name;
        config.uuid = self.uuid;
    }
}

impl SourceArgs {
    fn apply(self, config: &mut Config) -> Result<(), String> {
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

impl PictureArgs {
    fn apply(self, config: &mut Config) {
        config.image_compression = self.image_compression.unwrap_or(config.image_compression);
        config.playback_compression = self.playback_compression.unwrap_or(config.playback_compression);
        config.jpeg_wan_compression = self.jpeg_wan_compression.unwrap_or(config.jpeg_wan_compression);
        config.zlib_glz_wan_compression = self.zlib_glz_wan_compression.unwrap_or(config.zlib_glz_wan_compression);
        config.streaming_video = self.streaming_video.unwrap_or(config.streaming_video);
        if let Some(codecs) = self.video_codecs {
            config.video_codecs = codecs;
        }
        config.encoders = self.encoder;
        config.rendernode = self.rendernode.or(config.rendernode.take());
    }
}

impl OutputArgs {
    fn apply(self, config: &mut Config) {
        config.stats = self.stats;
        config.metrics = self.metrics;
        config.write_ref = self.write_ref;
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

fn on_off(text: &str) -> Result<bool, ValueError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(ValueError::Invalid { value: text.into(), expected: "on or off".into() }),
    }
}

#[cfg(test)]
mod tests {
    use sumac::config::{Policy, channel_policy};
    use sumac_core::proto::common::ChannelType;

    use super::*;

    fn parsed(line: &str) -> Result<Action, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn config(line: &str) -> Config {
        match parsed(line).unwrap_or_else(|error| panic!("{line}: {error}")) {
            Action::Serve(config) => *config,
            _ => panic!("{line}: it does not serve"),
        }
    }

    /// The first line of the message; the status must be that of a usage error.
    fn error(line: &str) -> String {
        let error = parsed(line).map(|_| ()).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_command_serves_with_the_defaults() {
        for line in ["sumac", "sumac serve"] {
            assert_eq!(format!("{:?}", config(line)), format!("{:?}", Config::default()));
        }
        for line in ["sumac --port 7", "sumac serve --port 7"] {
            assert_eq!(config(line).listen.tcp_port(), Some(7));
        }
    }

    #[test]
    fn ports_and_sockets_replace_the_default_port() {
        for (line, port, unix) in [
            ("sumac --unix /run/s", None, Some("/run/s")),
            ("sumac --unix @s --port 0", Some(0), Some("@s")),
            ("sumac --spice unix=on,addr=/run/s", None, Some("/run/s")),
            ("sumac --spice unix=on,addr=/run/s --port 1", Some(1), Some("/run/s")),
            ("sumac --spice port=1 --port 2", Some(2), None),
            ("sumac --spice port=1 --unix /run/s", Some(1), Some("/run/s")),
        ] {
            let listen = config(line).listen;
            assert_eq!(listen.tcp_port(), port, "{line}");
            assert_eq!(listen.unix.map(|unix| unix.to_string()).as_deref(), unix, "{line}");
        }
    }

    #[test]
    fn who_may_connect() {
        let with = |line: &str| format!("{:?}", config(line).ticketing);
        assert_eq!(with("sumac --disable-ticketing"), "Disabled");
        assert_eq!(with("sumac --password-file pw"), "File(\"pw\")");
        assert_eq!(with("sumac --spice disable-ticketing=on --password-file pw"), "File(\"pw\")");
        assert_eq!(with("sumac --spice password=x --disable-ticketing"), "Disabled");
        assert!(!config("sumac --auth-rate off").auth_rate);
        assert!(config("sumac --exclusive").exclusive);
        assert_eq!(config("sumac --vv none").vv, None);
        assert_eq!(config("sumac --vv ./none").vv, Some("./none".into()));
    }

    #[test]
    fn certificates_and_what_may_travel_in_clear() {
        let from_spice =
            config("sumac --spice tls-port=1,x509-dir=a,x509-key-password=p,tls-channel=default,tls-channel=main");
        assert_eq!((from_spice.listen.tcp_port(), from_spice.listen.tls_port), (None, Some(1)));
        assert_eq!(from_spice.tls.key_file(), Some("a/server-key.pem".into()));
        let policy = channel_policy(&from_spice.channel_security);
        assert_eq!(policy, Policy::all(Security::Secured).with(ChannelType::MAIN, Security::Secured));
        let both = config(
            "sumac --spice x509-dir=a,x509-cert-file=c --port 1 --tls-port 2 --x509-dir b --x509-key-file k \
             --x509-cacert-file ca --x509-key-password-file p --tls-verify-client --plaintext-channel playback",
        );
        let tls = Tls {
            dir: Some("b".into()),
            certificate: Some("c".into()),
            key: Some("k".into()),
            ca: Some("ca".into()),
            key_password: Some(KeyPassword::File("p".into())),
            verify_client: true,
        };
        assert_eq!((both.listen.port, both.listen.tls_port, both.tls), (Some(1), Some(2), tls));
        assert_eq!(channel_policy(&both.channel_security).of(ChannelType::PLAYBACK), Security::Unsecured);
        assert_eq!(config("sumac --tls-port 1 --addr ::1 --x509-dir a").listen.addr, "::1");
        let Ok(Action::Cert { names, .. }) = parsed("sumac cert pki") else { panic!("no certificate") };
        assert_eq!(names, ["localhost", "127.0.0.1", "::1"]);
    }

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
    fn who_encodes_it() {
        let config_of = |line: &str| {
            let config = config(line);
            let names = config.encoders.iter().map(|name| format!("{}:{}", name.backend, name.codec));
            (names.collect::<Vec<_>>().join(" "), config.rendernode)
        };
        let some = |node: &str| Some(PathBuf::from(node));
        assert_eq!(config_of("sumac"), (String::new(), None));
        assert_eq!(
            config_of("sumac --encoder vaapi:h264,software:mjpeg --rendernode /dev/dri/renderD129"),
            ("vaapi:h264 software:mjpeg".into(), some("/dev/dri/renderD129"))
        );
        assert_eq!(config_of("sumac --spice gl=on,rendernode=a"), (String::new(), some("a")));
        assert_eq!(config_of("sumac --spice rendernode=a --rendernode b").1, some("b"));
    }

    #[test]
    fn a_qemu_is_what_follows_the_dashes() {
        let Ok(Action::Qemu { config, command, consoles }) =
            parsed("sumac qemu --port 7 --console 1 0 -- qemu-system-x86_64 -m 64 --version")
        else {
            panic!("no QEMU");
        };
        assert_eq!((config.listen.tcp_port(), consoles), (Some(7), vec![1, 0]));
        let words = ["qemu-system-x86_64", "-m", "64", "--version"];
        assert_eq!(Ok(command), QemuCommand::new(words.map(OsString::from)));
    }

    #[test]
    fn what_it_prints() {
        let config = config("sumac --stats --write-ref a.png --metrics [::1]:0");
        assert_eq!(config.metrics, Some("[::1]:0".parse().unwrap()));
        assert_eq!((config.stats, config.write_ref), (true, Some("a.png".into())));
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac --spice prot=1", "error: --spice: unknown word 'prot'; supported are "),
            ("sumac --spice tls-ciphers=x", "error: --spice: 'tls-ciphers' is a word of QEMU's that is not in this"),
            (
                "sumac --tls-channel x",
                "error: invalid value 'x' for '--tls-channel <CHANNEL>': 'x' is not one of default,",
            ),
            ("sumac --tls-port 1", "error: --tls-port: TLS needs a certificate: name a folder of them with --x509-dir"),
            ("sumac --port 65536", "error: invalid value '65536' for '--port <N>': "),
            ("sumac --unix s --addr ::1", "error: --addr: there is no TCP port; add --port N"),
            ("sumac --size 0x0", "error: invalid value '0x0' for '--size <WxH>': '0x0' is not a size like 1280x720"),
            ("sumac --source frames", "error: --source frames needs --frames FILE"),
            ("sumac --source test-desktop --frames f", "error: --frames needs --source frames"),
            ("sumac --rate 30", "error: --rate needs --source frames"),
            ("sumac --console 0", "error: --console needs --qemu-dbus"),
            (
                "sumac --qemu-dbus x",
                "error: invalid value 'x' for '--qemu-dbus <ADDRESS|session|p2p:FD>': 'x' is not session",
            ),
            ("sumac qemu", "error: no QEMU command: it follows --, as in"),
            ("sumac qemu qemu-system-x86_64", "error: unexpected argument 'qemu-system-x86_64' found"),
            ("sumac qemu -- qemu-system-x86_64 -spice port=1", "error: -spice: Sumac is the SPICE server"),
            ("sumac qemu --size 1x1 -- qemu", "error: unexpected argument '--size' found"),
            ("sumac --stamp", "error: --stamp needs --source frames"),
            ("sumac --frames f --rate 1001", "error: invalid value '1001' for '--rate <N>': 1001 is not in 1..=1000"),
            ("sumac --frames f --rate 0", "error: invalid value '0' for '--rate <N>': 0 is not in 1..=1000"),
            ("sumac --source x", "error: invalid value 'x' for '--source <SOURCE>': 'x' is not one of test-desktop"),
            ("sumac --auth-rate maybe", "error: invalid value 'maybe' for '--auth-rate <on|off>': 'maybe' is not on"),
            ("sumac --video-codecs av2", "error: invalid value 'av2' for '--video-codecs <LIST>': 'av2' is not a"),
            (
                "sumac --encoder nvenc:h264",
                "error: invalid value 'nvenc:h264' for '--encoder <BACKEND:CODEC,…>': 'nvenc:h264'",
            ),
            ("sumac --image-compression zip", "error: invalid value 'zip' for '--image-compression <WORD>': 'zip'"),
            ("sumac --password-file p --disable-ticketing", "error: the argument '--password-file <FILE>' cannot be"),
            ("sumac --uuid 1", "error: invalid value '1' for '--uuid <UUID>': '1' is not a UUID like"),
            ("sumac --metrics 9090", "error: invalid value '9090' for '--metrics <ADDR:PORT>': invalid socket address"),
            ("sumac --colour", "error: unexpected argument '--colour' found"),
            ("sumac paint", "error: unrecognized subcommand 'paint'"),
            ("sumac --port 5900 probe", "error: the subcommand 'probe' cannot be used with"),
            ("sumac probe --port 5900", "error: unexpected argument '--port' found"),
        ] {
            let message = error(line);
            assert!(message.starts_with(expected), "{line}: {message}");
        }
    }

    #[test]
    fn probe_is_for_people_unless_told() {
        assert!(matches!(parsed("sumac probe"), Ok(Action::Probe { json: false })));
        assert!(matches!(parsed("sumac probe --json"), Ok(Action::Probe { json: true })));
    }

    #[test]
    fn help_and_version_are_not_failures() {
        for line in ["sumac --help", "sumac serve --help", "sumac probe --help", "sumac --version"] {
            assert_eq!(parsed(line).map(|_| ()).expect_err(line).exit_code(), 0);
        }
    }
}
