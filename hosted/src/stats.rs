//! [`Reporter`]: the lines on stdout that other programs read.
//!
//! ```text
//! ready pid= port= tls_port= unix= addr= size= codecs= [metrics=] rss_kb= anon_kb=  first, once
//! stat t= mono_us= clients= submitted= cpu_ms= gen_ms= rss_kb= anon_kb= hwm_kb= threads= gl_draws= gl_done=
//! ledger take_n= take_p50_ms= take_p99_ms= take_max_ms= plan_n= … ack_max_ms=        behind each stat of --stats
//! summary {"elapsed_s": … , "ledger": {"take": {"n": …, "p50_ms": … }, … }}          last, once
//! ```
//!
//! `metrics` is there with `--metrics` only. `stat` comes once a second if asked for, and once before
//! `summary`. Its figures are cumulative: `mono_us` is CLOCK_MONOTONIC, `cpu_ms` the CPU time of the
//! process, `gen_ms` the part of it that the source used to make the pictures, `anon_kb` memory without
//! mapped files, `hwm_kb` the most memory the process ever had, `gl_draws` the draws into scanouts and
//! `gl_done` those of them whose cookies came back to the source.
//!
//! `ledger` has how often each [step](crate::ledger) of the pictures' way was gone since the start, and
//! how long it took; `write` and `ack` are followed with `--stats` or `--metrics` only.
//!
//! All lines are written by one thread that waits for nobody else, so a reader that stops reading stops
//! the lines and not the server.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::config::{UnixAddress, VideoCodecs};
use crate::ledger::{Figures, Step};
use crate::source::Size;

/// Between two `stat` lines.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the last lines may take at exit.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the `ready` line tells.
#[derive(Clone, Debug)]
pub struct Ready {
    /// TCP addresses that are open.
    pub tcp: Vec<SocketAddr>,
    /// TCP addresses that are open for TLS only.
    pub tls: Vec<SocketAddr>,
    /// UNIX socket that is open.
    pub unix: Option<UnixAddress>,
    /// Size of the first picture.
    pub size: Size,
    /// Codecs that can be encoded here, the most wanted first.
    pub codecs: VideoCodecs,
    /// Where figures are served over HTTP.
    pub metrics: Option<SocketAddr>,
}

/// What the server did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// Viewers that look at the picture now.
    pub clients: usize,
    /// Pictures that the source published.
    pub submitted: u64,
    /// Draws into scanouts.
    pub gl_draws: u64,
    /// How many of them are done.
    pub gl_done: u64,
    /// CPU time of the source's thread, in milliseconds.
    pub gen_ms: f64,
    /// The steps of the pictures' way, in the order of [`Step::ALL`].
    pub ledger: [Figures; Step::ALL.len()],
}

/// Writes the lines. Dropping it without [`finish`](Self::finish) ends them without the last two.
#[derive(Debug)]
pub struct Reporter {
    finish: SyncSender<()>,
    finished: Receiver<()>,
}

/// The process as the kernel sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) rss_kb: u64,
    pub(crate) anon_kb: u64,
    pub(crate) hwm_kb: u64,
    pub(crate) threads: u64,
}

struct Lines<W, A> {
    out: W,
    activity: A,
    start: Instant,
    at_start: Memory,
    peak_anon_kb: u64,
}

impl Reporter {
    /// Writes the `ready` line to `out` and flushes it, then goes on in a thread of its own, which
    /// asks `activity` what to tell. Call it when all listeners are open.
    pub fn start<W, A>(mut out: W, ready: &Ready, activity: A, every_second: bool) -> io::Result<Self>
    where
        W: Write + Send + 'static,
        A: Fn() -> Activity + Send + 'static,
    {
        let memory = Memory::now();
        writeln!(out, "{ready} rss_kb={} anon_kb={}", memory.rss_kb, memory.anon_kb)?;
        out.flush()?;
        let lines = Lines { out, activity, start: Instant::now(), at_start: memory, peak_anon_kb: memory.anon_kb };
        let (finish, told) = sync_channel(1);
        let (done, finished) = sync_channel(1);
        thread::Builder::new().name("sumac-stats".into()).spawn(move || {
            lines.run(&told, every_second);
            // Nobody waits any more when the last lines took too long.
            let _ = done.try_send(());
        })?;
        Ok(Self { finish, finished })
    }

