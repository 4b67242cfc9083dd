//! UNIX listening sockets: a socket file or an abstract name.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

use crate::config::UnixAddress;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// Removes a socket file when dropped, unless somebody else's has taken its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode of the file that we made.
    identity: (u64, u64),
}

/// Opens the socket. A socket file that nobody listens on is replaced; the umask decides who may
/// connect, as usual.
pub(super) fn listen(address: &UnixAddress) -> io::Result<(UnixListener, Option<SocketFile>)> {
    let (listener, file) = match address {
        UnixAddress::Abstract(name) => (StdListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?, None),
        UnixAddress::Path(path) => {
            let listener = replacing(path, || StdListener::bind(path))?;
            (listener, Some(SocketFile::of(path)?))
        }
    };
    listener.set_nonblocking(true)?;
    Ok((UnixListener::from_std(listener)?, file))
}

/// A socket that somebody else has opened, and its name if it has one. Its file is not ours to remove.
pub(super) fn take(listener: StdListener) -> io::Result<(UnixListener, Option<UnixAddress>)> {
    let name = listener.local_addr()?;
    let by_path = name.as_pathname().map(|path| UnixAddress::Path(path.to_owned()));
    let address = by_path.or_else(|| name.as_abstract_name().map(|name| UnixAddress::Abstract(name.to_vec())));
    listener.set_nonblocking(true)?;
    Ok((UnixListener::from_std(listener)?, address))
}

/// The same as [`listen`] for a socket file that only its owner may open, whatever the umask.
pub(crate) fn listen_private(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let bind = || {
        let kind = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, kind, None)?;
        // The file is made with the mode that the socket has before: at no time may others open it.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(StdListener::from(socket))
    };
    Ok((UnixListener::from_std(replacing(path, bind)?)?, SocketFile::of(path)?))
}

/// Binds anew when nobody listens on the file that is in the way.
fn replacing(path: &Path, bind: impl Fn() -> io::Result<StdListener>) -> io::Result<StdListener> {
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            bind()
        }
        other => other,
    }
}

/// Whether `path` is a socket that nobody listens on.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && StdStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        // Made absolute, so that a later change of the working directory does not matter.
        Ok(Self { path: std::path::absolute(path)?, identity: (found.dev(), found.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_dir(dir: &tempfile::TempDir) -> (PathBuf, UnixAddress) {
        let path = dir.path().join("s");
        (path.clone(), UnixAddress::Path(path))
    }

    #[tokio::test]
    async fn the_file_is_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = in_dir(&dir);
        let opened = listen(&address).unwrap();
        assert!(path.exists());
        drop(opened);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = in_dir(&dir);
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists());
        let _opened = listen(&address).unwrap();
        StdStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_socket_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = in_dir(&dir);
        let _first = StdListener::bind(&path).unwrap();
        assert_eq!(listen(&address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        StdStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn another_kind_of_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = in_dir(&dir);
        fs::write(&path, "precious").unwrap();
        assert_eq!(listen(&address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_successors_file_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = in_dir(&dir);
        let opened = listen(&address).unwrap();
        // Moved, not deleted: the inode number must not be used again.
        fs::rename(&path, dir.path().join("old")).unwrap();
        let _successor = StdListener::bind(&path).unwrap();
        drop(opened);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn abstract_names_work_and_leave_no_file() {
        let name = format!("sumac-test-{}", std::process::id()).into_bytes();
        let (_listener, file) = listen(&UnixAddress::Abstract(name.clone())).unwrap();
        assert!(file.is_none());
        StdStream::connect_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let again = listen(&UnixAddress::Abstract(name)).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }
}
