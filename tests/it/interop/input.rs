//! What a viewer types and points at changes the desktop, and nothing stays held.

use super::picture::{Picture, same_picture};
use super::programs::{Client, RemoteViewer, Sumac, needs, until};
use rustix::process::Signal;

/// XT scan codes.
const A: &str = "0x1e";
const LEFT_SHIFT: &str = "0x2a";
const CAPS_LOCK: &str = "0x3a";

/// At least the height of the desktop's taskbar, in pixels.
const TASKBAR: usize = 40;

fn still_desktop() -> Sumac {
    Sumac::start(&["--freeze", "--size", "800x600"])
}

/// A picture without the taskbar, which tells the last event whatever it did.
fn above_taskbar(shown: &Picture) -> Picture {
    shown.part(0, 0, shown.width, shown.height - TASKBAR)
}

/// What the client shows above the taskbar.
fn desktop(client: &mut Client, sumac: &Sumac) -> Picture {
    above_taskbar(&Picture::of_client(client, sumac))
}

/// Waits until the client's desktop is another one than `before`, then for both ends to agree.
fn changed(client: &mut Client, sumac: &Sumac, before: &Picture, what: &str) -> Picture {
    until(what, || desktop(client, sumac).difference(before) > 0);
    same_picture(client, sumac);
    desktop(client, sumac)
}

#[test]
fn typing_changes_the_desktop() {
    needs!("typing_changes_the_desktop": "gi");
    let sumac = still_desktop();
    let mut client = Client::connect(&sumac.tcp_uri());
    let before = desktop(&mut client, &sumac);
    client.does(&format!("key press {A}"));
    changed(&mut client, &sumac, &before, "the typed letter");
}

/// The whole way of a key: X, GTK, spice-gtk, the wire, the desktop.
#[test]
fn typing_into_remote_viewer_changes_the_desktop() {
    needs!("typing_into_remote_viewer_changes_the_desktop": "remote-viewer", "Xvfb", "xdotool");
    let sumac = still_desktop();
    let before = above_taskbar(&Picture::of_server(&sumac));
    let viewer = RemoteViewer::start(&sumac);
    // Its title begins with the desktop's name once it is connected.
    let type_letter = ["search", "--onlyvisible", "--name", "^Sumac", "windowfocus", "key", "a"];
    until("the typed letter", || {
        viewer.on_screen("xdotool", &type_letter);
        above_taskbar(&Picture::of_server(&sumac)).difference(&before) > 0
    });
}

#[test]
fn the_mouse_changes_the_desktop_in_both_modes() {
    needs!("the_mouse_changes_the_desktop_in_both_modes": "gi");
    let sumac = still_desktop();
    let mut client = Client::connect(&sumac.tcp_uri());
    let mut before = desktop(&mut client, &sumac);
    for (mode, first, second) in
        [("client", "position 200 200", "position 420 380"), ("server", "motion -90 -60", "motion 60 30")]
    {
        client.does(&format!("mouse-mode {mode}"));
        client.does(first);
        client.does("button down 1");
        client.does(second);
        client.does("button up 1");
        before = changed(&mut client, &sumac, &before, mode);
    }
}

#[test]
fn a_viewer_that_dies_leaves_no_key_held() {
    needs!("a_viewer_that_dies_leaves_no_key_held": "gi");
    let sumac = still_desktop();
    let mut watcher = Client::connect(&sumac.unix_uri());
    let mut typist = Client::connect(&sumac.tcp_uri());
    let released = desktop(&mut watcher, &sumac);
    // Shift types nothing: only the desktop's list of held keys shows it.
    typist.does(&format!("key down {LEFT_SHIFT}"));
    until("the held key", || desktop(&mut watcher, &sumac).difference(&released) > 0);
    typist.0.signal(Signal::KILL);
    until("the key's release", || desktop(&mut watcher, &sumac).difference(&released) == 0);
}

#[test]
fn caps_lock_goes_both_ways() {
    needs!("caps_lock_goes_both_ways": "gi");
    let sumac = still_desktop();
    let mut watcher = Client::connect(&sumac.unix_uri());
    let mut typist = Client::connect(&sumac.tcp_uri());
    // The desktop's lock, as every viewer is told it.
    typist.does(&format!("key press {CAPS_LOCK}"));
    for client in [&mut watcher, &mut typist] {
        client.event("\"modifiers\", \"value\": 4");
    }
    // A viewer's lock, as the desktop takes it over.
    watcher.does("locks 0");
    for client in [&mut watcher, &mut typist] {
        client.event("\"modifiers\", \"value\": 0");
    }
}

#[test]
fn two_viewers_see_the_same() {
    needs!("two_viewers_see_the_same": "gi");
    let sumac = still_desktop();
    let mut first = Client::connect(&sumac.tcp_uri());
    let mut second = Client::connect(&sumac.unix_uri());
    let before = desktop(&mut second, &sumac);
    for _ in 0..10 {
        first.does(&format!("key press {A}"));
    }
    changed(&mut second, &sumac, &before, "what the first viewer typed");
    let shown = [same_picture(&mut first, &sumac), same_picture(&mut second, &sumac)];
    assert_eq!(shown[0].difference(&shown[1]), 0);
}

#[test]
fn the_cursor_has_other_shapes_elsewhere_and_moves_in_server_mode() {
    needs!("the_cursor_has_other_shapes_elsewhere_and_moves_in_server_mode": "gi");
    let sumac = still_desktop();
    let mut client = Client::connect(&sumac.tcp_uri());
    let over_terminal = client.event("\"cursor-set\"");
    client.does("position 650 430");
    let over_paint = client.event("\"cursor-set\"");
    assert_ne!(over_terminal, over_paint);
    client.does("mouse-mode server");
    client.event("\"mouse-mode\", \"mode\": \"server\"");
    client.does("motion 7 5");
    client.event("\"cursor-move\", \"x\": 657, \"y\": 435");
}
