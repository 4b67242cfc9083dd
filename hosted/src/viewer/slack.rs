//! [`Slack`]: when a stream's pictures are to be shown, beyond their predicted arrival.
//!
//! spice-gtk drops an MJPEG picture that arrives after its time and holds one back that arrives
//! before, so its time is its arrival and a few milliseconds more. A picture of any other codec is
//! shown at once when it is late: its time is when it was sent. Where arrival cannot be predicted,
//! because reports tell of late pictures again and again, a stream of MJPEG is not the way.

use sumac_backends::Codec;
use sumac_core::proto::stream::StreamReport;

/// To begin with, in milliseconds.
const FIRST: u32 = 5;
/// The most that reports of late pictures can make of it.
const MOST: u32 = 400;
/// Milliseconds between arrival and time that reports are to tell.
const MARGIN: std::ops::RangeInclusive<i32> = 1..=5;
/// What is aimed at.
const AIM: i32 = 3;
/// The part of what a margin has too much that one report takes away: a hiccup is soon forgotten,
/// and jitter makes no picture late.
const CAUTION: i32 = 4;
/// Pictures of a report's window: until the margin is right, and then.
const FIRST_WINDOW: u32 = 1;
const WINDOW: u32 = 5;
/// A report of pictures that are late although they had so much slack, in milliseconds, says that
/// arrival is not predicted; so many of them more often than not, and it cannot be.
const AMPLE: u32 = 30;
const SURPRISES: u8 = 6;
/// Reports after which the window grows in any case: some links are never steady.
const FIRST_REPORTS: u32 = 10;

/// The slack of one stream.
#[derive(Debug)]
pub(super) struct Slack {
    /// `None` for a codec that needs none.
    ms: Option<u32>,
    reports: u32,
    window: u32,
    surprises: u8,
}

impl Slack {
    /// Of a stream that is being created.
    pub(super) fn new(codec: Codec) -> Self {
        let steered = codec == Codec::Mjpeg;
        Self {
            ms: steered.then_some(FIRST),
            reports: 0,
            window: if steered { FIRST_WINDOW } else { WINDOW },
            surprises: 0,
        }
    }

    /// The time of a picture that is sent at `now` and arrives `delay` later than the link's shortest
    /// time, all in milliseconds on the client's clock.
    pub(super) fn time(&self, now: u32, delay: u32) -> u32 {
        let ahead = self.ms.map_or(0, |slack| delay.saturating_add(slack));
        // 0 would mean that it has none.
        now.wrapping_add(ahead).max(1)
    }

    /// Whether arrival cannot be predicted.
    pub(super) fn is_hopeless(&self) -> bool {
        self.surprises >= SURPRISES
    }

    /// How many pictures there are to be in a report.
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// How pictures arrived: late ones make it longer at once, early ones shorter by and by. Answers
    /// whether the window changed.
    pub(super) fn on_report(&mut self, report: &StreamReport) -> bool {
        let Some(slack) = &mut self.ms else { return false };
        let margin = report.last_frame_delay;
        if report.num_drops > 0 || margin < *MARGIN.start() {
            let missing = AIM.saturating_sub(margin).max(AIM);
            self.surprises = self.surprises.saturating_add(u8::from(*slack >= AMPLE));
            *slack = slack.saturating_add(missing.unsigned_abs()).min(MOST);
        } else if margin > *MARGIN.end() {
            let spare = (margin - AIM) / CAUTION;
            *slack = slack.saturating_sub(spare.unsigned_abs().max(1)).max(1);
            self.surprises = self.surprises.saturating_sub(1);
        }
        self.reports = self.reports.saturating_add(1);
        let steady = MARGIN.contains(&margin) || self.reports >= FIRST_REPORTS;
        let before = self.window;
        if steady {
            self.window = WINDOW;
        }
        self.window != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(margin: i32, drops: u32) -> StreamReport {
        StreamReport {
            stream_id: 0,
            unique_id: 1,
            start_frame_mm_time: 0,
            end_frame_mm_time: 0,
            num_frames: 5,
            num_drops: drops,
            last_frame_delay: margin,
            audio_delay: StreamReport::NO_AUDIO,
        }
    }

    #[test]
    fn mjpeg_is_timed_a_little_after_its_arrival() {
        let mut slack = Slack::new(Codec::Mjpeg);
        assert_eq!((slack.time(1000, 0), slack.time(1000, 40)), (1005, 1045));
        assert!(!slack.on_report(&report(-7, 1)));
        assert_eq!(slack.time(1000, 0), 1015, "late ones at once");
        for _ in 0..3 {
            slack.on_report(&report(12, 0));
        }
        assert_eq!(slack.time(1000, 0), 1009, "early ones by and by");
        slack.on_report(&report(3, 0));
        assert_eq!(slack.time(1000, 0), 1009);
    }

    #[test]
    fn slack_has_bounds_whatever_a_client_reports() {
        let mut slack = Slack::new(Codec::Mjpeg);
        for margin in [i32::MIN, -1, 0, i32::MIN] {
            slack.on_report(&report(margin, u32::MAX - 1));
            assert!(slack.time(1, 0) <= 1 + MOST);
        }
        for _ in 0..2 * MOST {
            slack.on_report(&report(i32::MAX, 0));
        }
        assert_eq!(slack.time(1000, 0), 1001);
        assert_eq!((slack.time(u32::MAX, 0), slack.time(u32::MAX - 1, u32::MAX)), (1, u32::MAX - 2));
    }

    #[test]
    fn windows_grow_when_the_margin_is_right_or_never_will_be() {
        let mut slack = Slack::new(Codec::Mjpeg);
        assert_eq!(slack.window(), 1);
        assert!(!slack.on_report(&report(0, 0)) && slack.on_report(&report(4, 0)));
        assert_eq!(slack.window(), 5);
        assert!(!slack.on_report(&report(0, 0)));
        let mut unsteady = Slack::new(Codec::Mjpeg);
        let grown = (0..20).position(|_| unsteady.on_report(&report(-1, 1)));
        assert_eq!(grown, Some(9));
    }

    #[test]
    fn late_pictures_again_and_again_are_hopeless_and_a_hiccup_is_not() {
        let mut slack = Slack::new(Codec::Mjpeg);
        for _ in 0..50 {
            slack.on_report(&report(-40, 5));
            assert!(!slack.is_hopeless());
            for _ in 0..20 {
                slack.on_report(&report(60, 0));
            }
        }
        let reports = (0..50).position(|_| {
            slack.on_report(&report(-40, 5));
            slack.is_hopeless()
        });
        assert!(reports.is_some_and(|n| n >= SURPRISES.into()), "{reports:?}");
    }

    #[test]
    fn what_is_shown_at_once_when_late_needs_no_slack() {
        let mut slack = Slack::new(Codec::H264);
        assert!(!slack.on_report(&report(-100, 3)));
        assert_eq!((slack.time(1000, 50), slack.window()), (1000, 5));
    }
}
