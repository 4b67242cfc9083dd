//! [`page`]: all counters in Prometheus' text format, version 0.0.4.

use std::fmt::{self, Display, Write};
use std::sync::atomic::Ordering;

use crate::ledger::{BOUNDS, Closed, Count, Histogram, Ledger, Refused, Step};
use crate::stats::Memory;

/// Names and meanings of what is counted, in the order of [`Count::ALL`].
const COUNTS: [(&str, &str); Count::ALL.len()] = [
    ("sumac_pictures_published_total", "Pictures and draws that the source published."),
    ("sumac_pictures_dropped_total", "Published pictures that were overtaken before they were taken."),
    ("sumac_images_encoded_total", "Images that were encoded."),
    ("sumac_video_frames_encoded_total", "Frames of video that were encoded."),
    ("sumac_video_key_frames_total", "Encoded frames of video that stand alone."),
    ("sumac_encoder_losses_total", "Video encoders that were lost."),
];

/// The whole text.
pub(crate) fn page(ledger: &Ledger, memory: &Memory) -> String {
    let mut page = String::new();
    // A string takes everything.
    let _ = write(&mut page, ledger, memory);
    page
}

fn write(page: &mut String, ledger: &Ledger, memory: &Memory) -> fmt::Result {
    let open = |wanted: &str| ledger.channels().filter(|(name, _)| *name == wanted).map(|(_, t)| t.open()).sum::<u64>();
    // A session lives as long as its main channel.
    single(page, "sumac_viewers", "gauge", "Viewers that are connected.", open("main"))?;
    family(page, "sumac_channels", "gauge", "Open channels.")?;
    for (name, traffic) in ledger.channels() {
        writeln!(page, "sumac_channels{{type=\"{name}\"}} {}", traffic.open())?;
    }
    family(page, "sumac_sent_bytes_total", "counter", "Bytes of channels that the kernel took.")?;
    for (name, traffic) in ledger.channels() {
        writeln!(page, "sumac_sent_bytes_total{{type=\"{name}\"}} {}", traffic.bytes.load(Ordering::Relaxed))?;
    }
    family(page, "sumac_sent_messages_total", "counter", "Messages that were said on channels.")?;
    for (name, traffic) in ledger.channels() {
        writeln!(page, "sumac_sent_messages_total{{type=\"{name}\"}} {}", traffic.messages.load(Ordering::Relaxed))?;
    }
    family(page, "sumac_connections_refused_total", "counter", "Connections that did not become a channel.")?;
    for why in Refused::ALL {
        writeln!(page, "sumac_connections_refused_total{{reason=\"{}\"}} {}", why.name(), ledger.refused(why))?;
    }
    family(page, "sumac_channels_closed_total", "counter", "Channels that ended.")?;
    for why in Closed::ALL {
        writeln!(page, "sumac_channels_closed_total{{reason=\"{}\"}} {}", why.name(), ledger.closed(why))?;
    }
    for (what, (name, help)) in Count::ALL.into_iter().zip(COUNTS) {
        single(page, name, "counter", help, ledger.count(what))?;
    }
    family(page, "sumac_picture_seconds", "histogram", "How long a step of the pictures' way took.")?;
    for step in Step::ALL {
        histogram(page, step.name(), ledger.step(step))?;
    }
    for (name, help, kb) in [
        ("sumac_memory_resident_bytes", "Memory in use.", memory.rss_kb),
        ("sumac_memory_anonymous_bytes", "Memory in use without mapped files.", memory.anon_kb),
        ("sumac_memory_peak_bytes", "The most memory that was ever in use.", memory.hwm_kb),
    ] {
        single(page, name, "gauge", help, kb.saturating_mul(1024))?;
    }
    single(page, "sumac_threads", "gauge", "Threads of the process.", memory.threads)
}

fn family(page: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A family with one value.
fn single(page: &mut String, name: &str, kind: &str, help: &str, value: impl Display) -> fmt::Result {
    family(page, name, kind, help)?;
    writeln!(page, "{name} {value}")
}

fn histogram(page: &mut String, step: &str, histogram: &Histogram) -> fmt::Result {
    let sum = seconds(histogram.sum_us());
    let mut below = 0;
    let bounds = BOUNDS.iter().map(|&bound| seconds(bound).to_string()).chain(["+Inf".into()]);
    for (count, bound) in histogram.counts().into_iter().zip(bounds) {
        below += count;
        writeln!(page, "sumac_picture_seconds_bucket{{step=\"{step}\",le=\"{bound}\"}} {below}")?;
    }
    writeln!(page, "sumac_picture_seconds_sum{{step=\"{step}\"}} {sum}")?;
    writeln!(page, "sumac_picture_seconds_count{{step=\"{step}\"}} {below}")
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sumac_core::proto::common::ChannelType;

    use super::*;

    #[test]
    fn buckets_add_up_and_values_are_where_they_belong() {
        let ledger = Ledger::new(true);
        for ms in [1, 1, 3, 9000] {
            ledger.note(Step::Say, Duration::from_millis(ms));
        }
        ledger.add(Count::KeyFrames, 7);
        ledger.refuse(Refused::Crowded);
        ledger.close(Closed::Silent);
        ledger.traffic(ChannelType::MAIN).opened();
        let page = page(&ledger, &Memory { rss_kb: 2, ..Memory::default() });
        for line in [
            "sumac_viewers 1",
            "sumac_channels{type=\"main\"} 1",
            "sumac_connections_refused_total{reason=\"crowded\"} 1",
            "sumac_channels_closed_total{reason=\"silent\"} 1",
            "sumac_video_key_frames_total 7",
            "sumac_picture_seconds_bucket{step=\"say\",le=\"0.0005\"} 0",
            "sumac_picture_seconds_bucket{step=\"say\",le=\"0.001\"} 2",
            "sumac_picture_seconds_bucket{step=\"say\",le=\"5\"} 3",
            "sumac_picture_seconds_bucket{step=\"say\",le=\"+Inf\"} 4",
            "sumac_picture_seconds_sum{step=\"say\"} 9.005",
            "sumac_picture_seconds_count{step=\"say\"} 4",
            "sumac_memory_resident_bytes 2048",
        ] {
            assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
        }
    }
}
