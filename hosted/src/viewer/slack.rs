//! [`Slack`]: when a stream's pictures are to be shown, beyond their predicted arrival.
//!
//! spice-gtk drops an MJPEG picture that arrives after its time and holds one back that arrives
//! before, so its time is its arrival and a few milliseconds more. A picture of any other codec is
//! held back likewise and shown at once when it is late: its time is when it was sent, or earlier.
//!
//! Times are read on the client's clock, which was set when the session began, or while sound plays,
//! to what is heard. Two clocks that differ by 100 ppm are 180 ms apart after half an hour; both
//! signs show: pictures are dropped, or shown ever later. Reports tell, so times follow the clock:
//!
//! ```text
//! time = now + predicted delay + drift + jitter
//!                                ─────   ──────
//!        moves a millisecond in two seconds   moves with every report
//! ```
//!
//! Where arrival cannot be predicted, because reports tell of late pictures again and again although
//! there is much for jitter, a stream of MJPEG is not the way.

use sumac_backends::Codec;
use sumac_core::proto::stream::StreamReport;

/// For jitter to begin with, in milliseconds.
const FIRST: i32 = 5;
/// The most that reports of late pictures can make of it, and of early ones: with sound, a client's
/// clock may be seconds behind, and set back when the sound ends.
const MOST: i32 = 400;
const LEAST: i32 = -10_000;
/// The farthest that clocks drift apart: 100 ppm need two months for that.
const DRIFT_MOST: i32 = 600_000;
/// Clocks drift by a millisecond in this time, in milliseconds, at most: what is faster is jitter.
const DRIFT_STEP: u32 = 2_000;
/// Milliseconds between arrival and time that reports are to tell.
const MARGIN: std::ops::RangeInclusive<i32> = 1..=5;
/// What is aimed at.
const AIM: i32 = 3;
/// The part of what a margin has too much that one report takes away: a hiccup is soon forgotten,
/// and jitter makes no picture late.
const CAUTION: i32 = 4;
/// Reports of pictures that were sent before are waited for no longer, in milliseconds.
const FORGOTTEN: u32 = 1_000;
/// Pictures of a report's window: until the margin is right, and then.
const FIRST_WINDOW: u32 = 1;
const WINDOW: u32 = 2;
/// A report of pictures that are late although they had so much for jitter, in milliseconds, says that
/// arrival is not predicted; so many of them more often than not, and it cannot be.
const AMPLE: i32 = 30;
const SURPRISES: u8 = 6;
/// Reports after which the window grows in any case: some links are never steady.
const FIRST_REPORTS: u32 = 10;

/// The slack of one stream.
#[derive(Debug)]
pub(super) struct Slack {
    /// Pictures that are late are dropped.
    punctual: bool,
    /// How far the client's clock went ahead of ours.
    drift: i32,
    /// When that was looked at last, on the protocol's clock.
    drifted: Option<u32>,
    jitter: i32,
    /// The time of the last picture.
    stamped: u32,
    /// Pictures that were on the way when late ones made it longer.
    outdated: Option<Outdated>,
    /// The client's clock is that of the sound it plays.
    sound: bool,
    reports: u32,
    window: u32,
    surprises: u8,
}

/// Pictures that were sent with less slack than there is now: reports of them must not add to it again.
#[derive(Clone, Copy, Debug)]
struct Outdated {
    /// The time of the last of them.
    until: u32,
    /// When they became so.
    since: u32,
    /// What they were sent with.
    jitter: i32,
}

impl Slack {
    /// Of a stream that is being created, for a client whose clock has drifted so far.
    pub(super) fn new(codec: Codec, drift: i32) -> Self {
        let punctual = codec == Codec::Mjpeg;
        Self {
            punctual,
            drift,
            drifted: None,
            jitter: if punctual { FIRST } else { 0 },
            stamped: 0,
            outdated: None,
            sound: false,
            reports: 0,
            window: if punctual { FIRST_WINDOW } else { WINDOW },
            surprises: 0,
        }
    }

    /// The time of a picture that is sent at `now` and arrives `delay` later than the link's shortest
    /// time, all in milliseconds on the protocol's clock.
    pub(super) fn time(&mut self, now: u32, delay: u32) -> u32 {
        let delay = if self.punctual { i32::try_from(delay).unwrap_or(i32::MAX) } else { 0 };
        let ahead = delay.saturating_add(self.drift + self.jitter);
        // With sound, not before what is heard with it.
        let ahead = if self.sound { ahead.max(0) } else { ahead };
        // 0 would mean that it has none.
        self.stamped = now.wrapping_add_signed(ahead).max(1);
        self.stamped
    }

