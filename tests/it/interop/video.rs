//! What moves is sent as video, and what comes to rest is shown exactly.

use super::picture::Picture;
use super::programs::{Client, Sumac, needs, until};

pub(super) const WIDTH: usize = 640;
const HEIGHT: usize = 480;
pub(super) const MOVING: usize = 30;
const STILL: usize = 90;

/// A gradient on which a square of coarse noise moves.
pub(super) fn frame(n: usize) -> Vec<u8> {
    let (left, top, side) = (100 + 4 * n, 80 + 3 * n, 200);
    let pixel = |x: usize, y: usize| {
        if (left..left + side).contains(&x) && (top..top + side).contains(&y) {
            let block = (x - left) / 8 * 31 + (y - top) / 8 * 17 + n * 5;
            [block * 7, block * 13, block * 29, 0].map(|c| (c % 256) as u8)
        } else {
            [x / 3, y / 2, (x + y) / 5, 0].map(|c| (c % 256) as u8)
        }
    };
    (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y))).collect()
}

#[test]
fn what_moved_is_exact_when_it_rests() {
    needs!("what_moved_is_exact_when_it_rests": "gi");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.bgrx");
    let frames: Vec<_> = (0..MOVING).map(frame).collect();
    let rest = frames.last().unwrap();
    let mut bytes = frames.concat();
    bytes.extend(std::iter::repeat_n(rest, STILL).flatten());
    std::fs::write(&file, bytes).unwrap();
    let pictures: Vec<_> = frames.iter().map(|frame| Picture::of_bgrx(WIDTH, frame)).collect();

    for codec in ["mjpeg", "h264"] {
        let source = ["--source", "frames", "--frames", file.to_str().unwrap(), "--rate", "30", "--size", "640x480"];
        let video = ["--streaming-video", "all", "--video-codecs", codec];
        let sumac = Sumac::start(&[source.as_slice(), &video].concat());
        let mut client = Client::connect(&sumac.tcp_uri());
        let mut shows = |what: &str, wanted: &dyn Fn(&Picture) -> bool| {
            until(&format!("{codec}: {what}"), || wanted(&Picture::of_client(&mut client, &sumac)));
        };
        shows("a picture with the losses of video", &|shown| !pictures.contains(shown));
        shows("the exact picture", &|shown| shown == pictures.last().unwrap());
    }
}
