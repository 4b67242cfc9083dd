//! Several displays, placed by a viewer: the machine is told, and so is every viewer.

use super::super::programs::{Client, needs};
use super::guest::start;
use super::restart::start_beside_ours;

/// Two monitors, the second to the right and lower.
const MONITORS: &str = "monitors 0,0,800,600,300,200 800,100,640,480,400,250";

/// Waits until the client knows one head at this place of this display.
fn told(client: &mut Client, display: u8, place: (u32, u32), size: (u32, u32)) {
    let heads = format!("[[{}, {}, {}, {}]]", place.0, place.1, size.0, size.1);
    client.event(&format!("\"monitors\", \"display\": {display}, \"heads\": {heads}"));
}

#[test]
fn the_machine_hears_of_monitors_and_their_places() {
    needs!("the_machine_hears_of_monitors_and_their_places": "gi", "dbus-daemon");
    let (sumac, mut machine, _bus) = start_beside_ours();
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"open\", \"channel\": \"display\", \"id\": 1");
    client.event("\"agent\", \"connected\": true");
    client.does(MONITORS);
    for (console, values) in [(0, "300, 200, 0, 0, 800, 600"), (1, "400, 250, 800, 100, 640, 480")] {
        machine.line(&format!("\"ui-info\", \"console\": {console}, \"values\": [{values}]"));
    }
}

#[test]
fn viewers_hear_where_their_monitors_are() {
    needs!("viewers_hear_where_their_monitors_are": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, _monitor) = start(&[], "none", &["-device", "virtio-vga,max_outputs=2"]);
    let mut client = Client::connect(&sumac.tcp_uri());
    let mut other = Client::connect(&sumac.unix_uri());
    for client in [&mut client, &mut other] {
        client.event("\"open\", \"channel\": \"display\", \"id\": 1");
        client.event("\"agent\", \"connected\": true");
    }
    // The guest's text screen, and a console that is dark as long as no driver wants it.
    let (text, dark) = ((720, 400), (640, 480));
    told(&mut client, 0, (0, 0), text);
    told(&mut client, 1, (0, 0), dark);
    client.does(MONITORS);
    told(&mut client, 1, (800, 100), dark);
    told(&mut other, 1, (800, 100), dark);
    // Without places they are where they were at first.
    client.does("monitors 0,0,800,600,0,0 0,0,640,480,0,0");
    told(&mut client, 1, (0, 0), dark);
    // A new picture keeps its place, and a viewer that comes later hears of it.
    client.does("monitors 5,0,800,600,0,0 0,7,640,480,0,0");
    told(&mut client, 0, (5, 0), text);
    client.does("key press 0x3c");
    told(&mut client, 0, (5, 0), (640, 400));
    let mut late = Client::connect(&sumac.tcp_uri());
    told(&mut late, 0, (5, 0), (640, 400));
    told(&mut late, 1, (0, 7), dark);
}
