//! Encoders work in processes of their own, and nobody notices when one of those ends.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::picture::Picture;
use super::programs::{Client, Sumac, needs, until};
use super::video::{MOVING, WIDTH, frame};

/// Says for how many seconds they are killed.
const SECONDS: &str = "SUMAC_TEST_KILL_SECONDS";
/// Pictures at rest, behind those that move there and back.
const STILL: usize = 45;

/// The processes that this one has started.
fn children(of: u32) -> Vec<u32> {
    let parent = format!("\nPPid:\t{of}\n");
    let numbers =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        // It may be gone meanwhile.
        std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains(&parent))
    };
    numbers.filter(is_child).collect()
}

/// The processes in which encoders work.
fn encoders(sumac: &Sumac) -> Vec<u32> {
    children(sumac.program.pid()).into_iter().flat_map(children).collect()
}

#[test]
fn encoders_that_are_killed_disturb_nobody() {
    needs!("encoders_that_are_killed_disturb_nobody": "gi");
    let seconds = std::env::var(SECONDS).map_or(4, |seconds| seconds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.bgrx");
    let rest = frame(0);
    let moving = (0..MOVING).chain((0..MOVING).rev()).flat_map(frame);
    std::fs::write(&file, moving.chain(rest.repeat(STILL)).collect::<Vec<_>>()).unwrap();

    let source = ["--frames", file.to_str().unwrap(), "--rate", "30", "--size", "640x480"];
    let video = ["--streaming-video", "all", "--video-codecs", "h264", "--metrics", "127.0.0.1:0"];
    let sumac = Sumac::start(&[source.as_slice(), &video].concat());
    let mut client = Client::connect(&sumac.tcp_uri());
    let coded = |more: u64| {
        let before = sumac.figure("sumac_video_frames_encoded_total");
        until("pictures as video", || sumac.figure("sumac_video_frames_encoded_total") >= before + more);
    };
    coded(2);
    let (start, mut killed, mut pause) = (Instant::now(), 0, 1_u64);
    while start.elapsed() < Duration::from_secs(seconds) || killed < 5 {
        for pid in encoders(&sumac) {
            // At whatever it does, and it may have ended meanwhile.
            pause = pause * 69 % 101;
            sleep(Duration::from_millis(pause));
            let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
            killed += u64::from(kill_process(pid, Signal::KILL).is_ok());
        }
        coded(2);
    }
    let exact = Picture::of_bgrx(WIDTH, &rest);
    until("the exact picture", || Picture::of_client(&mut client, &sumac) == exact);
    assert_eq!((sumac.figure("sumac_viewers"), sumac.figure("sumac_encoder_losses_total")), (1, 0));
    println!("{killed} encoders killed, {} key frames", sumac.figure("sumac_video_key_frames_total"));
    assert!(sumac.program.log().contains("an encoder's process ended; there is another one"));
}
