//! Proof that pixels are left alone: a process that may not map anything cannot reach the bytes of a
//! dmabuf, because a dmabuf has no `read`.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sumac_backends::{Frame, FrameError, dmabuf::read_back_bytes};

/// Runs `action` while no mapping can be made in this process, which should be one of its own, and
/// checks that no pixel was read meanwhile. `probe` is a frame by which the guard itself is tried.
pub(crate) fn without_mappings<T>(probe: &Frame, action: impl FnOnce() -> T) -> T {
    let dmabuf = probe.dmabuf().unwrap();
    let mut pixels = Vec::with_capacity(probe.bounds().width as usize * probe.bounds().height as usize * 4);
    let before = getrlimit(Resource::As);
    let read = read_back_bytes();
    setrlimit(Resource::As, Rlimit { current: Some(0), ..before }).unwrap();
    let done = action();
    let denied = dmabuf.read_back(probe.bounds(), &mut pixels);
    setrlimit(Resource::As, before).unwrap();
    assert_eq!(read_back_bytes(), read, "pixel bytes were read");
    assert!(matches!(denied, Err(FrameError::System { call: "mmap", .. })), "the guard does not hold: {denied:?}");
    dmabuf.read_back(probe.bounds(), &mut pixels).unwrap();
    assert_eq!(read_back_bytes() - read, pixels.len() as u64, "what is read is counted");
    done
}
