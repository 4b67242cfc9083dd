//! Sequences of damage as programs make them, on a virtual clock.

use std::time::Duration;

use sumac_backends::{Frame, Layout};

use super::*;

const SIZE: Size = Size { width: 1280, height: 720 };
/// A movie in a window.
const MOVIE: Rect = Rect { x: 100, y: 50, width: 320, height: 240 };

fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
    Rect { x, y, width, height }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A frame that is text everywhere except in `pictures`.
fn frame(size: Size, pictures: &[Rect]) -> Frame {
    let mut bytes = Vec::with_capacity(size.bounds().area() as usize * 4);
    for y in 0..size.height {
        bytes.extend((0..size.width).flat_map(|x| [if y % 18 < 12 && x % 9 < 2 { 20 } else { 240 }; 4]));
    }
    for r in pictures {
        for y in r.y..r.bottom() {
            for x in r.x..r.right() {
                let at = (y * size.width + x) as usize * 4;
                bytes[at..at + 4].fill((x * 3 + y * 2) as u8);
            }
        }
    }
    Frame::from_memory(Layout { width: size.width, height: size.height, stride: size.width * 4 }, bytes).unwrap()
}

/// Something that changes the picture at a steady rate: the n-th change is at
/// `from + n * 1 s / rate`, as long as that is before `to`.
struct Program<'a> {
    rate: u64,
    from: u64,
    to: u64,
    damage: Box<dyn Fn(u64) -> Vec<Rect> + 'a>,
}

fn program<'a>(rate: u64, from: u64, to: u64, damage: impl Fn(u64) -> Vec<Rect> + 'a) -> Program<'a> {
    Program { rate, from, to, damage: Box::new(damage) }
}

/// A program that changes all of an area every time.
fn movie(area: Rect, rate: u64, from: u64, to: u64) -> Program<'static> {
    program(rate, from, to, move |_| vec![area])
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Started(u8, Rect),
    Moved(u8, Rect),
    Ended(u8),
}

/// What a plan did, with the time in milliseconds.
struct Story {
    events: Vec<(u64, Event)>,
    refined: Vec<(u64, Region)>,
    plan: VideoPlan,
}

impl Story {
    fn take(&mut self, now: Duration, changes: Changes) {
        let at = now.as_millis() as u64;
        self.events.extend(changes.ended.iter().map(|s| (at, Event::Ended(s.id))));
        self.events.extend(changes.moved.iter().map(|s| (at, Event::Moved(s.id, s.rect))));
        self.events.extend(changes.started.iter().map(|s| (at, Event::Started(s.id, s.rect))));
        if !changes.refine.is_empty() {
            self.refined.push((at, changes.refine));
        }
        for (i, a) in self.plan.streams().iter().enumerate() {
            assert!(self.size_holds(a.rect));
            for b in &self.plan.streams()[i + 1..] {
                assert!(a.id != b.id && a.rect.intersect(b.rect).is_none(), "{a:?} {b:?}");
            }
        }
    }

    fn size_holds(&self, rect: Rect) -> bool {
        !rect.is_empty() && self.plan.size.bounds().contains(rect)
    }

    fn on_time_until(&mut self, end: Duration) {
        while let Some(due) = self.plan.deadline().filter(|due| *due <= end) {
            let changes = self.plan.on_time(due);
            assert!(!changes.ended.is_empty(), "woken at {due:?} for nothing");
            self.take(due, changes);
        }
    }
}

