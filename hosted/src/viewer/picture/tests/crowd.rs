//! Viewers that come and go, and what all of them share.

use std::sync::Arc;

use super::*;
use crate::ledger::{Count, Ledger};

/// A place for a client that comes.
struct Seat {
    client: Client,
    memory: (Vec<u8>, Vec<GlzKept>),
}

fn seats(count: usize) -> Vec<Seat> {
    let seat = || Seat { client: Client::new(), memory: (vec![0; 4 << 20], vec![GlzKept::EMPTY; 4096]) };
    std::iter::repeat_with(seat).take(count).collect()
}

/// The most viewers at a time, and all that come.
const PRESENT: usize = 4;
const ALL: usize = 8;

/// Shows changes to viewers of whom one or the other leaves, with what it was sent unread and not acknowledged,
/// and others come.
async fn come_and_go(word: &str, wan: &str, seed: u64) -> usize {
    let config = Config {
        image_compression: word.parse().unwrap(),
        jpeg_wan_compression: wan.parse().unwrap(),
        zlib_glz_wan_compression: wan.parse().unwrap(),
        ..Config::default()
    };
    let (encoders, mut numbers) = (Rc::default(), Numbers(seed));
    let (mut seats, mut newest) = (seats(ALL), Pixmap::new());
    let mut free = seats.iter_mut();
    let mut present: Vec<(Pair<'_>, Pending)> = Vec::new();
    let mut left = 0;
    for _ in 0..25 {
        if present.len() < PRESENT
            && numbers.below(3) == 0
            && let Some(Seat { client, memory }) = free.next()
        {
            let offer = [LARGE, SMALL, LEAST, NOTHING, None][numbers.below(5) as usize];
            let pair = Pair::new(&config, &encoders, offer, (client, memory));
            present.push((pair, Region::from(SIZE.bounds()).into()));
        }
        if present.len() > 1 && numbers.below(4) == 0 {
            present.swap_remove(numbers.below(present.len() as u32) as usize);
            left += 1;
        }
        let before = newest.frame();
        newest.change(&mut numbers);
        let frame = newest.frame();
        let damage = tighten(&before, &frame, &SIZE.bounds().into());
        let scroll = find_scroll(&before, &frame, &damage);
        for (pair, due) in &mut present {
            due.change(&damage, scroll, &[]);
            if numbers.below(4) > 0 {
                pair.painter.draw(&mut pair.line, &frame, due, false).unwrap();
            }
            if numbers.below(3) > 0 {
                pair.read();
                pair.acknowledge();
            }
        }
        tokio::time::advance(Duration::from_millis(numbers.below(100).into())).await;
        if numbers.below(6) == 0 {
            for (pair, due) in &mut present {
                pair.read();
                pair.settle(&frame, due).await;
                assert!(pair.client.surface.pixels == newest.pixels, "{word}, {wan}, seed {seed}");
            }
        }
    }
    left
}

#[tokio::test(start_paused = true)]
async fn who_stays_and_who_comes_shows_the_source_whoever_leaves() {
    let mut left = 0;
    let words = [("off", "never"), ("auto_glz", "always"), ("auto_lz", "never"), ("quic", "always"), ("glz", "never")];
    for (seed, (word, wan)) in (100..).zip(words.into_iter().chain([("lz", "never"), ("lz4", "never")])) {
        left += come_and_go(word, wan, seed).await;
    }
    assert!(left > 20, "{left} left");
}

/// Pictures of any size, by every codec that has no dictionary.
#[tokio::test(start_paused = true)]
async fn a_picture_is_encoded_once_for_all_viewers() {
    for (word, wan) in [("lz", "never"), ("lz4", "never"), ("quic", "never"), ("quic", "always")] {
        let config = Config {
            image_compression: word.parse().unwrap(),
            jpeg_wan_compression: wan.parse().unwrap(),
            ..Config::default()
        };
        let ledger = Arc::new(Ledger::new(true));
        let encoders = Rc::new(RefCell::new(Encoders::new(Arc::clone(&ledger))));
        let mut seats = seats(PRESENT);
        let pairs = seats.iter_mut().zip([LARGE, SMALL, NOTHING, None]);
        let mut pairs: Vec<Pair<'_>> = pairs
            .map(|(seat, offer)| Pair::new(&config, &encoders, offer, (&mut seat.client, &mut seat.memory)))
            .collect();
        let (mut newest, mut numbers) = (Pixmap::new(), Numbers(7));
        for (n, side) in (1..).zip([9, 16, 31, 64, 120]) {
            let rect = Rect { x: 10, y: 10, width: side, height: side };
            let noise = numbers.below(u32::MAX) | 1;
            newest.fill(rect, |x, y| (x / 3 * 7919 + y / 2 * 104_729).wrapping_mul(noise) >> 9 & 0x0f_0f0f);
            for pair in &mut pairs {
                pair.painter.draw(&mut pair.line, &newest.frame(), &mut Region::from(rect).into(), false).unwrap();
                pair.read();
            }
            assert_eq!(ledger.count(Count::Images), n, "{word}, {wan}: {side}x{side} pixels");
        }
    }
}
