//! Date and time in words, in UTC: the desktop knows no time zones.

use std::time::{SystemTime, UNIX_EPOCH};

/// What a frozen desktop's clock shows, in seconds since 1970: 2025-06-21 12:00:00, a Saturday.
pub(super) const FROZEN: u64 = 1_750_507_200;

const DAY: u64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970 now; 0 when the machine's clock is before that.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// `12:00:00`
pub(super) fn time_of_day(seconds: u64) -> String {
    let second = seconds % DAY;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// `Sat 21 Jun`
pub(super) fn short_date(seconds: u64) -> String {
    let (_, month, day) = civil(seconds / DAY);
    format!("{} {day} {}", weekday(seconds), MONTHS[month])
}

/// `Sat Jun 21 12:00:00 UTC 2025`, as date(1) writes it.
pub(super) fn date_and_time(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    format!("{} {} {day:2} {} UTC {year}", weekday(seconds), MONTHS[month], time_of_day(seconds))
}

fn weekday(seconds: u64) -> &'static str {
    WEEKDAYS[(seconds / DAY % 7) as usize]
}

/// Year, month from 0, and day of the month of a day counted from 1970-01-01.
fn civil(days: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // Whole cycles of 400 years first, so that any number of seconds takes a bounded time.
    let mut year = 1970 + days / 146_097 * 400;
    let mut days = days % 146_097;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while month < 11 && days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(date_and_time(0), "Thu Jan  1 00:00:00 UTC 1970");
        assert_eq!(date_and_time(951_782_400), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(date_and_time(FROZEN), "Sat Jun 21 12:00:00 UTC 2025");
        assert_eq!(date_and_time(4_107_542_399), "Sun Feb 28 23:59:59 UTC 2100");
        assert_eq!(date_and_time(4_107_542_400), "Mon Mar  1 00:00:00 UTC 2100");
        assert_eq!(short_date(FROZEN), "Sat 21 Jun");
        assert!(!date_and_time(u64::MAX).is_empty());
    }
}
