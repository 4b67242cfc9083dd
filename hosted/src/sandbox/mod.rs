//! The sandbox: what the process gives up when all that it serves with is open.
//!
//! | | by | what is left |
//! |---|---|---|
//! | files | Landlock | reading what certificates, pages and encoders' drivers need; writing `--write-ref` and removing the socket file |
//! | TCP | Landlock, from ABI 4 on | accepting, over the sockets that are open |
//! | other processes | Landlock, from ABI 6 on; seccomp | none, but to end the QEMU that was started |
//! | system calls | seccomp | those in `calls.rs`; all others fail, starting programs first of all |
//!
//! Encoders in processes of their own (`helper/`) have less: nothing but memory, threads and their socket, where
//! they need no device.
//!
//! It is the binary's: whoever embeds the server has a process of its own to confine. Landlock holds the
//! calling thread and those it starts (the whole process from ABI 8 on), so it is entered before the
//! server's threads start; the system calls of all threads are filtered. What a kernel lacks is said in the
//! log, and the rest holds.

mod calls;
mod files;
#[cfg(test)]
mod sys;

use landlock::LandlockStatus;

use crate::config::{Config, SourceChoice};

/// What a server needs besides the files of its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    /// To connect to a bus, again and again.
    bus: bool,
    /// To signal this process, the QEMU that it started.
    qemu: Option<u32>,
}

/// Enters the sandbox, for good. To be called when sockets are open, libraries loaded and programs
/// started, and before there are threads. `qemu` is the process of the QEMU that was started.
pub(crate) fn enter(config: &Config, qemu: Option<u32>) {
    let needs = Needs { bus: needs_bus(config), qemu };
    match files::restrict(config, needs) {
        Ok(held) => tell(&held),
        Err(error) => tracing::warn!(%error, "sandbox: files and TCP are not held: Landlock failed"),
    }
    match calls::restrict(needs) {
        Ok(()) => tracing::info!("sandbox: system calls are held by seccomp"),
        Err(error) => tracing::warn!(%error, "sandbox: system calls are not held: seccomp failed"),
    }
}

/// Confines the process that starts encoders' processes, and them: libraries, devices, this program.
pub(crate) fn enter_spawner() {
    match files::restrict_spawner() {
        Ok(_) => tracing::debug!("sandbox: the encoders' spawner is confined"),
        Err(error) => tracing::warn!(%error, "sandbox: files are open to encoders: Landlock failed"),
    }
}

/// Confines the process of an encoder, whose libraries are loaded: one without `devices` has nothing but its
/// memory, its threads and its socket.
pub(crate) fn enter_encoder(devices: bool) {
    let needs = Needs { bus: false, qemu: None };
    let files = if devices { files::restrict(&Config::default(), needs) } else { files::restrict_entirely() };
    if let Err(error) = files {
        tracing::warn!(%error, "sandbox: files are open to an encoder: Landlock failed");
    }
    let calls = if devices { calls::restrict(needs) } else { calls::restrict_encoder() };
    if let Err(error) = calls {
        tracing::warn!(%error, "sandbox: system calls of an encoder are not held: seccomp failed");
    }
}

/// Whether a bus is to be found, again and again.
fn needs_bus(config: &Config) -> bool {
    matches!(&config.source, SourceChoice::Qemu(display) if display.address.is_bus())
}

