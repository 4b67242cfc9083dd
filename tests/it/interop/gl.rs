//! Scanouts: passed to a client on the UNIX socket, video for the others, images for those without
//! a codec; each draw done once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::picture::{Picture, same_picture};
use super::programs::{Client, Sumac, needs, until};

const WIDTH: usize = 640;
const HEIGHT: usize = 480;
const MOVING: usize = 20;
/// Equal pictures at the end, which are not drawn again.
const STILL: usize = 60;
/// What video of natural content is to have at least, in dB.
const LIKE: f64 = 34.0;

/// A soft ball on a gradient.
fn frame(n: usize) -> Vec<u8> {
    let (middle_x, middle_y, radius) = (120 + 20 * n as i64, 140 + 10 * n as i64, 90);
    let pixel = |x: usize, y: usize| {
        let (dx, dy) = (x as i64 - middle_x, y as i64 - middle_y);
        let light = (radius * radius - dx * dx - dy * dy).max(0) * 160 / (radius * radius);
        let ground = [x / 4, y / 3, (x + y) / 6].map(|c| c as i64);
        [ground[0] + light / 4, ground[1] + light / 3, ground[2] + light, 0].map(|c| c.min(255) as u8)
    };
    (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y))).collect()
}

/// A film of the ball in a folder of its own, and its last picture.
pub(super) struct Film {
    _folder: tempfile::TempDir,
    file: PathBuf,
    rest: Picture,
}

impl Film {
    /// With so many equal pictures at the end.
    pub(super) fn new(still: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.bgrx");
        let frames: Vec<_> = (0..MOVING).map(frame).collect();
        let rest = frames.last().unwrap();
        let mut bytes = frames.concat();
        bytes.extend(std::iter::repeat_n(rest, still).flatten());
        std::fs::write(&file, bytes).unwrap();
        let rest = Picture::of_bgrx(WIDTH, rest);
        Self { _folder: folder, file, rest }
    }

    /// A server that shows it.
    pub(super) fn show(&self, options: &[&str]) -> Sumac {
        let film = ["--source", "frames", "--frames", self.file.to_str().unwrap(), "--size", "640x480"];
        Sumac::start(&[&film, options].concat())
    }

    /// The same as scanouts in memfds, which it passes to clients.
    fn show_in_memfds(&self, options: &[&str]) -> Sumac {
        self.show(&[&["--dmabuf=memfd"], options].concat())
    }

    /// Whether this is the picture that rests.
    pub(super) fn is_shown(&self, picture: &Picture) -> bool {
        *picture == self.rest
    }

    /// Waits until the client shows the picture that rests, as video does.
    pub(super) fn rests_as_video(&self, client: &mut Client, sumac: &Sumac) {
        until("video like the source", || {
            (LIKE..f64::INFINITY).contains(&Picture::of_client(client, sumac).psnr(&self.rest))
        });
    }
}

/// Ends the server, which must have got a cookie back for each of its draws.
pub(super) fn every_draw_was_done(sumac: Sumac) {
    let (draws, done) = sumac.gl_draws();
    assert!(draws > 0 && draws == done, "{done} of {draws} draws were done");
}

#[test]
fn a_scanout_is_video_in_every_codec() {
    needs!("a_scanout_is_video_in_every_codec": "gi");
    let film = Film::new(STILL);
    for codec in ["mjpeg", "h264", "vp8"] {
        let sumac = film.show_in_memfds(&["--video-codecs", codec]);
        if !sumac.codecs().contains(codec) {
            println!("SKIPPED: a_scanout_is_video_in_every_codec: no library for {codec} here");
            continue;
        }
        let mut client = Client::connect(&sumac.tcp_uri());
        film.rests_as_video(&mut client, &sumac);
        drop(client);
        every_draw_was_done(sumac);
    }
}

#[test]
fn a_scanout_is_passed_on_the_unix_socket() {
    needs!("a_scanout_is_passed_on_the_unix_socket": "gi");
    let film = Film::new(STILL);
    let sumac = film.show_in_memfds(&[]);
    let mut client = Client::connect_in_gl(&sumac.unix_uri());
    let scanout = client.event("\"gl-scanout\"");
    for part in ["\"width\": 640, \"height\": 480, \"stride\": 2560", "\"format\": \"XR24\"", "\"y0top\": false"] {
        assert!(scanout.contains(part), "{scanout}");
    }
    client.event("\"gl-draw\", \"x\": 0, \"y\": 0, \"width\": 640, \"height\": 480");
    until("the scanout to hold the source's pixels", || film.is_shown(&Picture::of_scanout(&mut client, &sumac)));
    until("many draws", || client.0.count("\"event\": \"gl-draw\"") > 2 * MOVING);
    assert_eq!(client.0.count("\"event\": \"surface\""), 0);
    every_draw_was_done(sumac);
}