/// Runs programs against a plan until nothing is left to do.
fn play(mode: StreamingVideo, frame: &Frame, programs: &[Program<'_>]) -> Story {
    let layout = frame.layout();
    let size = Size { width: layout.width, height: layout.height };
    let mut story = Story { events: Vec::new(), refined: Vec::new(), plan: VideoPlan::new(mode, size) };
    let mut changes: Vec<(Duration, Vec<Rect>)> = Vec::new();
    for p in programs {
        let times = (0..).map(|n| (n, ms(p.from) + Duration::from_micros(n * 1_000_000 / p.rate)));
        changes.extend(times.take_while(|(_, t)| *t < ms(p.to)).map(|(n, t)| (t, (p.damage)(n))));
    }
    changes.sort_by_key(|(t, _)| *t);
    for (now, rects) in changes {
        story.on_time_until(now);
        let changes = story.plan.on_damage(now, &rects.into_iter().collect(), frame);
        story.take(now, changes);
    }
    story.on_time_until(Duration::MAX);
    assert!(story.plan.streams().is_empty() && story.plan.deadline().is_none());
    story
}

fn filter(frame: &Frame, programs: &[Program<'_>]) -> Story {
    play(StreamingVideo::Filter, frame, programs)
}

/// The story of one stream that is never moved: started in time, ended in time and refined.
fn assert_one_video(story: &Story, area: Rect, begins: u64, last: u64) {
    let [(start, Event::Started(0, at)), (end, Event::Ended(0))] = story.events[..] else {
        panic!("{:?}", story.events)
    };
    assert_eq!(at, area);
    assert!((begins + 80..=begins + 250).contains(&start), "started at {start}");
    assert!((last + 499..=last + 501).contains(&end), "ended at {end}, last change at {last}");
    assert_eq!(story.refined.len(), 1);
    assert_eq!((story.refined[0].0, story.refined[0].1.rects()), (end, &[area][..]));
}

#[test]
fn a_movie_in_a_still_desktop_is_one_stream() {
    let frame = frame(SIZE, &[MOVIE]);
    for rate in [10, 12, 24, 25, 30, 50, 60] {
        let story = filter(&frame, &[movie(MOVIE, rate, 1000, 4001)]);
        let last = (0..).map(|n| 1000 + n * 1000 / rate).take_while(|t| *t <= 4000).last().unwrap();
        assert_one_video(&story, MOVIE, 1000, last);
    }
}

#[test]
fn a_full_screen_movie_is_one_stream() {
    for size in [SIZE, Size { width: 1366, height: 767 }] {
        let frame = frame(size, &[size.bounds()]);
        for rate in [30, 60] {
            let story = filter(&frame, &[movie(size.bounds(), rate, 7, 3000)]);
            assert_one_video(&story, size.bounds(), 7, story.events[1].0 - 500);
        }
    }
}

#[test]
fn a_stream_knows_its_rate() {
    let frame = frame(SIZE, &[MOVIE]);
    let mut plan = VideoPlan::new(StreamingVideo::Filter, SIZE);
    for n in 0..60 {
        let _ = plan.on_damage(Duration::from_micros(n * 33_333), &MOVIE.into(), &frame);
        if let [stream] = plan.streams() {
            assert!((28..=32).contains(&stream.fps()), "{} at frame {n}", stream.fps());
            assert_eq!(stream.since, Duration::from_micros(100_000 - 1));
        }
    }
    assert_eq!(plan.streams().len(), 1);
}

#[test]
fn typing_is_no_video() {
    // Even where the pixels would pass for a picture: letters are too small.
    let frame = frame(SIZE, &[SIZE.bounds()]);
    for rate in [3, 10, 30] {
        let typing = program(rate, 0, 5000, |n| {
            let (column, line) = (n as u32 % 80, n as u32 / 80);
            vec![rect(50 + column * 9, 100 + line * 18, 18, 18)]
        });
        let caret = program(2, 0, 5000, |_| vec![rect(770, 100, 2, 18)]);
        assert_eq!(filter(&frame, &[typing, caret]).events, []);
    }
}

#[test]
fn scrolling_text_is_no_video() {
    let frame = frame(SIZE, &[]);
    for rate in [5, 15, 30, 60] {
        let terminal = rect(60, 40, 800, 600);
        assert_eq!(filter(&frame, &[movie(terminal, rate, 0, 5000)]).events, []);
        let ragged = program(rate, 0, 5000, |n| {
            (0..33).map(|line| rect(60, 40 + 18 * line, 200 + (line * 97 + n as u32 * 31) % 600, 18)).collect()
        });
        assert_eq!(filter(&frame, &[ragged]).events, []);
    }
}

#[test]
fn a_dragged_window_of_text_is_no_video() {
    let frame = frame(SIZE, &[]);
    let drag = program(60, 0, 3000, |n| {
        let at = rect(20 + 4 * n as u32, 20 + n as u32, 400, 300);
        vec![at, rect(at.x + 4, at.y + 1, 400, 300)]
    });
    assert_eq!(filter(&frame, &[drag]).events, []);
}

#[test]
fn a_moving_pointer_is_no_video() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    for (radius, turns) in [(20.0, 2.0), (40.0, 1.0), (60.0, 1.0), (100.0, 0.5), (100.0, 2.0)] {
        let pointer = |n: u64| {
            let angle = n as f64 / 60.0 * turns * std::f64::consts::TAU;
            rect((400.0 + radius * angle.cos()) as u32, (300.0 + radius * angle.sin()) as u32, 24, 24)
        };
        let story = filter(&frame, &[program(60, 0, 4000, |n| vec![pointer(n), pointer(n + 1)])]);
        assert_eq!(story.events, [], "radius {radius}, {turns} turns a second");
    }
}

#[test]
fn clocks_carets_tickers_and_small_pictures_are_no_video() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    let clock = movie(rect(1100, 0, 180, 120), 1, 0, 5000);
    let seconds = movie(rect(900, 400, 100, 100), 4, 0, 5000);
    let ticker = movie(rect(0, 690, 1280, 30), 60, 0, 5000);
    let throbber = movie(rect(600, 300, 64, 64), 30, 0, 5000);
    assert_eq!(filter(&frame, &[clock, seconds, ticker, throbber]).events, []);
}