    /// Writes the last `stat` line and the summary; gives up after half a second.
    pub fn finish(self) {
        if self.finish.try_send(()).is_ok() && self.finished.recv_timeout(LAST_WORDS).is_err() {
            tracing::warn!("nobody reads the last lines on stdout");
        }
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.tcp.first().map_or(0, SocketAddr::port);
        let tls_port = self.tls.first().map_or(0, SocketAddr::port);
        let tcp: Vec<_> = self.tcp.iter().chain(&self.tls).map(SocketAddr::to_string).collect();
        let tcp = if tcp.is_empty() { "-".to_owned() } else { tcp.join(",") };
        // Escaped, because a path may hold anything and this is one line, cut at its spaces.
        let escaped = |unix: &UnixAddress| unix.to_string().escape_debug().to_string().replace(' ', "\\x20");
        let unix = self.unix.as_ref().map_or("-".to_owned(), escaped);
        let (pid, Size { width, height }, codecs) = (std::process::id(), self.size, &self.codecs);
        write!(
            f,
            "ready pid={pid} port={port} tls_port={tls_port} unix={unix} addr={tcp} size={width}x{height} codecs={codecs}"
        )?;
        self.metrics.map_or(Ok(()), |at| write!(f, " metrics={at}"))
    }
}

impl<W: Write, A: Fn() -> Activity> Lines<W, A> {
    fn run(mut self, told: &Receiver<()>, every_second: bool) {
        let mut next = self.start;
        loop {
            next += PERIOD;
            let wait = if every_second { next.saturating_duration_since(Instant::now()) } else { Duration::MAX };
            let written = match told.recv_timeout(wait) {
                Ok(()) => break,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.stat().and_then(|()| self.ledger()),
            };
            if let Err(error) = written {
                tracing::warn!(%error, "cannot write to stdout; no more figures there");
                return;
            }
        }
        // The exit status must not depend on whether anybody still reads.
        let _ = self.stat().and_then(|()| self.summary());
    }

    fn stat(&mut self) -> io::Result<()> {
        let (activity, memory) = ((self.activity)(), Memory::now());
        self.peak_anon_kb = self.peak_anon_kb.max(memory.anon_kb);
        writeln!(
            self.out,
            "stat t={:.3} mono_us={} clients={} submitted={} cpu_ms={:.1} gen_ms={:.1} rss_kb={} anon_kb={} hwm_kb={} threads={} gl_draws={} gl_done={}",
            self.start.elapsed().as_secs_f64(),
            micros(clock_gettime(ClockId::Monotonic)),
            activity.clients,
            activity.submitted,
            cpu_ms(),
            activity.gen_ms,
            memory.rss_kb,
            memory.anon_kb,
            memory.hwm_kb,
            memory.threads,
            activity.gl_draws,
            activity.gl_done,
        )?;
        self.out.flush()
    }