/// Not for real: a memfd is passed only for tests.
#[test]
fn without_the_word_a_memfd_goes_to_encoders_only() {
    needs!("without_the_word_a_memfd_goes_to_encoders_only": "gi");
    let film = Film::new(STILL);
    let sumac = film.show(&["--dmabuf"]);
    if !sumac.program.log().contains("in dmabufs of memfd") {
        println!("SKIPPED: without_the_word_a_memfd_goes_to_encoders_only: this kernel has real dmabufs");
        return;
    }
    let mut client = Client::connect(&sumac.unix_uri());
    film.rests_as_video(&mut client, &sumac);
    assert_eq!(client.0.count("gl-draw"), 0);
    every_draw_was_done(sumac);
}

#[test]
fn who_comes_late_sees_a_guest_that_rests_in_every_way() {
    needs!("who_comes_late_sees_a_guest_that_rests_in_every_way": "gi");
    let sumac = Sumac::start(&["--freeze", "--size", "641x481", "--dmabuf=memfd", "--video-codecs", "h264"]);
    // An odd size, which H.264 cannot code: nothing may be scaled for that.
    // Twice: the second of each kind finds encoders and copies that have nothing new to do.
    for _ in 0..2 {
        let mut passed = Client::connect_in_gl(&sumac.unix_uri());
        // The viewer's lock lights may have changed the desktop since it was passed.
        until("the scanout", || Picture::of_scanout(&mut passed, &sumac) == Picture::of_server(&sumac));
        let mut video = Client::connect(&sumac.tcp_uri());
        until("video", || Picture::of_client(&mut video, &sumac).psnr(&Picture::of_server(&sumac)) > 30.0);
        let mut images = Client::connect_without_codecs(&sumac.tcp_uri());
        same_picture(&mut images, &sumac);
    }
    every_draw_was_done(sumac);
}

#[test]
fn all_kinds_of_viewers_see_the_same_display_at_once() {
    needs!("all_kinds_of_viewers_see_the_same_display_at_once": "gi");
    let film = Film::new(STILL);
    let sumac = film.show_in_memfds(&["--video-codecs", "h264"]);
    let mut passed = Client::connect_in_gl(&sumac.unix_uri());
    let mut video = Client::connect(&sumac.tcp_uri());
    let mut images = Client::connect_without_codecs(&sumac.tcp_uri());
    film.rests_as_video(&mut video, &sumac);
    until("exact images", || film.is_shown(&Picture::of_client(&mut images, &sumac)));
    until("the scanout", || film.is_shown(&Picture::of_scanout(&mut passed, &sumac)));
    every_draw_was_done(sumac);
}

#[test]
fn who_never_answers_a_draw_holds_nobody_up() {
    needs!("who_never_answers_a_draw_holds_nobody_up": "gi");
    let film = Film::new(0);
    let sumac = film.show_in_memfds(&[]);
    let mut silent = Client::connect_in_gl(&sumac.unix_uri());
    silent.does("gl-answer off");
    silent.event("\"gl-draw\"");
    let mut watcher = Client::connect_in_gl(&sumac.unix_uri());
    watcher.does("gl-answer on");
    let drawn = |client: &mut Client| client.0.count("\"event\": \"gl-draw\"");
    let (one, before) = (drawn(&mut silent), drawn(&mut watcher));
    until("the other viewer's draws", || drawn(&mut watcher) > before + 60);
    assert_eq!(drawn(&mut silent), one, "one draw is outstanding");
    every_draw_was_done(sumac);
}

/// How long viewers are killed: `SUMAC_KILL_SECONDS`, up to a minute.
fn killing_time() -> Duration {
    let seconds = std::env::var("SUMAC_KILL_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5).min(60))
}

#[test]
fn viewers_that_are_killed_lose_no_draw() {
    needs!("viewers_that_are_killed_lose_no_draw": "gi");
    let film = Film::new(0);
    let sumac = film.show_in_memfds(&["--video-codecs", "h264"]);
    let connect: [&dyn Fn() -> Client; 3] =
        [&|| Client::connect_in_gl(&sumac.unix_uri()), &|| Client::connect(&sumac.tcp_uri()), &|| {
            Client::connect_without_codecs(&sumac.tcp_uri())
        }];
    let mut viewers = connect.map(|connect| Some(connect()));
    // The same order in every run; the moments are the machine's.
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (start, mut killed) = (Instant::now(), 0);
    while start.elapsed() < killing_time() {
        let kind = random(3) as usize;
        if let Some(viewer) = viewers[kind].take() {
            viewer.0.signal(if random(2) == 0 { Signal::KILL } else { Signal::STOP });
            // A stopped one is killed when it is dropped: until then it has draws and never answers.
            std::thread::sleep(Duration::from_millis(random(200)));
            killed += 1;
        }
        viewers[kind] = Some(connect[kind]());
    }
    assert!(killed > 0);
    let mut last = connect[0]();
    last.event("\"gl-draw\"");
    drop((viewers, last));
    every_draw_was_done(sumac);
}