#[test]
fn one_large_change_is_no_video() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    // A window opens in an animation of four frames, then another after a second.
    let opens =
        |from| program(60, from, from + 66, |n| vec![rect(300, 200, 100 * n as u32 + 200, 80 * n as u32 + 160)]);
    assert_eq!(filter(&frame, &[opens(0), opens(1000)]).events, []);
}

#[test]
fn typing_beside_a_movie_stays_text() {
    let frame = frame(SIZE, &[MOVIE]);
    // Right beside it, and right below it.
    let beside = program(20, 500, 3900, |n| vec![rect(424, 60 + n as u32 / 10 * 18, 9 + 9 * (n as u32 % 10), 18)]);
    let below = program(30, 500, 3900, |n| vec![rect(100 + 9 * (n as u32 % 60), 296, 18, 18)]);
    let story = filter(&frame, &[movie(MOVIE, 30, 0, 4001), beside, below]);
    assert_one_video(&story, MOVIE, 0, 4000);
}

#[test]
fn text_and_video_of_one_frame_are_split() {
    let frame = frame(SIZE, &[MOVIE]);
    let mut plan = VideoPlan::new(StreamingVideo::Filter, SIZE);
    let letter = rect(600, 600, 9, 18);
    let both: Region = [MOVIE, letter].into_iter().collect();
    assert!(plan.split(&both).1.is_empty());
    for n in 0..10 {
        let _ = plan.on_damage(ms(33 * n), &MOVIE.into(), &frame);
    }
    let (lossless, streams) = plan.split(&both);
    assert_eq!((lossless.rects(), &streams[..]), (&[letter][..], &[0][..]));
    let (lossless, streams) = plan.split(&letter.into());
    assert_eq!((lossless.rects(), &streams[..]), (&[letter][..], &[][..]));
}

#[test]
fn two_movies_are_two_streams() {
    let other = rect(700, 300, 400, 300);
    let frame = frame(SIZE, &[MOVIE, other]);
    let story = filter(&frame, &[movie(MOVIE, 30, 0, 3000), movie(other, 25, 1000, 2001)]);
    let [(_, first), (start, second), (end, third), (_, fourth)] = story.events[..] else {
        panic!("{:?}", story.events)
    };
    assert_eq!((first, fourth), (Event::Started(0, MOVIE), Event::Ended(0)));
    assert_eq!((second, third), (Event::Started(1, other), Event::Ended(1)));
    assert!((1080..=1250).contains(&start) && end == 2500, "{start} {end}");
}

#[test]
fn two_movies_at_once_keep_their_numbers() {
    let other = rect(700, 300, 400, 300);
    let frame = frame(SIZE, &[MOVIE, other]);
    let story = filter(&frame, &[movie(MOVIE, 30, 0, 1000), movie(other, 30, 0, 3000), movie(MOVIE, 30, 2000, 3000)]);
    let events: Vec<Event> = story.events.iter().map(|(_, e)| *e).collect();
    let expected = [Event::Started(0, MOVIE), Event::Started(1, other), Event::Ended(0), Event::Started(0, MOVIE)];
    assert_eq!(events[..4], expected);
    assert_eq!(events.len(), 6);
}

#[test]
fn a_short_pause_is_not_the_end() {
    let frame = frame(SIZE, &[MOVIE]);
    let story = filter(&frame, &[movie(MOVIE, 30, 0, 1001), movie(MOVIE, 30, 1300, 2301)]);
    assert_one_video(&story, MOVIE, 0, 2300);
}

