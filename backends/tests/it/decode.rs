//! FFmpeg as the judge of what was encoded: a decoder that shares nothing with the encoders here.
use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use sumac_backends::{Codec, Packet};

use crate::content::Picture;

/// Whether `ffmpeg` is installed; says so once where it is not.
pub(crate) fn available(test: &str) -> bool {
    let found = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        println!("SKIPPED: {test}: ffmpeg is not installed");
    }
    found
}

/// Decodes packets of pictures of this coded size. Colours are converted as the stream says.
pub(crate) fn decode(codec: Codec, packets: &[Packet], width: u32, height: u32) -> Vec<Picture> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", demuxer(codec), "-i", "pipe:0", "-fps_mode", "passthrough"]);
    ffmpeg.args(["-sws_flags", "accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt", "bgr0", "pipe:1"]);
    let output = feed(ffmpeg, codec, packets, width, height);
    let size = width as usize * height as usize * 4;
    assert!(output.len().is_multiple_of(size), "{codec}: not pictures of {width}x{height}");
    output.chunks_exact(size).map(|p| Picture { width, height, pixels: p.to_vec() }).collect()
}

/// What the stream says of its colours: range, matrix.
pub(crate) fn colours(codec: Codec, packets: &[Packet], width: u32, height: u32) -> (String, String) {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-f", demuxer(codec), "-show_entries", "stream=color_range,color_space"]);
    ffprobe.args(["-of", "default=noprint_wrappers=1:nokey=1", "-i", "pipe:0"]);
    let output = String::from_utf8(feed(ffprobe, codec, packets, width, height)).unwrap();
    let mut lines = output.lines().map(str::to_owned);
    (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
}

fn demuxer(codec: Codec) -> &'static str {
    match codec {
        Codec::Mjpeg => "mjpeg",
        Codec::H264 => "h264",
        Codec::Hevc => "hevc",
        Codec::Vp8 | Codec::Vp9 => "ivf",
        other => panic!("no demuxer for {other}"),
    }
}

/// What a program answers that reads the packets from its standard input, and complains of nothing.
fn feed(mut program: Command, codec: Codec, packets: &[Packet], width: u32, height: u32) -> Vec<u8> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let bytes = match demuxer(codec) {
        "ivf" => ivf(codec, packets, width, height),
        _ => packets.iter().flat_map(|p| p.data.iter().copied()).collect(),
    };
    // A program that has seen enough may leave before the end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let words = std::thread::spawn(move || {
        let mut words = String::new();
        stderr.read_to_string(&mut words).map(|_| words)
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(words.join().unwrap().unwrap(), "", "ffmpeg complains about the {codec} stream");
    assert!(output.status.success());
    output.stdout
}

/// The container that FFmpeg wants around VP8 and VP9.
fn ivf(codec: Codec, packets: &[Packet], width: u32, height: u32) -> Vec<u8> {
    let mut file = b"DKIF\0\0\x20\0".to_vec();
    file.extend(if codec == Codec::Vp8 { b"VP80" } else { b"VP90" });
    file.extend((width as u16).to_le_bytes());
    file.extend((height as u16).to_le_bytes());
    for word in [30, 1, packets.len() as u32, 0] {
        file.extend(word.to_le_bytes());
    }
    for (n, packet) in packets.iter().enumerate() {
        file.extend((packet.data.len() as u32).to_le_bytes());
        file.extend((n as u64).to_le_bytes());
        file.extend_from_slice(&packet.data);
    }
    file
}
