//! What every [`Source`] must do, as one check that each of them runs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sumac_backends::{Dmabuf, Frame, Layout};

use super::{
    Button, Cookie, CursorShape, Host, Identity, InputEvent, Leds, Monitor, Peripherals, Rect, Size, Source, Stage,
    ToSource,
};

/// Longer than this is taken for "never"; a machine may be slow.
const NEVER: Duration = Duration::from_secs(20);

/// Long enough for something that moves to move, however slowly.
const A_WHILE: Duration = Duration::from_millis(300);

/// Checks a kind of source that has one display and begins with this size; `make` makes a new one
/// each time.
///
/// * The first picture comes without a viewer, has that size, and is all damage.
/// * What it scans out is a picture like one that it publishes.
/// * Damage lies inside of the picture and is honest: nothing else changed. A new size is all damage.
/// * Without viewers nothing is published, and frozen nothing moves by itself.
/// * No input makes it panic or end.
/// * It ends when told to, and when the server is gone.
/// * Its counters count.
pub(super) fn check_source(size: Size, make: &dyn Fn() -> Box<dyn Source>) {
    let start = || Running::start(size, make());
    shows_nothing_without_viewers(&start);
    survives_a_storm(&start, false);
    survives_a_storm(&start, true);
    rests_when_frozen(&start);
    ends_when_the_server_is_gone(&start);
}

fn shows_nothing_without_viewers(start: &dyn Fn() -> Running) {
    let source = start();
    storm(1, 100).into_iter().filter(|m| matches!(m, ToSource::Input(_))).for_each(|m| source.tell(m));
    thread::sleep(A_WHILE);
    assert_eq!(source.quit(), 0, "pictures without viewers");

    let source = start();
    source.tell(ToSource::Viewers(1));
    source.tell(ToSource::Viewers(0));
    source.tell(ToSource::Freeze(false));
    thread::sleep(A_WHILE);
    source.published.try_iter().for_each(drop);
    thread::sleep(A_WHILE);
    assert_eq!(source.quit(), 0, "pictures after the last viewer had left");
}

fn survives_a_storm(start: &dyn Fn() -> Running, frozen: bool) {
    for seed in 0..4 {
        let source = start();
        source.tell(ToSource::Freeze(frozen));
        source.tell(ToSource::Viewers(2));
        storm(seed, 400).into_iter().for_each(|m| source.tell(m));
        source.quit();
    }
}

fn rests_when_frozen(start: &dyn Fn() -> Running) {
    let source = start();
    source.tell(ToSource::Freeze(true));
    source.tell(ToSource::Viewers(1));
    thread::sleep(A_WHILE);
    assert!(source.quit() <= 2, "more pictures than messages while frozen");
}

fn ends_when_the_server_is_gone(start: &dyn Fn() -> Running) {
    let Running { to_source, ended, thread, .. } = start();
    drop(to_source);
    ended.recv_timeout(NEVER).expect("the source outlives its server");
    thread.join().expect("the source panicked");
}

/// A source on its thread, with a stage that checks what it shows.
struct Running {
    to_source: Sender<ToSource>,
    published: Receiver<()>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Starts it and waits for the first picture.
    fn start(size: Size, source: Box<dyn Source>) -> Self {
        let (to_source, inbox) = channel();
        let (tell_published, published) = channel();
        let (tell_ended, ended) = channel();
        let stats = source.stats();
        let thread = thread::spawn(move || {
            let stage = CheckingStage { first: Some(size), newest: None, scanout: None, published: tell_published };
            let host = CheckingHost { stage: Mutex::new(Some(stage)), peripherals: Peripherals::default() };
            let result = source.run(Arc::new(host), inbox);
            // The receiver is gone when the check has failed already.
            let _ = tell_ended.send(());
            result.expect("the source failed");
        });
        published.recv_timeout(NEVER).expect("no first picture");
        assert!(stats.submitted() <= 1);
        Self { to_source, published, ended, thread }
    }

    fn tell(&self, message: ToSource) {
        self.to_source.send(message).expect("the source ended on its own");
    }

