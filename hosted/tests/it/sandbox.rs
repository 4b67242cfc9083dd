//! The binary confines itself, whatever it serves, and says so.

use rustix::process::Signal;

use crate::sumac::Sumac;

/// The values of a line of /proc/PID/task/TID/status, one per thread.
fn threads(sumac: &Sumac, name: &str) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", sumac.pid())).expect("it runs");
    // A thread may have ended meanwhile.
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    texts
        .map(|text| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.expect("the kernel tells it").trim().parse().expect("a number")
        })
        .collect()
}

#[test]
fn all_threads_are_filtered_unless_the_operator_says_no() {
    let serve = |more: &[&str]| Sumac::start(&[&["--port", "0", "--vv", "none", "--stats"], more].concat());
    for (more, filtered, confined) in [(&[][..], 2, 1), (&["--dmabuf=memfd"], 2, 1), (&["--no-sandbox"], 0, 0)] {
        let sumac = serve(more);
        let filters = threads(&sumac, "Seccomp");
        assert!(filters.len() >= 3 && filters.iter().all(|&mode| mode == filtered), "{more:?}: {filters:?}");
        assert!(threads(&sumac, "NoNewPrivs").iter().all(|&set| set == confined), "{more:?}");
        let said = sumac.end(Signal::TERM).err;
        assert_eq!(said.contains("sandbox: system calls are held by seccomp"), filtered == 2, "{said}");
        assert_eq!(said.contains("sandbox: files"), filtered == 2, "{said}");
        assert!(!said.contains("threads of libraries"), "{said}");
    }
}