#[test]
fn a_pointer_and_a_clock_do_not_keep_a_stopped_movie_alive() {
    let frame = frame(SIZE, &[MOVIE]);
    let pointer = program(60, 0, 6000, |n| vec![rect(100 + n as u32 % 300, 150, 24, 24)]);
    let clock = program(1, 0, 6000, |_| vec![rect(120, 270, 60, 16)]);
    let story = filter(&frame, &[movie(MOVIE, 30, 0, 2001), pointer, clock]);
    assert_one_video(&story, MOVIE, 0, 2000);
}

#[test]
fn a_movie_of_which_little_moves_grows_to_its_area_and_is_one() {
    let area = rect(200, 100, 640, 360);
    let frame = frame(SIZE, &[area]);
    // Blocks of 128x72: the middle always, of the others each frame another five of 25.
    let blocks = program(30, 0, 6001, |n| {
        let block = |i: u64| rect(200 + i as u32 % 5 * 128, 100 + i as u32 / 5 * 72, 128, 72);
        let middle = [6, 7, 8, 11, 12, 13, 16, 17, 18];
        (0..25).filter(|i| middle.contains(i) || (i * 7 + n) % 5 == 0).map(block).collect()
    });
    let story = filter(&frame, &[blocks]);
    let ids: Vec<u8> = story
        .events
        .iter()
        .map(|(_, e)| match e {
            Event::Started(id, _) | Event::Moved(id, _) | Event::Ended(id) => *id,
        })
        .collect();
    assert!(ids.iter().all(|id| *id == 0), "{:?}", story.events);
    let (settled, Event::Started(_, last) | Event::Moved(_, last)) = story.events[story.events.len() - 2] else {
        panic!("{:?}", story.events)
    };
    assert_eq!(last, area, "{:?}", story.events);
    assert!(settled < 1500 && story.events.len() < 6, "{:?}", story.events);
    assert_eq!(story.refined.last().unwrap().1.rects(), [area]);
}

#[test]
fn a_movie_that_goes_full_screen_and_back_is_followed() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    let window = rect(200, 100, 640, 360);
    let programs = [
        movie(window, 30, 0, 2000),
        movie(SIZE.bounds(), 30, 2000, 4000),
        movie(window, 30, 4000, 10_000),
        // Typing goes on in what is no longer video.
        program(10, 4500, 10_000, |n| vec![rect(100 + 9 * (n as u32 % 80), 600, 18, 18)]),
    ];
    let story = filter(&frame, &programs);
    let events: Vec<Event> = story.events.iter().map(|(_, e)| *e).collect();
    let expected =
        [Event::Started(0, window), Event::Moved(0, SIZE.bounds()), Event::Moved(0, window), Event::Ended(0)];
    assert_eq!(events, expected, "{:?}", story.events);
    let times: Vec<u64> = story.events.iter().map(|(t, _)| *t).collect();
    assert!((2080..=2250).contains(&times[1]) && (4500..=7500).contains(&times[2]), "{times:?}");
    // What the full screen left behind is refined, the window is not.
    let (_, left) = &story.refined[0];
    assert_eq!(left.area(), SIZE.bounds().area() - window.area());
    assert!(!left.intersects(window));
}

#[test]
fn text_that_scrolls_where_a_movie_was_becomes_text_again() {
    let (movie_frame, text_frame) = (frame(SIZE, &[MOVIE]), frame(SIZE, &[]));
    let mut plan = VideoPlan::new(StreamingVideo::Filter, SIZE);
    let mut ended = None;
    for n in 0..200 {
        let now = ms(33 * n);
        let changes = plan.on_damage(now, &MOVIE.into(), if n < 60 { &movie_frame } else { &text_frame });
        assert!(plan.on_time(now).ended.is_empty(), "it never rests");
        if !changes.ended.is_empty() {
            assert_eq!(changes.refine.rects(), [MOVIE]);
            assert_eq!(ended.replace(n), None);
        }
    }
    let ended = 33 * ended.expect("text ends it");
    assert!((33 * 60 + 2000..33 * 60 + 2600).contains(&ended), "{ended}");
}

#[test]
fn a_stream_that_slows_down_to_steps_ends() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    // Pages are turned three times a second where the movie was.
    let story = filter(&frame, &[movie(MOVIE, 30, 0, 1001), movie(MOVIE, 3, 1333, 8000)]);
    let [(_, Event::Started(0, _)), (end, Event::Ended(0))] = story.events[..] else { panic!("{:?}", story.events) };
    assert!((3000..=5000).contains(&end), "{end}");
}