    /// Tells it to quit, waits until it has, and counts its pictures after the first.
    fn quit(self) -> usize {
        self.tell(ToSource::Quit);
        // A thread that panics drops its end of the channel, which is noticed at once.
        let ended = self.ended.recv_timeout(NEVER);
        self.thread.join().expect("the source panicked");
        ended.expect("the source does not quit");
        self.published.try_iter().count()
    }
}

/// Has display 0, once.
struct CheckingHost {
    stage: Mutex<Option<CheckingStage>>,
    peripherals: Peripherals,
}

impl Host for CheckingHost {
    fn display(&self, id: u8) -> Option<Box<dyn Stage>> {
        assert_eq!(id, 0, "sources with one display number it 0");
        self.stage.lock().unwrap().take().map(|stage| Box::new(stage) as Box<dyn Stage>)
    }

    fn leds(&self, _: Leds) {}

    fn peripherals(&self) -> &Peripherals {
        &self.peripherals
    }

    fn mouse(&self, _absolute: bool) {}

    fn identity(&self, _identity: Identity) {}
}

/// Checks every picture against the one before, on the source's own thread.
struct CheckingStage {
    /// Of the first picture, until it came.
    first: Option<Size>,
    newest: Option<Frame>,
    scanout: Option<Dmabuf>,
    published: Sender<()>,
}

impl Stage for CheckingStage {
    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        let layout = frame.layout();
        let size = Size { width: layout.width, height: layout.height };
        for rect in damage {
            assert_eq!(rect.intersect(size.bounds()), Some(*rect), "damage outside of {size:?}");
        }
        let before = self.newest.replace(frame.clone());
        match before.filter(|before| before.layout() == layout) {
            Some(before) => check_honest(&before, &frame, damage),
            None => assert!(covers(damage, size), "a new size without damage everywhere: {damage:?} of {size:?}"),
        }
        if let Some(first) = self.first.take() {
            assert_eq!(first, size, "the size of the first picture");
        }
        // The check may have ended.
        let _ = self.published.send(());
    }

    fn cursor(&mut self, shape: Option<CursorShape>) {
        if let Some(shape) = shape {
            let Size { width, height } = shape.size;
            assert_eq!(shape.bgra.len() as u64, u64::from(width) * u64::from(height) * 4);
            assert!(u32::from(shape.hot_x) < width && u32::from(shape.hot_y) < height, "points outside of itself");
            let premultiplied = |p: &[u8]| p[..3].iter().all(|color| *color <= p[3]);
            assert!(shape.bgra.chunks_exact(4).all(premultiplied));
        }
    }

    fn pointer(&mut self, x: i32, y: i32) {
        assert!(x >= 0 && y >= 0, "the pointer is outside of the picture");
    }

    fn scanout(&mut self, scanout: Option<Dmabuf>) {
        self.scanout = scanout;
    }

    /// A draw is a picture like another.
    fn gl_draw(&mut self, rect: Rect, done: Cookie) {
        let scanout = Frame::from_dmabuf(self.scanout.clone().expect("a draw without a scanout"));
        let (Layout { width, height, .. }, mut pixels) = (scanout.layout(), Vec::new());
        self.scanout.as_ref().unwrap().read_back(scanout.bounds(), &mut pixels).unwrap();
        let layout = Layout { width, height, stride: width * 4 };
        self.publish(Frame::from_memory(layout, pixels).unwrap(), &[rect]);
        drop(done);
    }
}

/// Whether every pixel of a picture is damage; the rectangles may be in any order and overlap.
fn covers(damage: &[Rect], size: Size) -> bool {
    let mut edges: Vec<u32> = damage.iter().flat_map(|r| [r.y, r.bottom()]).chain([0, size.height]).collect();
    edges.sort_unstable();
    edges.windows(2).filter(|band| band[0] < band[1]).all(|band| {
        let mut spans: Vec<(u32, u32)> =
            damage.iter().filter(|r| r.y <= band[0] && r.bottom() >= band[1]).map(|r| (r.x, r.right())).collect();
        spans.sort_unstable();
        spans.iter().fold(0, |reach, (left, right)| if *left <= reach { reach.max(*right) } else { reach })
            >= size.width
    })
}

