//! Writes the seeds of the fuzzer anew, from core's samples, the recorded sessions and the reference
//! encoders' image data: `fuzz-seeds tests/fuzz/corpus`. What the bytes mean is said at each oracle.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sumac_core::proto::TABLES;
use sumac_core::proto::agent::AgentMessage;
use sumac_core::wire::{Row, Sampler, Sender};
use sumac_tests::recording::{Recording, Speaker};
use sumac_tests::session::{Message, Session};

/// Seeds of sessions end here.
const SESSION: usize = 2048;
/// Larger messages are mostly pixels.
const BODY: usize = 300;
/// Larger image data too.
const IMAGE: usize = 400;
/// A session of each kind of client and of each header, and all the drawing operations.
const SESSIONS: [&str; 5] =
    ["spicy.rec", "html5.rec", "agent-resize.rec", "full-headers-inputs.rec", "full-headers-draw.rec"];
/// Sound and devices; their first four channels say nothing that the others do not.
const DEVICES: [&str; 4] = ["devices.rec", "ports.rec", "smartcard.rec", "sound.rec"];
/// Channel types in the order of the `client` target.
const CLIENTS: [u8; 9] = [1, 2, 3, 4, 5, 6, 8, 10, 9];
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");

fn main() -> ExitCode {
    let Some(folder) = env::args().nth(1) else {
        let _ = writeln!(io::stderr(), "usage: fuzz-seeds FOLDER");
        return ExitCode::FAILURE;
    };
    let seeds = Seeds { folder: folder.into() };
    match seeds.write_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(io::stderr(), "fuzz-seeds: {e}");
            ExitCode::FAILURE
        }
    }
}

struct Seeds {
    folder: PathBuf,
}

impl Seeds {
    fn write_all(&self) -> io::Result<()> {
        self.samples()?;
        for file in SESSIONS.into_iter().chain(DEVICES) {
            let recording = Recording::read(&Path::new(VECTORS).join("sessions").join(file))?;
            for (n, connection) in recording.connections.iter().enumerate() {
                let session = Session::cut(connection).map_err(|e| io::Error::other(format!("{file}: {e}")))?;
                if session.channel_type > 4 || !DEVICES.contains(&file) {
                    self.session(&format!("{}-{n}", file.trim_end_matches(".rec")), &session)?;
                }
            }
        }
        self.sasl()?;
        self.shapes()?;
        self.monitors()?;
        self.commands()?;
        self.images()?;
        self.doors()?;
        self.guests()?;
        self.qemus()?;
        self.drivers()?;
        self.operators()?;
        self.viewers()
    }

