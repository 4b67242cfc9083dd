//! A VA-API driver for tests. libva loads it for a DRM device when `LIBVA_DRIVER_NAME` is `sumac`
//! and `LIBVA_DRIVERS_PATH` is a folder where this library is named `sumac_drv_video.so`.
//!
//! It imports dmabufs for real, converts them by its own arithmetic, checks every structure and
//! every packed header against the codec's rules and against each other, and codes what it was given:
//! H.264 and HEVC with the headers as they came, and all blocks as plain samples, which any decoder
//! shows without loss; JPEG by the tables that came with it; VP8 and VP9 by the software encoder,
//! which is libvpx.
//!
//! `SUMAC_VA` holds its switches, separated by commas:
//!
//! | switch | |
//! |---|---|
//! | `no-lp`, `no-vpp`, `no-sync-buffer` | what it has not |
//! | `no-packed` | writes H.264's headers itself, and takes none |
//! | `cqp`, `cbr`, `vbr`, `qvbr` | its only rate control |
//! | `slow` | 5 ms per picture |
//! | `fail=N` | picture N, from 0, fails |
//! | `lost=N` | from picture N on nothing works any more |
//! | `null` | reads and codes nothing: every picture is the same bytes, for measuring what is around it |
//!
//! `SUMAC_VA_ACCOUNT` names a file to which each complaint and, at the end, the count of pictures
//! and of pixel bytes read is appended.

#[allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unsafe_op_in_unsafe_fn,
    unsafe_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "written by bindgen: see backends/bindings/generate"
)]
mod bindings;
mod cabac;
pub mod check;
mod coder;
mod driver;
#[allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "libva calls these"
)]
mod entry;
pub mod headers;
pub mod hevc;
pub mod jpeg;
mod picture;
pub mod rate;
mod switches;
#[allow(unsafe_code, reason = "unions")]
mod sys;
pub mod vpx;
