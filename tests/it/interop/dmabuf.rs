//! Real dmabufs and a graphics device's encoder: for a machine that has them, or for the kernel of
//! `tests/kernel`, where the server, `spice-client.py` and the driver lie beside this binary.

use std::path::Path;

use super::gl::{Film, every_draw_was_done};
use super::picture::Picture;
use super::programs::{Client, needs, until};

/// As many as the picture moves: the kernel has little memory.
const STILL: usize = 20;

/// The kinds of dmabufs that the server can make, and the devices for that.
const MEMORIES: [(&str, &str); 2] =
    [("--dmabuf=udmabuf", "/dev/udmabuf"), ("--dmabuf=dma-heap", "/dev/dma_heap/system")];

const NODE: &str = "/dev/dri/renderD128";

/// Says that a test misses a device, unless it is there.
fn is_there(test: &str, device: &str) -> bool {
    let there = Path::new(device).exists();
    if !there {
        println!("SKIPPED: {test}: no {device}");
    }
    there
}

#[test]
fn dmabufs_are_passed_to_a_client() {
    needs!("dmabufs_are_passed_to_a_client": "gi");
    for (option, device) in MEMORIES {
        if !is_there("dmabufs_are_passed_to_a_client", device) {
            continue;
        }
        let film = Film::new(STILL);
        let sumac = film.show(&[option, "--rate", "5"]);
        let mut client = Client::connect_in_gl(&sumac.unix_uri());
        until("the source's pixels in a dmabuf", || film.is_shown(&Picture::of_scanout(&mut client, &sumac)));
        every_draw_was_done(sumac);
    }
}

#[test]
fn dmabufs_reach_a_remote_viewer_through_va_api() {
    const TEST: &str = "dmabufs_reach_a_remote_viewer_through_va_api";
    needs!("dmabufs_reach_a_remote_viewer_through_va_api": "gi");
    let Some((option, _)) = MEMORIES.into_iter().find(|(_, device)| Path::new(device).exists()) else {
        println!("SKIPPED: {TEST}: no {}", MEMORIES[0].1);
        return;
    };
    if !is_there(TEST, NODE) {
        return;
    }
    let film = Film::new(STILL);
    for codec in ["h264", "mjpeg"] {
        let encoder = format!("vaapi:{codec}");
        let sumac = film.show(&[option, "--rate", "5", "--encoder", &encoder, "--video-codecs", codec]);
        if !sumac.codecs().contains(codec) {
            println!("SKIPPED: {TEST}: no encoder for {codec} on {NODE}");
            continue;
        }
        let mut client = Client::connect(&sumac.tcp_uri());
        film.rests_as_video(&mut client, &sumac);
        let log = sumac.program.log();
        assert!(log.contains(&format!("a stream of 640x480: {codec} by vaapi on {NODE}")), "{log}");
        every_draw_was_done(sumac);
        // The test driver writes down what breaks its codec's rules.
        let account = std::env::var("SUMAC_VA_ACCOUNT").map(|path| std::fs::read_to_string(path).unwrap());
        assert!(!account.unwrap_or_default().contains("complaint:"));
    }
}