#[test]
fn a_stream_grows_over_another() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    let other = rect(700, 300, 400, 300);
    let programs = [movie(MOVIE, 30, 0, 1000), movie(other, 30, 500, 1000), movie(SIZE.bounds(), 30, 1000, 3000)];
    let story = filter(&frame, &programs);
    let events: Vec<Event> = story.events.iter().map(|(_, e)| *e).collect();
    let expected = [
        Event::Started(0, MOVIE),
        Event::Started(1, other),
        Event::Ended(1),
        Event::Moved(0, SIZE.bounds()),
        Event::Ended(0),
    ];
    assert_eq!(events, expected);
    assert_eq!(story.refined.len(), 1, "what another stream took over is not refined");
}

#[test]
fn there_are_at_most_eight() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    let areas: Vec<Rect> = (0..15).map(|i| rect(i % 5 * 256, i / 5 * 224, 160, 128)).collect();
    let programs: Vec<_> = areas.iter().map(|a| movie(*a, 30, 0, 1000)).collect();
    for mode in [StreamingVideo::Filter, StreamingVideo::All] {
        let story = play(mode, &frame, &programs);
        let mut ids: Vec<u8> = story
            .events
            .iter()
            .filter_map(|(_, e)| match e {
                Event::Started(id, _) => Some(*id),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

#[test]
fn all_is_every_area_from_its_second_frame_on() {
    let frame = frame(SIZE, &[]);
    let (text, caret) = (rect(60, 40, 800, 600), rect(1000, 680, 2, 18));
    let programs = [movie(text, 5, 0, 1001), movie(caret, 2, 5000, 8001), movie(rect(1100, 0, 60, 20), 1, 0, 900)];
    let story = play(StreamingVideo::All, &frame, &programs);
    let expected = [
        (200, Event::Started(0, text)),
        (2040, Event::Ended(0)),
        (5500, Event::Started(0, caret)),
        (9040, Event::Ended(0)),
    ];
    assert_eq!(story.events, expected);
}

#[test]
fn off_is_off() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    assert_eq!(play(StreamingVideo::Off, &frame, &[movie(SIZE.bounds(), 60, 0, 2000)]).events, []);
}

#[test]
fn another_size_ends_everything_and_starts_anew() {
    let big = frame(SIZE, &[MOVIE]);
    let mut plan = VideoPlan::new(StreamingVideo::Filter, SIZE);
    for n in 0..10 {
        let _ = plan.on_damage(ms(33 * n), &MOVIE.into(), &big);
    }
    let size = Size { width: 300, height: 200 };
    let changes = plan.resize(size);
    assert_eq!(changes.ended.iter().map(|s| s.id).collect::<Vec<_>>(), [0]);
    assert!(changes.refine.is_empty() && plan.streams().is_empty() && plan.deadline().is_none());
    let small = frame(size, &[size.bounds()]);
    for n in 10..20 {
        let _ = plan.on_damage(ms(33 * n), &MOVIE.into(), &small);
    }
    assert_eq!(plan.streams()[0].rect, rect(100, 50, 200, 150));
}

#[test]
fn any_damage_at_any_time_is_survived() {
    let frame = frame(SIZE, &[SIZE.bounds()]);
    for mode in [StreamingVideo::Filter, StreamingVideo::All] {
        let mut state = 7u32;
        let mut next = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        let mut plan = VideoPlan::new(mode, SIZE);
        let mut live: Vec<u8> = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..1500 {
            now += ms(u64::from(next(60)));
            let damage = rect(next(4) * 300, next(3) * 200, next(700), next(500));
            for changes in [plan.on_time(now), plan.on_damage(now, &damage.into(), &frame)] {
                for ended in changes.ended {
                    let at = live.iter().position(|id| *id == ended.id);
                    live.swap_remove(at.expect("only streams that started end"));
                }
                assert!(changes.moved.iter().all(|s| live.contains(&s.id)));
                live.extend(changes.started.iter().map(|s| s.id));
            }
            let mut ids: Vec<u8> = plan.streams().iter().map(|s| s.id).collect();
            ids.sort_unstable();
            live.sort_unstable();
            assert_eq!(ids, live);
            assert!(plan.streams().iter().all(|s| SIZE.bounds().contains(s.rect)));
        }
    }
}