    /// How far the client's clock went ahead of ours, for streams to come.
    pub(super) fn drift(&self) -> i32 {
        self.drift
    }

    /// Whether arrival cannot be predicted.
    pub(super) fn is_hopeless(&self) -> bool {
        self.surprises >= SURPRISES
    }

    /// How many pictures there are to be in a report.
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// How pictures arrived, as was heard at `now`: late ones make it longer at once, early ones
    /// shorter by and by. Answers whether the window changed.
    pub(super) fn on_report(&mut self, report: &StreamReport, now: u32) -> bool {
        let margin = report.last_frame_delay;
        self.sound = report.audio_delay != StreamReport::NO_AUDIO;
        self.outdated = self.outdated.filter(|outdated| {
            let is_older = outdated.until.wrapping_sub(report.end_frame_mm_time).cast_signed() >= 0;
            is_older && now.wrapping_sub(outdated.since) < FORGOTTEN
        });
        if report.num_drops > 0 || margin < *MARGIN.start() {
            self.late(margin, now);
        } else if self.outdated.is_some() {
            return false;
        } else if margin > *MARGIN.end() {
            let spare = (margin - AIM) / CAUTION;
            self.jitter = self.jitter.saturating_sub(spare.max(1)).max(if self.sound { -MOST } else { LEAST });
            self.surprises = self.surprises.saturating_sub(1);
        }
        self.follow_clock(now);
        self.reports = self.reports.saturating_add(1);
        let steady = MARGIN.contains(&margin) || self.reports >= FIRST_REPORTS;
        let before = self.window;
        if steady {
            self.window = WINDOW;
        }
        self.window != before
    }

    fn late(&mut self, margin: i32, now: u32) {
        if !self.punctual {
            // It was shown when it came, which is the best that it can be.
            return;
        }
        let missing = AIM.saturating_sub(margin).max(AIM);
        let Outdated { jitter, .. } = *self.outdated.get_or_insert_with(|| {
            self.surprises = self.surprises.saturating_add(u8::from(self.jitter >= AMPLE));
            Outdated { until: self.stamped, since: now, jitter: self.jitter }
        });
        self.jitter = jitter.saturating_add(missing).max(self.jitter).min(MOST);
    }