    fn ledger(&mut self) -> io::Result<()> {
        write!(self.out, "ledger")?;
        for (step, figures) in Step::ALL.iter().zip((self.activity)().ledger) {
            let (step, Figures { n, p50_ms, p99_ms, max_ms }) = (step.name(), figures);
            write!(
                self.out,
                " {step}_n={n} {step}_p50_ms={p50_ms:.3} {step}_p99_ms={p99_ms:.3} {step}_max_ms={max_ms:.3}"
            )?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    fn summary(&mut self) -> io::Result<()> {
        let (activity, memory) = ((self.activity)(), Memory::now());
        let ledger: Vec<_> = Step::ALL.iter().zip(activity.ledger).map(in_json).collect();
        writeln!(
            self.out,
            "summary {{\"elapsed_s\":{:.3},\"submitted\":{},\"cpu_ms\":{:.1},\"gen_ms\":{:.1},\"start_rss_kb\":{},\"start_anon_kb\":{},\"peak_rss_kb\":{},\"peak_anon_kb\":{},\"gl_draws\":{},\"gl_done\":{},\"ledger\":{{{}}}}}",
            self.start.elapsed().as_secs_f64(),
            activity.submitted,
            cpu_ms(),
            activity.gen_ms,
            self.at_start.rss_kb,
            self.at_start.anon_kb,
            memory.hwm_kb,
            self.peak_anon_kb.max(memory.anon_kb),
            activity.gl_draws,
            activity.gl_done,
            ledger.join(","),
        )?;
        self.out.flush()
    }
}

/// A member of an object.
fn in_json((step, figures): (&Step, Figures)) -> String {
    let Figures { n, p50_ms, p99_ms, max_ms } = figures;
    format!("\"{}\":{{\"n\":{n},\"p50_ms\":{p50_ms:.3},\"p99_ms\":{p99_ms:.3},\"max_ms\":{max_ms:.3}}}", step.name())
}

impl Memory {
    /// Zeros where /proc is not mounted.
    pub(crate) fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn parse(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Self { rss_kb: field("VmRSS"), anon_kb: field("RssAnon"), hwm_kb: field("VmHWM"), threads: field("Threads") }
    }
}

/// CPU time of the whole process, in milliseconds.
fn cpu_ms() -> f64 {
    Duration::from_micros(micros(clock_gettime(ClockId::ProcessCPUTime))).as_secs_f64() * 1e3
}

fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default() / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::PipeReader;
    use std::io::Read;

    fn ready() -> Ready {
        Ready {
            tcp: vec!["127.0.0.1:5900".parse().unwrap(), "[::1]:5900".parse().unwrap()],
            tls: Vec::new(),
            unix: None,
            size: Size { width: 1280, height: 720 },
            codecs: "mjpeg,h264".parse().unwrap(),
            metrics: None,
        }
    }

    fn activity() -> Activity {
        let mut ledger = [Figures::default(); Step::ALL.len()];
        ledger[Step::Ack as usize] = Figures { n: 3, p50_ms: 0.5, p99_ms: 40.25, max_ms: 41.0 };
        Activity { clients: 2, submitted: 42, gl_draws: 7, gl_done: 6, gen_ms: 1.25, ledger }
    }

    /// Value of `name` in a line of `name=value` pairs.
    fn value<'a>(line: &'a str, name: &str) -> &'a str {
        let pair = line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap_or_else(|| panic!("no {name} in: {line}"))
    }

    fn read_all(mut pipe: PipeReader) -> Vec<String> {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn ready_stat_and_summary_in_this_order() {
        let (pipe, out) = io::pipe().unwrap();
        Reporter::start(out, &ready(), activity, false).unwrap().finish();
        let lines = read_all(pipe);
        let [ready, stat, summary] = &lines[..] else { panic!("{lines:?}") };
        assert!(ready.starts_with("ready pid=") && !ready.contains("metrics="));
        assert_eq!(value(ready, "addr"), "127.0.0.1:5900,[::1]:5900");
        assert_eq!((value(ready, "port"), value(ready, "unix"), value(ready, "codecs")), ("5900", "-", "mjpeg,h264"));
        assert!(stat.starts_with("stat t="));
        assert_eq!((value(stat, "clients"), value(stat, "submitted"), value(stat, "gen_ms")), ("2", "42", "1.2"));
        assert_eq!((value(stat, "gl_draws"), value(stat, "gl_done")), ("7", "6"));
        for figure in ["mono_us", "cpu_ms", "anon_kb", "hwm_kb"] {
            assert!(value(stat, figure).parse::<f64>().unwrap() > 0.0, "{figure}");
        }
        assert!(summary.starts_with("summary {\"elapsed_s\":") && summary.ends_with('}'));
        for key in ["start_rss_kb", "peak_rss_kb", "start_anon_kb", "peak_anon_kb", "submitted"] {
            assert!(summary.contains(&format!("\"{key}\":")), "{key}");
        }
        let json: serde_json::Value = serde_json::from_str(summary.strip_prefix("summary ").unwrap()).unwrap();
        assert_eq!(json["ledger"]["ack"], serde_json::json!({"n": 3, "p50_ms": 0.5, "p99_ms": 40.25, "max_ms": 41.0}));
    }

    #[test]
    fn a_line_every_second_if_asked_for() {
        let (pipe, out) = io::pipe().unwrap();
        let mut lines = io::BufRead::lines(io::BufReader::new(pipe));
        let _reporter = Reporter::start(out, &ready(), activity, true).unwrap();
        let mut next = || lines.next().unwrap().unwrap();
        assert!(next().starts_with("ready "));
        let [first, ledger, second] = std::array::from_fn(|_| next());
        assert!(ledger.starts_with("ledger take_n=0 take_p50_ms=0.000 "), "{ledger}");
        assert_eq!((value(&ledger, "ack_n"), value(&ledger, "ack_p99_ms")), ("3", "40.250"));
        let micros = |line: &str| value(line, "mono_us").parse::<u64>().unwrap();
        assert!(micros(&second) > micros(&first));
    }

    #[test]
    fn dropped_without_finish_it_says_nothing_more() {
        let (pipe, out) = io::pipe().unwrap();
        drop(Reporter::start(out, &ready(), activity, true).unwrap());
        assert_eq!(read_all(pipe).len(), 1);
    }

    #[test]
    fn a_reader_that_is_gone_harms_nobody() {
        let (pipe, out) = io::pipe().unwrap();
        let reporter = Reporter::start(out, &ready(), activity, true).unwrap();
        drop(pipe);
        reporter.finish();
    }

    #[test]
    fn a_path_cannot_break_the_line() {
        let unix = Some(UnixAddress::Path("/a\nready port=7".into()));
        let line = Ready { unix, tcp: Vec::new(), ..ready() }.to_string();
        assert_eq!((line.lines().count(), value(&line, "unix")), (1, "/a\\nready\\x20port=7"));
        assert_eq!((value(&line, "addr"), value(&line, "port")), ("-", "0"));
    }

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        let status = "VmHWM:\t  31000 kB\nVmRSS:\t   30000 kB\nRssAnon:\t    2000 kB\nThreads:\t5\n";
        let expected = Memory { rss_kb: 30000, anon_kb: 2000, hwm_kb: 31000, threads: 5 };
        assert_eq!(Memory::parse(status), expected);
        assert_eq!(Memory::parse("nonsense"), Memory::default());
    }
}