    fn put(&self, target: &str, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), parts.concat())
    }

    /// What is said before SPICE.
    fn doors(&self) -> io::Result<()> {
        let get = b"GET / HTTP/1.1\r\nHost: desk\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\nOrigin: http://desk\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let hello = b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let sizes = block(&[1, 2, 30, 200]);
        self.put("http", "websocket", &[&[0], &sizes, get, hello])?;
        self.put("http", "file", &[&[0], &sizes, b"HEAD /index.html HTTP/1.0\r\nAccept: */*\r\n\r\n"])?;
        self.put("http", "spice", &[&[0], &sizes, b"REDQ\x02\0\0\0\x02\0\0\0"])?;
        for (name, flags) in [("spice", 0), ("tls-only", 2)] {
            self.put("tls", name, &[&[flags, 200], &block(&[]), &sizes, b"REDQ\x02\0\0\0\x02\0\0\0"])?;
        }
        self.put("tls", "changed", &[&[0, 90], &block(&[100, 0, 1, 44, 1, 128]), &sizes, b"REDQ"])?;
        self.put("tls", "websocket", &[&[0, 255], &block(&[]), &sizes, get, hello])?;
        let record = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03";
        self.put("tls", "record", &[&[1, 255], &block(&[]), &sizes, record])?;
        let frames: Vec<_> = [(0, "one"), (1, "ping"), (2, "tw"), (3, "pong"), (0, "o")]
            .into_iter()
            .flat_map(|(kind, text)| [&[kind, 1, 2, 3, 4][..], &block(text.as_bytes())].concat())
            .collect();
        self.put("websocket", "frames", &[&[0], &sizes, &frames])?;
        self.put("websocket", "close", &[&[1], &sizes, hello, b"\x88\x82\x01\x02\x03\x04\x02\xea"])
    }

    /// Clipboards, agents and devices.
    fn guests(&self) -> io::Result<()> {
        let said = |kind: u8, words: &[u32]| {
            let body: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            [&[1, kind, 0, 0, 0][..], &block(&body)].concat()
        };
        let (announced, grabbed) = (said(6, &[1, 0xffff]), said(7, &[0, 0, 1]));
        let (asked, content) = (said(8, &[0, 1]), said(4, &[0, 1, 0x6c6c_6568]));
        let guest = [&[0, 6, 8, 2, 0, 1, 0][..], &[10], &block(b"hello"), &[3, 9, 9, 0]].concat();
        self.put("clipboard", "guest", &[&[0, 0], &announced, &guest, &asked, &[10], &block(b"hello"), &[3, 9]])?;
        let question = [&[11, 0, 0][..], &block(&[0, 0, 0, 0, 1, 0, 0, 0, 104, 105])].concat();
        self.put("clipboard", "viewer", &[&[0, 0], &announced, &[6], &grabbed, &question, &content, &[3, 9, 4]])?;
        let port =
            [&[7][..], &block(&[1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0])].concat();
        self.put("relay", "agent", &[&[0, 6, 0], &announced, &port, &[3, 9, 9, 0, 4], &content, &[4, 6]])?;
        let plain = [&[2][..], &block(b"hello")].concat();
        let lz4 = [&[3, 5, 0][..], &block(b"\x50hello")].concat();
        self.put("devices", "both", &[&[0, 0], &plain, &lz4, &[4, 9, 0, 5], &block(b"hi"), &[6, 9, 0, 7, 0, 1, 8, 0]])
    }

    /// A console, a monitor, sounds.
    fn qemus(&self) -> io::Result<()> {
        let scanout = [&[0, 1, 4, 1, 2, 1, 16, 1, 0][..], &block(&[7; 32])].concat();
        let update = [&[2, 1, 1, 1, 0, 1, 2, 1, 2, 1, 8, 1, 0][..], &block(&[9; 16])].concat();
        let map = [&[4, 4, 4, 1, 16, 1, 0, 1, 0][..], &block(&[5; 64]), &[5, 1, 1, 1, 1, 1, 2, 1, 2]].concat();
        let dmabuf = [&[6, 1, 4, 1, 4, 1, 16, 0, 1, 0, 0][..], &block(&[3; 64]), &[8, 1, 0, 1, 0, 1, 4, 1, 4]].concat();
        let cursor = [&[10, 1, 2, 1, 2, 1, 0, 1, 0, 1][..], &block(&[1; 16])].concat();
        self.put("qemu_display", "memory", &[&scanout, &update, &[13], &cursor, &[12, 4, 4, 14, 15]])?;
        self.put("qemu_display", "shared", &[&map, &[13], &dmabuf, &[9]])?;
        let said = "{\"QMP\": {}}\n{\"return\": {}}\n{\"event\": \"RESET\"}\n{\"return\": {}}\n{\"return\": {}}\n";
        self.put(
            "qemu_monitor",
            "opened",
            &[said.as_bytes(), b"{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"x\"}}\n"],
        )?;
        self.put("qemu_monitor", "refused", &[b"{\"QMP\": {}}\n{\"error\": {\"desc\": \"no\"}}\n"])?;
        for (name, bits, flags, channels) in [("stereo", 16, 1, 2), ("float", 32, 2, 1), ("bytes", 8, 4, 8)] {
            self.put("qemu_sound", name, &[&[bits, flags, channels, 0x80, 0xbb, 0, 0], &[17; 64]])?;
        }
        Ok(())
    }

    /// Drivers that work, then do not; pictures.
    fn drivers(&self) -> io::Result<()> {
        let operations = block(&[0, 0, 1, 1, 2, 51, 0, 1, 1, 0, 0, 1, 1, 3, 0]);
        for (codec, name) in (0..).zip(["h264", "hevc", "vp8", "vp9", "jpeg", "fwht"]) {
            self.put("v4l2", name, &[&[codec, 50], &operations, &[200; 600]])?;
            let fails = [&[200; 150][..], &[20], &[200; 40], &[4]].concat();
            self.put("v4l2", &format!("{name}-fails"), &[&[codec, 99], &operations, &fails])?;
        }
        let h264 = [0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 0x42, 0xe0, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0x80];
        let hevc = [0, 0, 0, 1, 0x46, 1, 0x50, 0, 0, 0, 1, 0x40, 1, 9, 0, 0, 0, 1, 0x42, 1, 9, 0, 0, 1, 0x26, 1, 0x80];
        self.put("bitstream", "h264", &[&[0], &h264])?;
        self.put("bitstream", "hevc", &[&[1], &hevc])?;
        self.put("bitstream", "vp9", &[&[3], &[0x82, 0x49, 0x83, 0x42]])
    }

    /// Options and files.
    fn operators(&self) -> io::Result<()> {
        for (name, kind, text) in [
            ("spice", 0, "port=5900,addr=127.0.0.1,disable-ticketing=on,image-compression=auto_glz"),
            ("spice-tls", 1, "tls-port=5901,x509-dir=a,,b,tls-channel=main,plaintext-channel=default,ipv4,password=x"),
            ("codecs", 3, "spice:mjpeg;gstreamer:vp8"),
            ("uuid", 5, "00112233-4455-6677-8899-aabbccddeeff"),
            ("size", 6, "1024x768"),
            ("address", 7, "unix:path=/run/bus"),
            ("word", 8, "filter"),
            ("password", 9, "secret"),
            ("qemu", 10, "qemu\0-m\x00512\0-audiodev\0dbus,id=a"),
        ] {
            self.put("options", name, &[&[kind], text.as_bytes()])?;
        }
        let pem = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        self.put("config_files", "pem", &[&[0], pem])?;
        self.put("config_files", "key", &[&[0], b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"])?;
        let head = [2, 0, 2, 0, 25, 0, 0, 0];
        self.put("config_files", "password", &[&[1], &head, b"secret\nmore"])?;
        self.put("config_files", "film", &[&[2], &head, &[9; 32]])
    }

    /// Two viewers that link, look, type and leave.
    fn viewers(&self) -> io::Result<()> {
        let link = |viewer: u8, kind: u8| [viewer, 0, 0xff, 0xff, 0xff, 0xff, kind];
        let both: Vec<_> =
            [0, 0x80].into_iter().flat_map(|viewer| (0..6).flat_map(move |kind| link(viewer, kind))).collect();
        let shown = [7, 0, 1, 255, 5, 255, 255, 7, 0, 1, 3, 11, 1, 0x80 | 11, 1, 7, 1, 1, 9];
        let said: Vec<_> = (0..6).flat_map(|kind| [2, kind, kind, 7, 0, 0]).collect();
        self.put("two_viewers", "look", &[&both, &shown, &said, &shown, &[1, 0], &shown])?;
        let devices =
            [&[9, 0][..], &link(0, 7), &[10], &block(b"hello"), &[0, 4, 7], &block(&[101, 0, 1, 0, 0, 0, 7])].concat();
        self.put("two_viewers", "devices", &[&both, &devices, &[5, 255, 255, 8]])
    }

    /// Every message of the table; the agent's also in its own stream.
    fn samples(&self) -> io::Result<()> {
        let mut sampler = Sampler::new(1);
        let mut agent = vec![0];
        for (table, rows) in (0u8..).zip(TABLES) {
            let mut messages = Vec::new();
            for (n, row) in (0u8..).zip(*rows) {
                let body = sampled(row, &mut sampler)?;
                messages.extend([table, n]);
                messages.extend(block(&body));
                if rows.as_ptr() == AgentMessage::TABLE.as_ptr() {
                    agent.extend(u32::from(row.id).to_le_bytes());
                    agent.push(n);
                    agent.extend(block(&body));
                }
            }
            let sender = rows.first().map_or(Sender::Either, |row| row.sender);
            let channel = rows.first().map_or("", |row| row.channel);
            let name = format!("{channel}-{sender:?}").to_lowercase().replace([' ', ',', '/'], "-");
            self.put("wire", &name, &[&messages])?;
        }
        self.put("agent", "samples", &[&agent])
    }

    fn session(&self, name: &str, session: &Session) -> io::Result<()> {
        let target = match session.channel_type {
            1 => "session_main",
            2 => "session_display",
            3 => "session_inputs",
            4 => "session_cursor",
            5 => "session_playback",
            6 => "session_record",
            8 => "session_smartcard",
            9 => "session_usbredir",
            10 | 11 => "session_port",
            _ => return Ok(()),
        };
        let flags = u8::from(!session.mini_headers);
        let mut operations = vec![flags, 0xff, 0xff, 0xff, 0xff];
        let mut agent = vec![1];
        let mut stream = Vec::new();
        for message in session.messages.iter().filter(|message| message.body.len() <= BODY) {
            if operations.len() + message.body.len() > SESSION {
                break;
            }
            // The machine says SET_ACK and PING itself, and its client answers.
            if !matches!((message.speaker, message.id), (Speaker::Server, 3 | 4) | (Speaker::Client, 1..=3)) {
                operations.push(if message.speaker == Speaker::Client { 0 } else { 2 });
                operations.extend(message.id.to_le_bytes());
                operations.extend(block(&message.body));
                operations.push(6);
            }
            if message.speaker == Speaker::Server && stream.len() < BODY {
                stream.extend(framed(message, session.mini_headers));
            }
            if target == "session_main" && message.id == 107 {
                agent.extend(block(&message.body));
            }
        }
        self.put(target, name, &[&operations])?;
        let heard =
            session.messages.iter().filter(|message| message.speaker == Speaker::Server && message.body.len() <= BODY);
        let heard = heard.take(24).flat_map(|m| [&[1][..], &m.id.to_le_bytes(), &block(&m.body)].concat());
        let place = CLIENTS.iter().position(|kind| *kind == session.channel_type).unwrap_or(7);
        let place = u8::try_from(place).unwrap_or(0);
        self.put("client", name, &[&[place, flags], &heard.collect::<Vec<_>>()])?;
        if agent.len() > 1 {
            self.put("agent", name, &[&agent])?;
        }
        if session.channel_type != 1 {
            return Ok(());
        }
        self.put("framing", name, &[&[flags, 0, 4, 2, 0, 7, 1], &stream])?;
        let selection = session.auth_selection.as_deref().unwrap_or_default();
        let ticket = session.ticket.as_deref().unwrap_or_default();
        let answers = block(&[0; 8]);
        self.put("link", &format!("server-{name}"), &[&[0, 0], &answers, &session.link_message, selection, ticket])?;
        let result = session.link_result.map_or([7, 0, 0, 0], u32::to_le_bytes);
        self.put("link", &format!("client-{name}"), &[&[1, 0], &answers, &session.link_reply, &result])
    }

    /// No recording has SASL: worked out by hand.
    fn sasl(&self) -> io::Result<()> {
        let hello = b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\x12\0\0\0\x0b\0\0\0";
        let choice = b"\x02\0\0\0\x04\0\0\0TEST\x03\0\0\0hi\0\0\0\0\0\x02\0\0\0x\0";
        // Answers: admit with a key, a known name, continue twice, then complete and accept.
        let answers = block(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        self.put("link", "server-sasl", &[&[0, 2], &answers, hello, choice])?;
        let mut reply = b"REDQ\x02\0\0\0\x02\0\0\0\xb6\0\0\0\0\0\0\0".to_vec();
        reply.resize(16 + 166, 0x30);
        reply.extend(b"\x01\0\0\0\0\0\0\0\xb2\0\0\0\x0d\0\0\0");
        let mechanisms = b"\x0c\0\0\0,PLAIN,TEST,\x02\0\0\0x\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0";
        let rest = b"\x04\0\0\0TEST\x03\0\0\0hi\0\0\0\0\0\x02\0\0\0x\0";
        self.put("sasl", "server", &[&[0], &answers, rest])?;
        self.put("sasl", "client", &[&[1], &block(&[1]), mechanisms])?;
        self.put("link", "client-sasl", &[&[1, 1], &block(&[1]), &reply, mechanisms])
    }

    /// A cursor channel that fills its cache of four, asks for kept shapes and evicts.
    fn shapes(&self) -> io::Result<()> {
        let set = |unique: u8, flags: u8, room: u8| [7, room, 1, unique, flags];
        let init = [7, 200, 0, 0, 1];
        let kept: Vec<_> = (1..7).flat_map(|unique| set(unique, 2, 24)).collect();
        let named: Vec<_> = (1..7).flat_map(|unique| set(unique, 4, 200)).collect();
        self.put("session_cursor", "shapes", &[&[0, 0, 0, 0, 0], &init, &kept, &[6], &named, &kept])
    }

    /// One monitor; two of four of which one has no area; none.
    fn monitors(&self) -> io::Result<()> {
        let head = |n: u32, width: u32| [n, 0, width, 600, n * width, 0, 0].map(u32::to_le_bytes).concat();
        let device = [4, 0];
        self.put("monitors_config", "one", &[&device, &[1, 0, 0, 0], &head(0, 800)])?;
        self.put("monitors_config", "two", &[&device, &[2, 0, 4, 0], &head(0, 800), &head(1, 0)])?;
        self.put("monitors_config", "none", &[&device, &[0, 0, 1, 0]])
    }

    /// Commands of a QXL guest, as the device's C header lays them out.
    fn commands(&self) -> io::Result<()> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let long = |n: u64| n.to_le_bytes();
        // At 16 the rows of an image, at 48 a chunk of 16 bytes, at 84 the image, at 122 a cursor's shape.
        let rows = [0x5a; 32];
        let chunk = [words(&[16]), long(0).into(), long(0).into(), vec![1; 16]].concat();
        let image =
            [&long(77)[..], &[0, 1], &words(&[4, 2]), &[8, 5], &words(&[4, 2, 16]), &long(0), &long(16)].concat();
        let shape =
            [&long(6)[..], &[0, 0, 2, 0, 2, 0, 0, 0, 0, 0], &words(&[16, 16]), &long(0), &long(0), &[1; 16]].concat();
        let before = [&[0xee; 16][..], &rows, &chunk, &image, &shape].concat();
        let head = |kind: u8| {
            let (own, bbox) = (words(&[0, 0, 2, 4]), words(&[0, 0, 2, 4]));
            let clip = [&words(&[0])[..], &long(0)].concat();
            let start = [&long(9)[..], &words(&[0]), &[1, kind, 0], &own, &bbox, &clip].concat();
            [start, words(&[1234, u32::MAX, u32::MAX, u32::MAX]), vec![0; 48]].concat()
        };
        let (solid, no_mask) = ([&words(&[1, 0x00ff_00ff])[..], &[0; 12]].concat(), [0; 17]);
        let source = [&long(84)[..], &words(&[0, 0, 2, 4])].concat();
        let drawings = [
            (1, [&solid[..], &[8, 0], &no_mask].concat()),
            (2, [&source[..], &solid, &[8, 0, 0], &no_mask].concat()),
            (3, [&source[..], &[8, 0, 0], &no_mask].concat()),
            (4, words(&[0, 0])),
            (6, no_mask.to_vec()),
            (12, [&source[..], &words(&[1, 2])].concat()),
            (13, [&[0, 0, 9][..], &source].concat()),
        ];
        let at = u16::try_from(before.len()).unwrap_or(0).to_le_bytes();
        for (kind, union) in drawings {
            self.put("qxl", &format!("draw-{kind}"), &[&[1, 0], &at, &[255], &before, &head(kind), &union])?;
        }
        let surface = [&long(0)[..], &words(&[5]), &[0], &words(&[0, 32, 2, 2, 8]), &long(16)].concat();
        let update = [&long(0)[..], &words(&[0, 0, 8, 8, 77, 3])].concat();
        let cursor = [&long(0)[..], &[0, 0, 0, 0, 0, 1], &long(122)].concat();
        for (kind, name, structure) in [
            (2, "update", update),
            (3, "cursor", cursor),
            (4, "message", [&long(0)[..], b"hello\0"].concat()),
            (5, "surface", surface),
        ] {
            self.put("qxl", name, &[&[kind, 0], &at, &[255], &before, &structure])?;
            self.put("qxl", &format!("{name}-changed"), &[&[kind, 0], &at, &[1], &before, &structure])?;
        }
        Ok(())
    }

    /// What the reference encoded, and pictures of each kind to be encoded.
    fn images(&self) -> io::Result<()> {
        for codec in ["quic", "lz", "glz"] {
            let text = fs::read_to_string(Path::new(VECTORS).join("images").join(codec).with_extension("hex"))?;
            let all = text.split('[').skip(1).filter_map(|vector| vector.split_once(']')).map(|(_, hex)| bytes(hex));
            if codec == "glz" {
                let images: Vec<_> = all.take(6).flat_map(|data| block(&data)).collect();
                self.put(codec, "reference", &[&[0], &images])?;
                continue;
            }
            for (n, data) in all.filter(|data| data.len() <= IMAGE).take(8).enumerate() {
                self.put(codec, &format!("reference-{n}"), &[&[0], &data])?;
            }
        }
        // A picture: top-down, RGB32, one block of four literal pixels.
        let block = b"\x01\x08\0\0\0\x12\xf0\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
        self.put("lz4", "literals", &[&[0, 2, 0, 2, 0], block])?;
        let picture = |format: u8, content: u8| [format, 20, 12, 3, content, 1, 0, 0, 0];
        for codec in ["quic", "lz", "glz", "lz4"] {
            let pictures: Vec<_> = (0..4).flat_map(|n| [picture(n, n), picture(n, n + 2)]).flatten().collect();
            self.put(codec, "pictures", &[&[1], &pictures])?;
            let mut raw = vec![1, 2, 7, 5, 0, 6];
            raw.extend(self::block(&[1, 2, 3, 0, 1, 2, 3, 0, 9, 9, 9, 0]));
            self.put(codec, "raw", &[&raw])?;
        }
        Ok(())
    }
}

fn sampled(row: &Row, sampler: &mut Sampler) -> io::Result<Vec<u8>> {
    let mut body = vec![0; 4096];
    let len = (row.sample)(sampler, &mut body).map_err(|e| io::Error::other(format!("{}: {e}", row.name)))?;
    body.truncate(len);
    Ok(body)
}

/// The form in which oracles take a part of unknown length.
fn block(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&len.to_le_bytes(), &bytes[..len.into()]].concat()
}

fn framed(message: &Message, mini: bool) -> Vec<u8> {
    let size = u32::try_from(message.body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let (serial, sub_list) = (message.serial.to_le_bytes(), message.sub_list.to_le_bytes());
    let id = message.id.to_le_bytes();
    if mini {
        [&id[..], &size, &message.body].concat()
    } else {
        [&serial[..], &id, &size, &sub_list, &message.body].concat()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