fn tell(held: &files::Held) {
    match held.landlock {
        LandlockStatus::Available { effective_abi, .. } => {
            let abi = effective_abi as i32;
            let tcp = if abi >= files::TCP { "files and TCP are" } else { "files are" };
            tracing::info!("sandbox: {tcp} held by Landlock (ABI {abi})");
            if abi < files::TCP {
                let least = files::TCP;
                tracing::warn!("sandbox: TCP is not held: Landlock has it from ABI {least} on, this kernel has {abi}");
            }
        }
        _ => tracing::warn!("sandbox: files and TCP are not held: this kernel has no Landlock, or it is off"),
    }
    if held.others > 0 {
        tracing::warn!(threads = held.others, "sandbox: Landlock does not hold the threads of libraries");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind::PermissionDenied;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::thread;

    use super::*;

    /// Says to a process of this test that it is the one to be confined.
    const INSIDE: &str = "SUMAC_TEST_INSIDE_SANDBOX";

    /// Runs a test of this module in a process of its own: there is no way back.
    fn alone(test: &str, dir: &std::path::Path) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        let done = command.arg(format!("sandbox::tests::{test}")).env(INSIDE, dir).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        said.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| println!("{line}"));
    }

    #[test]
    fn it_bites() {
        let dir = tempfile::tempdir().unwrap();
        alone("inside", dir.path());
    }

    #[test]
    #[ignore = "run by it_bites in a process of its own"]
    fn inside() {
        let Some(dir) = std::env::var_os(INSIDE).map(std::path::PathBuf::from) else { return };
        let (page, reference) = (dir.join("page"), dir.join("ref/r.png"));
        std::fs::write(&page, "page").unwrap();
        std::fs::create_dir(dir.join("ref")).unwrap();
        let config = Config { web_root: Some(dir.clone()), write_ref: Some(reference.clone()), ..Config::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (needs, has_landlock) = (Needs { bus: needs_bus(&config), qemu: None }, files::has_landlock());
        files::restrict(&config, needs).unwrap();
        calls::restrict(needs).unwrap();

        if has_landlock {
            let refused = |opened: std::io::Result<File>| opened.unwrap_err().kind();
            assert_eq!(refused(File::open("/etc/shadow")), PermissionDenied);
            assert_eq!(refused(File::open("/etc/passwd")), PermissionDenied);
            assert_eq!(refused(File::create(dir.join("new"))), PermissionDenied);
            assert_eq!(refused(File::options().append(true).open(&page)), PermissionDenied);
            assert_eq!(std::fs::remove_file(&page).unwrap_err().kind(), PermissionDenied);
        } else {
            println!("SKIPPED: this kernel has no Landlock: files");
        }
        assert_eq!(std::fs::read(&page).unwrap(), b"page");
        std::fs::write(&reference, "first").unwrap();
        std::fs::write(&reference, "second").unwrap();
        assert!(std::fs::read_to_string("/proc/self/status").unwrap().contains("\nSeccomp:\t2\n"));

        assert_eq!(TcpStream::connect(at).unwrap_err().kind(), PermissionDenied);
        assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), PermissionDenied);
        assert!(UnixStream::pair().is_ok());
        // A new process, and this one as another program.
        assert_eq!(Command::new("/bin/true").spawn().unwrap_err().kind(), PermissionDenied);
        assert_eq!(Command::new("/bin/true").exec().kind(), PermissionDenied);
        assert_eq!(sys::trace_me().unwrap_err().kind(), PermissionDenied);
        assert_eq!(thread::spawn(|| File::open("/etc/passwd").is_err()).join().unwrap(), has_landlock);
    }

    #[test]
    fn an_encoder_has_nothing_but_memory_and_threads() {
        alone("inside_encoder", std::path::Path::new("/"));
    }

    #[test]
    #[ignore = "run by an_encoder_has_nothing_but_memory_and_threads in a process of its own"]
    fn inside_encoder() {
        if std::env::var_os(INSIDE).is_none() {
            return;
        }
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        enter_encoder(false);
        for path in ["/dev/null", "/proc/self/status", "/usr/lib", "/etc/passwd"] {
            assert_eq!(File::open(path).unwrap_err().kind(), PermissionDenied, "{path}");
            assert_eq!(std::fs::metadata(path).unwrap_err().kind(), PermissionDenied, "{path}");
        }
        assert_eq!(UnixStream::pair().unwrap_err().kind(), PermissionDenied);
        assert_eq!(Command::new("/bin/true").exec().kind(), PermissionDenied);
        assert_eq!(sys::trace_me().unwrap_err().kind(), PermissionDenied);
        let sum = thread::spawn(|| vec![1_u8; 1 << 20].iter().map(|&byte| u32::from(byte)).sum::<u32>());
        assert_eq!(sum.join().unwrap(), 1 << 20);
        ours.write_all(b"done").unwrap();
        let mut said = [0; 4];
        theirs.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"done");
    }
}
