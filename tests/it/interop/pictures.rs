//! The picture that a client shows is the picture of the source, pixel for pixel.

use std::process::Command;

use sumac_core::image::samples::Random;
use sumac_tests::recording::Recording;
use sumac_tests::session::Session;

use super::picture::{Picture, same_picture};
use super::programs::{Client, Program, RemoteViewer, Sumac, needs, until};

/// What spicy-screenshot sees at `uri`.
fn screenshot(uri: &str, sumac: &Sumac) -> Picture {
    let out = sumac.dir().join("shot.ppm");
    let mut command = Command::new("spicy-screenshot");
    command.arg(format!("--uri={uri}")).arg(format!("--out-file={}", out.display()));
    assert!(Program::start(&mut command).ends_well(), "{uri}");
    let shot = Picture::read_ppm(&out);
    std::fs::remove_file(&out).unwrap();
    shot
}

#[test]
fn spicy_screenshot_sees_the_reference_over_tcp_and_unix() {
    needs!("spicy_screenshot_sees_the_reference_over_tcp_and_unix": "spicy-screenshot");
    for size in ["640x480", "333x217"] {
        let sumac = Sumac::start(&["--freeze", "--size", size]);
        let reference = Picture::read_png(&sumac.dir().join("ref.png"));
        for uri in [sumac.tcp_uri(), sumac.unix_uri()] {
            let shot = screenshot(&uri, &sumac);
            assert_eq!((shot.width, shot.height), (reference.width, reference.height), "{uri}");
            assert_eq!(shot.difference(&reference), 0, "{uri}, {size}: pixels that differ");
        }
    }
}

/// Both ends have mini headers; the relay takes the capability away, as from an old client.
#[test]
fn a_client_without_mini_headers_sees_the_reference() {
    needs!("a_client_without_mini_headers_sees_the_reference": "spicy-screenshot");
    let sumac = Sumac::start(&["--freeze", "--size", "640x480"]);
    let to = sumac.tcp_uri().replace("spice://", "");
    let recording = sumac.dir().join("relayed.rec");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wire-relay"));
    command.args(["--listen", "127.0.0.1:0", "--to", &to, "--without-mini-header", "--out"]).arg(&recording);
    let mut relay = Program::start(&mut command);
    let address = relay.line("ready ").replace("ready ", "");
    let shot = screenshot(&format!("spice://{address}"), &sumac);
    assert_eq!(shot.difference(&Picture::read_png(&sumac.dir().join("ref.png"))), 0, "pixels that differ");
    let relayed = Recording::read(&recording).unwrap();
    let sessions: Vec<_> = relayed.connections.iter().map(|c| Session::cut(c).unwrap()).collect();
    assert!(sessions.len() >= 2 && sessions.iter().all(|session| !session.mini_headers));
}

#[test]
fn a_gobject_client_sees_the_reference_over_tcp_and_unix() {
    needs!("a_gobject_client_sees_the_reference_over_tcp_and_unix": "gi");
    let sumac = Sumac::start(&["--freeze", "--size", "640x480"]);
    for uri in [sumac.tcp_uri(), sumac.unix_uri()] {
        let shown = same_picture(&mut Client::connect(&uri), &sumac);
        assert_eq!((shown.width, shown.height), (640, 480), "{uri}");
    }
}

/// The viewer draws the desktop in its window unscaled; the desktop is smaller than the screen.
/// The password comes from the file.
#[test]
fn remote_viewer_shows_the_reference_from_a_connection_file() {
    needs!("remote_viewer_shows_the_reference_from_a_connection_file": "remote-viewer", "Xvfb", "import");
    let sumac = Sumac::start_with_password(&["--freeze", "--size", "640x480"]);
    let viewer = RemoteViewer::start(&sumac);
    let shot = sumac.dir().join("screen.ppm");
    until("the desktop on the viewer's screen", || {
        assert!(viewer.on_screen("import", &["-window", "root", "-depth", "8", shot.to_str().unwrap()]));
        Picture::of_server(&sumac).position_in(&Picture::read_ppm(&shot)).is_some()
    });
}