/// Nothing changed outside of the damage.
fn check_honest(before: &Frame, after: &Frame, damage: &[Rect]) {
    let layout = after.layout();
    let stride = layout.stride as usize;
    for y in 0..layout.height {
        let row = |frame: &Frame| {
            let start = y as usize * stride;
            frame.pixels()[start..start + layout.width as usize * 4].to_vec()
        };
        let (mut before, after) = (row(before), row(after));
        if before == after {
            continue;
        }
        for rect in damage.iter().filter(|r| (r.y..r.bottom()).contains(&y)) {
            let columns = rect.x as usize * 4..rect.right() as usize * 4;
            before[columns.clone()].copy_from_slice(&after[columns]);
        }
        let wrong = before.iter().zip(&after).position(|(b, a)| b != a).map(|at| at / 4);
        assert_eq!(wrong, None, "row {y} changed at this column outside of {damage:?}");
    }
}

/// Random messages of every kind except the last one; the same for the same seed.
pub(super) fn storm(seed: u32, length: usize) -> Vec<ToSource> {
    let mut state = seed;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(state >> 4) * u64::from(below)) >> 28) as u32
    };
    (0..length).map(|_| message(&mut random)).collect()
}

fn message(random: &mut dyn FnMut(u32) -> u32) -> ToSource {
    const BUTTONS: [Button; 5] = [Button::Left, Button::Middle, Button::Right, Button::Side, Button::Extra];
    const EXTREMES: [i32; 6] = [i32::MIN, -4000, -1, 0, 1, i32::MAX];
    let extreme = |random: &mut dyn FnMut(u32) -> u32| EXTREMES[random(6) as usize];
    ToSource::Input(match random(100) {
        0..=29 => InputEvent::Key { code: random(256) as u8, extended: random(4) == 0, down: random(3) != 0 },
        30..=59 => InputEvent::MoveTo { display: 0, x: random(1400), y: random(800) },
        60..=61 => InputEvent::MoveTo { display: 7, x: u32::MAX - random(2), y: random(2) * u32::MAX },
        62..=74 => InputEvent::MoveBy { dx: random(61) as i32 - 30, dy: random(61) as i32 - 30 },
        75..=76 => InputEvent::MoveBy { dx: extreme(random), dy: extreme(random) },
        // Mostly the button that does something, and often held.
        77..=86 => InputEvent::Button { button: BUTTONS[random(10).saturating_sub(5) as usize], down: random(3) != 0 },
        87..=90 => InputEvent::Wheel(random(7) as i32 - 3),
        91 => InputEvent::Wheel(extreme(random)),
        92..=93 => InputEvent::Leds(Leds { scroll: random(2) == 0, num: random(2) == 0, caps: random(2) == 0 }),
        94..=95 => {
            return ToSource::Resize {
                display: 0,
                monitor: Monitor::of(Size { width: random(1000), height: random(700) }),
            };
        }
        96 => {
            return ToSource::Resize { display: 0, monitor: Monitor::of(Size { width: random(2), height: random(2) }) };
        }
        97 => return ToSource::Viewers(1 + random(3) as usize),
        _ => return ToSource::Freeze(random(2) == 0),
    })
}

#[test]
fn what_covers_and_what_does_not() {
    let rect = |x, y, width, height| Rect { x, y, width, height };
    let size = Size { width: 10, height: 10 };
    assert!(covers(&[size.bounds()], size));
    assert!(covers(&[rect(5, 0, 5, 10), rect(0, 0, 6, 4), rect(0, 4, 5, 6)], size));
    assert!(!covers(&[rect(5, 0, 5, 10), rect(0, 0, 6, 4), rect(0, 4, 4, 6)], size));
    assert!(!covers(&[rect(0, 0, 10, 9)], size));
    assert!(!covers(&[], size));
}

#[test]
#[should_panic(expected = "row 3 changed at this column outside")]
fn dishonest_damage_is_noticed() {
    let layout = Layout { width: 8, height: 8, stride: 32 };
    let mut pixels = vec![0; 256];
    let before = Frame::from_memory(layout, pixels.clone()).unwrap();
    pixels[3 * 32 + 5] = 1;
    let after = Frame::from_memory(layout, pixels).unwrap();
    check_honest(&before, &after, &[Rect { x: 1, y: 3, width: 1, height: 1 }]);
    check_honest(&before, &after, &[Rect { x: 2, y: 3, width: 1, height: 1 }]);
}
