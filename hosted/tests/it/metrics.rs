//! Figures over HTTP: what Prometheus reads while a viewer is there, and bytes that are no request.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::client::{DISPLAY, connect};
use crate::open::Viewer;
use crate::sumac::{Sumac, until};

fn serve() -> Sumac {
    Sumac::start(&["--port", "0", "--vv", "none", "--disable-ticketing", "--metrics", "127.0.0.1:0"])
}

/// Sends `request` and reads to the end: status and body.
fn ask(sumac: &Sumac, request: &[u8]) -> (u16, String) {
    let mut stream = connect(sumac.told("metrics"));
    // What is refused early may not be read to its end.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), body.to_owned())
}

fn get(sumac: &Sumac, path: &str) -> (u16, String) {
    ask(sumac, format!("GET {path} HTTP/1.1\r\nHost: sumac\r\n\r\n").as_bytes())
}

/// All samples by name and labels; every line of the page must be one or tell about those that follow.
fn scrape(sumac: &Sumac) -> HashMap<String, f64> {
    let (status, page) = get(sumac, "/metrics");
    assert_eq!(status, 200);
    let (mut samples, mut family) = (HashMap::new(), (String::new(), String::new()));
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family.0 = help.split_once(' ').expect("a name and words").0.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            assert!(name == family.0 && matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            family.1 = kind.to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let plain = name.split('{').next().unwrap_or_default();
            let suffix = plain.strip_prefix(&family.0).unwrap_or("of another family");
            let suffixes = if family.1 == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line} behind {family:?}");
            assert!(samples.insert(name.to_owned(), value.parse().expect("a number")).is_none(), "{line} twice");
        }
    }
    samples
}

#[test]
fn a_viewer_is_seen_in_the_figures_and_its_pictures_are_followed() {
    let sumac = serve();
    let before = scrape(&sumac);
    assert_eq!((before["sumac_viewers"], before["sumac_channels{type=\"display\"}"]), (0.0, 0.0));
    assert!(before["sumac_memory_resident_bytes"] > 0.0 && before["sumac_pictures_published_total"] > 0.0);
    let Some(viewer) = Viewer::connect(&sumac) else {
        println!("SKIPPED: openssl(1) is not here or too old");
        return;
    };
    let mut display = viewer.open(&sumac, DISPLAY);
    let reader = thread::spawn(move || while display.next().is_ok() {});
    let names = ["take", "plan", "encode", "say", "write", "ack"];
    let names = names.map(|step| format!("sumac_picture_seconds_count{{step=\"{step}\"}}"));
    until("all steps of a picture", || {
        let samples = scrape(&sumac);
        names.iter().all(|name| samples[name] > 0.0)
    });
    let samples = scrape(&sumac);
    assert_eq!((samples["sumac_viewers"], samples["sumac_channels{type=\"display\"}"]), (1.0, 1.0));
    for name in ["sumac_sent_bytes_total{type=\"display\"}", "sumac_sent_messages_total{type=\"main\"}"] {
        assert!(samples[name] > 0.0, "{name}");
    }
    assert!(samples["sumac_images_encoded_total"] + samples["sumac_video_frames_encoded_total"] > 0.0);
    for name in names {
        let all = name.replace("_count{", "_bucket{").replace('}', ",le=\"+Inf\"}");
        assert_eq!(samples[&name], samples[&all], "{name}");
    }
    drop(viewer);
    reader.join().expect("it reads to the end");
    until("nobody is there", || {
        let samples = scrape(&sumac);
        samples["sumac_viewers"] == 0.0 && samples["sumac_channels{type=\"display\"}"] == 0.0
    });
}

#[test]
fn who_was_refused_is_counted_by_reason() {
    let sumac = serve();
    connect(sumac.told("addr")).write_all(b"this begins no link").unwrap();
    drop(connect(sumac.told("addr")));
    until("both reasons", || {
        let samples = scrape(&sumac);
        let refused = |why: &str| samples[&format!("sumac_connections_refused_total{{reason=\"{why}\"}}")];
        refused("protocol") >= 1.0 && refused("broken") >= 1.0
    });
}

#[test]
fn bytes_that_are_no_request_harm_nobody() {
    let sumac = serve();
    assert_eq!(get(&sumac, "/healthz"), (200, "ok\n".into()));
    assert_eq!(get(&sumac, "/").0, 404);
    assert_eq!(ask(&sumac, b"HEAD /metrics HTTP/1.0\r\n\r\n"), (200, String::new()));
    for (bytes, status) in [
        (&b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"[..], 405),
        (b"\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 400),
        (b"REDQ\0\0\0\x02 \0 \r\n\r\n", 400),
        (&[b'a'; 100_000], 431),
        (b"GET /metrics HTTP/1.1\r\nHost: a", 0),
        (b"", 0),
    ] {
        let shown = bytes.get(..20).unwrap_or(bytes).escape_ascii();
        assert_eq!(ask(&sumac, bytes).0, status, "{shown}");
    }
    // More than may be there at once.
    let _silent: Vec<TcpStream> = (0..200).map(|_| connect(sumac.told("metrics"))).collect();
    assert_eq!(get(&sumac, "/healthz"), (200, "ok\n".into()));
}

#[test]
fn figures_are_served_only_when_asked_for() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--freeze"]);
    assert!(!sumac.ready.contains("metrics="), "{}", sumac.ready);
}