#[test]
fn the_desktop_takes_the_size_of_a_viewers_window() {
    needs!("the_desktop_takes_the_size_of_a_viewers_window": "gi");
    let sumac = Sumac::start(&["--freeze", "--size", "800x600"]);
    let mut client = Client::connect(&sumac.tcp_uri());
    let mut other = Client::connect(&sumac.unix_uri());
    client.event("\"agent\", \"connected\": true");
    client.does("monitor 720 488");
    for client in [&mut client, &mut other] {
        client.event("\"surface\", \"width\": 720, \"height\": 488");
        let shown = same_picture(client, &sumac);
        assert_eq!((shown.width, shown.height), (720, 488));
    }
}

/// Text that is typed and scrolls, in every form of picture that this build can be asked for.
#[test]
fn every_compression_shows_the_same_pixels() {
    needs!("every_compression_shows_the_same_pixels": "gi");
    const ENTER: &str = "0x1c";
    const WAN: [&str; 2] = ["--jpeg-wan-compression", "--zlib-glz-wan-compression"];
    for (word, wan) in [
        ("off", "never"),
        ("auto_glz", "auto"),
        ("auto_glz", "always"),
        ("auto_lz", "always"),
        ("quic", "always"),
        ("quic", "never"),
        ("glz", "never"),
        ("lz", "never"),
        ("lz4", "never"),
    ] {
        let options = ["--freeze", "--size", "800x600", "--image-compression", word, WAN[0], wan, WAN[1], wan];
        let sumac = Sumac::start(&options);
        let mut client = Client::connect(&sumac.tcp_uri());
        for key in ["0x23", "0x12", "0x26", "0x19", ENTER].into_iter().chain([ENTER; 30]) {
            client.does(&format!("key press {key}"));
        }
        same_picture(&mut client, &sumac);
    }
}

/// A photo, text and the desktop behind them come and go, one a second; meanwhile one client after the
/// other is killed and another comes, of all kinds, and whoever is there shows what the server does.
#[test]
fn what_comes_back_is_exact_with_caches_of_any_size_whoever_leaves() {
    needs!("what_comes_back_is_exact_with_caches_of_any_size_whoever_leaves": "gi");
    const SIDES: (usize, usize) = (400, 300);
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.bgrx");
    std::fs::write(&film, (0..6).flat_map(|n| windows(SIDES, n)).collect::<Vec<u8>>()).unwrap();
    let source = ["--source", "frames", "--frames", film.to_str().unwrap(), "--rate", "1", "--size", "400x300"];
    let mut random = Random::new(16);
    for (word, wan) in [("auto_glz", "never"), ("auto_glz", "always"), ("lz4", "never")] {
        let wan = ["--jpeg-wan-compression", wan, "--zlib-glz-wan-compression", wan];
        let how = ["--streaming-video", "off", "--image-compression", word];
        let sumac = Sumac::start(&[&source[..], &how, &wan].concat());
        let mut clients = vec![Client::connect(&sumac.tcp_uri()), Client::connect_with_small_caches(&sumac.tcp_uri())];
        for kind in [Client::connect_with_small_caches, Client::connect] {
            clients.iter_mut().for_each(|client| drop(same_picture(client, &sumac)));
            clients.swap_remove(random.below(2) as usize);
            clients.push(kind(&sumac.tcp_uri()));
        }
        clients.iter_mut().for_each(|client| drop(same_picture(client, &sumac)));
    }
}

/// Text on paper; before it a photo, other text or nothing.
fn windows((width, height): (usize, usize), number: usize) -> Vec<u8> {
    let pixels = (0..width * height).flat_map(|n| {
        let (x, y) = (n % width, n / width);
        let ink = |seed: usize| if y % 16 < 12 && (x / 2 * seed + y / 3) % 9 < 3 { 20 } else { 230 };
        let inside = (60..360).contains(&x) && (40..260).contains(&y);
        let grey = |level: usize| [level as u8; 4];
        match number % 3 {
            1 if inside => [(x * 2 / 3 + y) % 200, (x + y * 2) % 211, x * y / 64 % 190, 0].map(|c| c as u8),
            2 if inside => grey(ink(5)),
            _ => grey(ink(7)),
        }
    });
    pixels.collect()
}