    /// What stays of jitter's part is the clock's.
    fn follow_clock(&mut self, now: u32) {
        let since = *self.drifted.get_or_insert(now);
        let steps = now.wrapping_sub(since) / DRIFT_STEP;
        self.drifted = Some(since.wrapping_add(steps * DRIFT_STEP));
        if self.sound {
            // A clock that sound sets does not drift.
            return;
        }
        let most = i32::try_from(steps).unwrap_or(i32::MAX);
        let stays = self.jitter - if self.punctual { FIRST } else { 0 };
        let drift = (self.drift + stays.clamp(-most, most)).clamp(-DRIFT_MOST, DRIFT_MOST);
        self.jitter -= drift - self.drift;
        self.drift = drift;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn report(margin: i32, drops: u32) -> StreamReport {
        StreamReport {
            stream_id: 0,
            unique_id: 1,
            start_frame_mm_time: 0,
            // Newer than any of these tests.
            end_frame_mm_time: 1 << 30,
            num_frames: 5,
            num_drops: drops,
            last_frame_delay: margin,
            audio_delay: StreamReport::NO_AUDIO,
        }
    }

    /// A client over a link of 80 ms whose jitter is 3 ms at most; all times in milliseconds.
    struct Client {
        /// Since its session began.
        now: f64,
        /// By which its clock is too fast.
        ppm: f64,
        /// It plays sound, and shows what is that much older than what it hears last.
        sound: Option<f64>,
        random: u32,
        reports: VecDeque<(f64, StreamReport)>,
        seen: (u32, u32),
    }

    /// What became of pictures.
    #[derive(Default)]
    struct Seen {
        pictures: u32,
        dropped: u32,
        /// How long each was held back, the longest last.
        held: Vec<i32>,
    }

    impl Client {
        const ONE_WAY: f64 = 40.0;

        fn new(ppm: f64) -> Self {
            Self { now: 0.0, ppm, sound: None, random: 1, reports: VecDeque::new(), seen: (0, 0) }
        }

        /// INIT set its clock, when it arrived; sound sets it to what is heard.
        fn clock(&self, at: f64) -> f64 {
            match self.sound {
                Some(delay) => at - Self::ONE_WAY - delay,
                None => (at - Self::ONE_WAY) * (1.0 + self.ppm / 1e6),
            }
        }

        /// Watches a stream for so long.
        fn watch(&mut self, slack: &mut Slack, seconds: f64, rate: f64) -> Seen {
            let (mut seen, end) = (Seen::default(), self.now + seconds * 1000.0);
            while self.now < end {
                while let Some((_, report)) = self.reports.pop_front_if(|(at, _)| *at <= self.now) {
                    slack.on_report(&report, self.now as u32);
                }
                self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let arrives = self.now + Self::ONE_WAY + f64::from(self.random >> 16) * 3.0 / 65536.0;
                let time = slack.time(self.now as u32, 0);
                let margin = time as i32 - self.clock(arrives) as i32;
                seen.pictures += 1;
                if margin < 0 && slack.punctual {
                    seen.dropped += 1;
                } else {
                    seen.held.push(margin.max(0));
                }
                self.report(slack, time, margin, arrives);
                self.now += 1000.0 / rate;
            }
            seen.held.sort_unstable();
            seen
        }

        fn report(&mut self, slack: &Slack, end_frame_mm_time: u32, margin: i32, at: f64) {
            self.seen.0 += 1;
            self.seen.1 += u32::from(margin < 0);
            if self.seen.0 >= slack.window() {
                let audio_delay = self.sound.map_or(StreamReport::NO_AUDIO, |delay| delay as u32);
                let report = StreamReport { audio_delay, end_frame_mm_time, ..report(margin, self.seen.1) };
                self.reports.push_back((at + Self::ONE_WAY, report));
                self.seen = (0, 0);
            }
        }
    }

    #[test]
    fn mjpeg_is_timed_a_little_after_its_arrival() {
        let mut slack = Slack::new(Codec::Mjpeg, 0);
        assert_eq!((slack.time(1000, 0), slack.time(1000, 40)), (1005, 1045));
        assert!(!slack.on_report(&report(-7, 1), 0));
        assert_eq!(slack.time(1000, 0), 1015, "late ones at once");
        for _ in 0..3 {
            slack.on_report(&report(12, 0), 0);
        }
        assert_eq!(slack.time(1000, 0), 1009, "early ones by and by");
        slack.on_report(&report(3, 0), 0);
        assert_eq!(slack.time(1000, 0), 1009);
    }

    #[test]
    fn what_was_sent_before_late_ones_were_heard_of_is_made_up_for_once() {
        let (mut client, mut slack) = (Client::new(0.0), Slack::new(Codec::Mjpeg, -50));
        client.watch(&mut slack, 0.5, 60.0);
        let seen = client.watch(&mut slack, 1.0, 60.0);
        assert!(seen.dropped == 0, "{slack:?}");
        assert!(seen.held.last() <= Some(&12), "{:?}", seen.held.last());
    }

    #[test]
    fn a_clock_that_drifts_is_followed_for_half_an_hour_and_for_a_day() {
        for ppm in [100.0, -100.0] {
            for codec in [Codec::Mjpeg, Codec::H264] {
                for (seconds, rate) in [(1800.0, 30.0), (86_400.0, 10.0)] {
                    let (mut client, mut slack) = (Client::new(ppm), Slack::new(codec, 0));
                    client.watch(&mut slack, 2.0, rate);
                    let seen = client.watch(&mut slack, seconds, rate);
                    let longest = seen.held[seen.held.len() * 999 / 1000];
                    assert!(seen.dropped <= seen.pictures / 100, "{ppm} {codec}: {} dropped", seen.dropped);
                    assert!(longest <= 12, "{ppm} {codec}: held for {longest} ms");
                    assert!(!slack.is_hopeless(), "{ppm} {codec}");
                    // The next stream begins where this one was.
                    let seen = client.watch(&mut Slack::new(codec, slack.drift()), 1.0, 30.0);
                    assert!(seen.dropped <= 3, "{ppm} {codec}: {} of a new stream dropped", seen.dropped);
                    assert!(seen.held.last() <= Some(&15), "{ppm} {codec}: {:?}", seen.held.last());
                }
            }
        }
    }

    #[test]
    fn with_sound_pictures_are_shown_when_it_is_heard_and_afterwards_at_once() {
        for codec in [Codec::Mjpeg, Codec::H264] {
            let (mut client, mut slack) = (Client::new(0.0), Slack::new(codec, 0));
            client.watch(&mut slack, 10.0, 30.0);
            client.sound = Some(200.0);
            client.watch(&mut slack, 2.0, 30.0);
            let seen = client.watch(&mut slack, 60.0, 30.0);
            let (earliest, longest) = (seen.held[0], seen.held[seen.held.len() - 1]);
            assert!(earliest >= 190 && longest <= 205, "{codec}: {earliest} to {longest} ms");
            // The sound is heard sooner now.
            client.sound = Some(60.0);
            let seen = client.watch(&mut slack, 60.0, 30.0);
            assert!(seen.dropped <= 30, "{codec}: {}", seen.dropped);
            assert!(slack.time(1000, 0) <= 1005, "{codec}");
            client.sound = None;
            client.watch(&mut slack, 2.0, 30.0);
            let seen = client.watch(&mut slack, 60.0, 30.0);
            assert!(seen.held.last() <= Some(&12), "{codec}: {:?}", seen.held.last());
        }
    }

    #[test]
    fn slack_has_bounds_whatever_a_client_reports() {
        let mut slack = Slack::new(Codec::Mjpeg, 0);
        let most = |slack: &mut Slack, drift: i32| slack.time(1, 0) <= 1 + (MOST + drift).unsigned_abs();
        for margin in [i32::MIN, -1, 0, i32::MIN] {
            slack.on_report(&report(margin, u32::MAX - 1), 0);
            assert!(most(&mut slack, 0));
        }
        for n in 0..2000_u32 {
            slack.on_report(&report(i32::MIN, 1), n << 21);
            assert!(most(&mut slack, DRIFT_MOST));
        }
        for n in 0..2000_u32 {
            slack.on_report(&report(i32::MAX, 0), n << 21);
        }
        let least = -DRIFT_MOST + LEAST;
        assert!(slack.time(1_000_000_000, 0) >= 1_000_000_000_u32.wrapping_add_signed(least));
        assert_eq!(Slack::new(Codec::Mjpeg, 0).time(u32::MAX - 4, 0), 1, "0 would be none");
        let huge = Slack::new(Codec::Mjpeg, 0).time(u32::MAX - 1, u32::MAX);
        assert_eq!(huge, (u32::MAX - 1).wrapping_add_signed(i32::MAX));
    }

    #[test]
    fn windows_grow_when_the_margin_is_right_or_never_will_be() {
        let mut slack = Slack::new(Codec::Mjpeg, 0);
        assert_eq!(slack.window(), 1);
        assert!(!slack.on_report(&report(0, 0), 0) && slack.on_report(&report(4, 0), 0));
        assert_eq!(slack.window(), WINDOW);
        assert!(!slack.on_report(&report(0, 0), 0));
        let mut unsteady = Slack::new(Codec::Mjpeg, 0);
        let grown = (0..20).position(|_| unsteady.on_report(&report(-1, 1), 0));
        assert_eq!(grown, Some(9));
    }

    #[test]
    fn late_pictures_again_and_again_are_hopeless_and_a_hiccup_is_not() {
        let mut slack = Slack::new(Codec::Mjpeg, 0);
        for _ in 0..50 {
            slack.on_report(&report(-80, 5), 0);
            assert!(!slack.is_hopeless());
            for _ in 0..20 {
                let margin = slack.time(1000, 0) as i32 - 1000;
                slack.on_report(&report(margin, 0), 0);
            }
        }
        let reports = (0..50).position(|_| {
            slack.on_report(&report(-40, 5), 0);
            slack.is_hopeless()
        });
        assert!(reports.is_some_and(|n| n >= SURPRISES.into()), "{reports:?}");
    }

    #[test]
    fn what_is_shown_at_once_when_late_needs_no_slack() {
        let mut slack = Slack::new(Codec::H264, 0);
        assert!(!slack.on_report(&report(-100, 3), 0));
        assert_eq!((slack.time(1000, 50), slack.window()), (1000, WINDOW));
    }
}
