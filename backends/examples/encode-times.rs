//! What each software encoder costs here: time and processor time per picture of 1280x720, conversion
//! included, and its bytes. `cargo run --release -p sumac-backends --example encode-times`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints, for people")]

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use sumac_backends::{Backend, Chroma, Completion, EncodeRequest, Frame, Rate, Settings, Tuning, software::Software};

use content::Picture;

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/content.rs"]
mod content;

const SIZE: (u32, u32) = (1280, 720);
const PICTURES: u32 = 12;
const ROUNDS: u32 = 5;

fn main() {
    let offers = Software.probe().remove(0).encoders.unwrap();
    println!("codec  content  aim              ms   p95 ms  cpu ms   kB  by");
    for (name, make) in [("natural", content::natural as fn(u32, u32, u32) -> Picture), ("text", content::text)] {
        let frames: Vec<Frame> = (0..PICTURES).map(|n| make(SIZE.0, SIZE.1, n).frame()).collect();
        for offer in &offers {
            for rate in [Rate::Quality(80), Rate::Bitrate(8_000_000)] {
                let tuning = Tuning { rate, fps: 30 };
                let (width, height) = SIZE;
                let chroma = Chroma::Yuv420;
                let settings = Settings { codec: offer.codec, width, height, chroma, tuning, device: None };
                let [mean, p95, cpu, bytes] = measure(&settings, &frames);
                let (codec, aim) = (offer.codec, format!("{rate:?}"));
                let by = &offer.by;
                println!("{codec:5}  {name:7}  {aim:16} {mean:5.2} {p95:7.2} {cpu:7.2} {bytes:5.1}  {by}");
            }
        }
    }
}

/// Milliseconds per picture (mean, 95th percentile, of the processor) and kilobytes; the first
/// round is not counted.
fn measure(settings: &Settings, frames: &[Frame]) -> [f64; 4] {
    let mut encoder = Software.open(settings, &frames[0]).unwrap();
    let (mut times, mut bytes, mut cpu) = (Vec::new(), 0, Duration::ZERO);
    for round in 0..=ROUNDS {
        for frame in frames {
            let region = frame.bounds();
            let want = EncodeRequest { region, damage: region, keyframe: false, tag: 0 };
            let (begin, cpu_begin) = (Instant::now(), processor_time());
            encoder.submit(frame.clone(), want).unwrap();
            let done = encoder.poll_completion().unwrap();
            if round > 0 {
                times.push(begin.elapsed().as_secs_f64() * 1e3);
                cpu += processor_time().saturating_sub(cpu_begin);
                bytes += if let Some(Completion::Encoded(packet)) = done { packet.data.len() } else { 0 };
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let p95 = times[times.len() * 95 / 100];
    [mean, p95, cpu.as_secs_f64() * 1e3 / count, bytes as f64 / 1e3 / count]
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
