//! Files of the operator's.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::transport::fuzzing::{certificates, private_key};

/// A file with these bytes, and a path that leads to it while it is open.
pub fn file(bytes: &[u8]) -> io::Result<(File, PathBuf)> {
    let mut file = File::from(memfd_create("file", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    Ok((file, path))
}

/// How many certificates are in this PEM file, or what is wrong with it; and whether a key is in it.
pub fn pem(bytes: &[u8]) -> io::Result<(Result<usize, String>, Result<(), String>)> {
    let (_file, path) = file(bytes)?;
    let found = certificates(&path).map(|found| found.len()).map_err(|error| error.to_string());
    Ok((found, private_key(&path, None).map(drop).map_err(|error| error.to_string())))
}
