//! What one viewer can make the server hold, whatever it does: memory that this thread has allocated
//! for it, which is all, as the server runs on it and nothing is video here.

use sumac::devices::{Device, DeviceKind};
use sumac::fuzzing::server::Client;
use sumac_core::limits;

use crate::alloc::live;
use crate::desk::{Desk, framed, message};

const MIB: isize = 1 << 20;
const SIZE: (u32, u32) = (640, 360);
const PICTURE: isize = (SIZE.0 * SIZE.1 * 4) as isize;
/// What a viewer that reads nothing makes the server hold: a picture is begun only while there is
/// room for it, so it is one that was begun, which may be as long encoded as it is, with what its
/// encoder knows of the ones before; and little on the other channels.
const IDLE: isize = 2 * PICTURE + DICTIONARY + MIB;
/// What GLZ knows of the pictures before.
const DICTIONARY: isize = 9 * MIB;
/// As many as a session has.
const DICTIONARIES: isize = 4;
/// What one that says the largest things makes it hold on a channel that every server has.
const LOUD: isize = 2 * MIB;
/// And on one channel of a device: the largest message as it comes and as it waits for the guest, each
/// in memory that doubles as it grows.
const DEVICE: isize = 4 * (limits::VMC_BODY as isize) + MIB;

#[test]
fn a_viewer_that_reads_nothing_holds_a_bounded_amount() {
    let desk = Desk::new(SIZE.0, SIZE.1);
    let (mut shade, mut most, mut lazy) = (0_u8, 0, Vec::new());
    let mut show = |count: usize, most: &mut isize| {
        for _ in 0..count {
            shade = shade.wrapping_add(1);
            desk.show(shade);
            *most = live().max(*most);
        }
    };
    show(2, &mut most);
    let (before, mut steps) = (live(), Vec::new());
    for _ in 0..3 {
        lazy.push(Lazy::new(&desk));
        let mut most = 0;
        show(6, &mut most);
        steps.push(most);
    }
    println!("held for viewers that read nothing: {} bytes, then {steps:?}", before);
    for (n, step) in (1..).zip(&steps) {
        assert!(step - before <= n * IDLE, "{} bytes for {n} viewers", step - before);
    }
    // It does not grow with what there would be to see, either.
    let mut later = 0;
    show(12, &mut later);
    assert!(later <= steps[2] + MIB, "{later} bytes, it was {}", steps[2]);
    drop(lazy);
    show(2, &mut most);
    assert!(live() <= before + MIB, "{} bytes are left, it was {before}", live());
}

/// Channels of one more viewer, of which none is read.
struct Lazy {
    _channels: Vec<Client>,
}

impl Lazy {
    fn new(desk: &Desk) -> Self {
        let (main, session) = desk.viewer();
        let mut channels = vec![main];
        for kind in [2, 3, 4, 5, 6] {
            let mut channel = desk.link_to(session, kind);
            if kind == 2 {
                // INIT with caches, so that all ways of encoding are used.
                channel.say(&message(101, &[1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]));
            }
            channels.push(channel);
        }
        desk.server.turn();
        Self { _channels: channels }
    }
}

#[test]
fn a_display_channel_opened_again_and_again_with_other_ids_holds_no_more() {
    let desk = Desk::new(64, 64);
    let (_main, session) = desk.viewer();
    let before = live();
    for id in 0..=u8::MAX {
        let mut channel = desk.link_to(session, 2);
        channel.say(&message(101, &[id, 0, 0, 1, 0, 0, 0, 0, 0, id, 0, 0, 0, 1]));
        desk.server.turn();
        assert!(channel.is_open());
        drop(channel);
        desk.server.turn();
    }
    assert!(live() - before <= DICTIONARIES * DICTIONARY, "{} bytes", live() - before);
}

/// Says all bytes, in as many pieces as the socket takes; until the server closes or takes no more.
fn push(desk: &Desk, client: &mut Client, bytes: &[u8], most: &mut isize) {
    let (mut at, mut idle) = (0, 0);
    while at < bytes.len() && idle < 4 && client.is_open() {
        let said = client.say(&bytes[at..]);
        at += said;
        idle = if said == 0 { idle + 1 } else { 0 };
        desk.server.turn();
        *most = live().max(*most);
    }
}

#[test]
fn the_largest_messages_everywhere_are_held_once() {
    let channels = [
        (1, limits::MAIN_BODY),
        (2, limits::DISPLAY_BODY),
        (3, limits::INPUTS_BODY),
        (4, limits::CURSOR_BODY),
        (5, limits::PLAYBACK_BODY),
        (6, limits::RECORD_BODY),
    ];
    for (kind, body) in channels {
        let desk = Desk::new(64, 64);
        let (before, mut most) = (live(), 0);
        let bound = LOUD + if kind == 2 { DICTIONARIES * DICTIONARY } else { 0 };
        // PONG, MIGRATE_DATA, and each of the channel's own first messages, as long as can be.
        for id in [3, 5, 101, 102, 104, 107] {
            desk.server.turn();
            let mut client = desk.link(kind);
            let (whole, cut) = (message(id, &vec![1; body]), framed(id, body as u32, &vec![1; body - 1]));
            for _ in 0..8 {
                push(&desk, &mut client, &whole, &mut most);
            }
            // The largest, and never its end.
            push(&desk, &mut client, &cut, &mut most);
        }
        println!("channel type {kind}: {} bytes", most - before);
        assert!(most - before <= bound, "channel type {kind}: {} bytes", most - before);
        desk.is_well();
    }
}

#[test]
fn a_device_s_largest_messages_are_held_once() {
    for (kind, device, body) in [
        (9, DeviceKind::Usbredir, limits::VMC_BODY),
        (10, DeviceKind::Port, limits::VMC_BODY),
        (8, DeviceKind::Smartcard, limits::SMARTCARD_BODY),
    ] {
        let desk = Desk::new(64, 64);
        let device: Device = desk.server.devices().open(device, "device");
        desk.server.turn();
        let plain = message(101, &vec![0; body]);
        let compressed = message(102, &[&[1][..], &(body as u32).to_le_bytes(), &zeros_in_lz4(body)].concat());
        let (before, mut most) = (live(), 0);
        let mut client = desk.link(kind);
        // DATA that the guest does not read, plain and as LZ4 of which a little becomes much.
        for _ in 0..3 {
            push(&desk, &mut client, &plain, &mut most);
        }
        // Who leaves a device that is full is missed when the guest reads.
        drop(client);
        drain(&desk, &device);
        let mut client = desk.link(kind);
        for _ in 0..3 {
            push(&desk, &mut client, &compressed, &mut most);
        }
        println!("channel type {kind}: {} bytes", most - before);
        assert!(most - before <= DEVICE, "channel type {kind}: {} bytes", most - before);
        drop(client);
        drain(&desk, &device);
        assert!(live() - before <= MIB, "channel type {kind}: {} bytes are left", live() - before);
    }
}

/// The guest reads all there is.
fn drain(desk: &Desk, device: &Device) {
    loop {
        desk.server.turn();
        let mut idle = true;
        while device.read(&mut [0; 65536]) > 0 {
            idle = false;
        }
        if idle {
            return;
        }
    }
}

/// So many zeros as a block of LZ4.
fn zeros_in_lz4(len: usize) -> Vec<u8> {
    let mut out = vec![0; sumac_core::channel::vmc::Compressor::max_len(len)];
    let len = sumac_core::channel::vmc::Compressor::default().compress(&vec![0; len], &mut out).unwrap();
    out.truncate(len);
    out
}
