//! System calls by seccomp: those of a server that runs are named here, every other one fails.
//!
//! What is missing fails with EPERM, so that a library that tries something new goes on without it.
//! `clone3` fails with ENOSYS, as on an old kernel: its flags are out of a filter's sight, and libc starts
//! its threads with `clone` then.

use std::collections::BTreeMap;

use libc::c_long;
use rustix::process::getpid;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, apply_filter_all_threads,
};

use super::Needs;

/// What is allowed with whatever arguments. Where a file may be opened is Landlock's matter.
const ALLOWED: &[c_long] = &[
    // Open files.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_memfd_create,
    // Files by name.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_unlinkat,
    // Sockets.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_socketpair,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_shutdown,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_restart_syscall,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_getcpu,
    // Signals to this process.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Who and when.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    // Drivers compare open files of their own process.
    libc::SYS_kcmp,
    // Refused by the other filter.
    libc::SYS_clone3,
];

/// Older forms of the same, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_unlink,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_eventfd,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// Options of prctl: names of threads and of an allocator's memory, and PR_GET_AUXV, which libc does not name.
const HARMLESS: [u64; 4] = [libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, libc::PR_SET_VMA as u64, 0x4155_5856];

/// What is left to an encoder that needs no device: what it has open, memory and threads.
const ENCODER: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_clone3,
];

/// As [`ALLOWED_HERE`].
#[cfg(target_arch = "x86_64")]
const ENCODER_HERE: &[c_long] = &[libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ENCODER_HERE: &[c_long] = &[];

/// `DMA_BUF_IOCTL_SYNC`, which reading a dmabuf needs.
const DMA_BUF_SYNC: u64 = 0x4008_6200;

/// Filters the calls of all threads of this process from now on.
pub(super) fn restrict(needs: Needs) -> Result<(), Error> {
    apply(server(needs)?)
}

/// The same for the process of an encoder.
pub(super) fn restrict_encoder() -> Result<(), Error> {
    apply(encoder()?)
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn apply(rules: Rules) -> Result<(), Error> {
    // The first one installed; of two refusals the newer counts, and the newer filter allows clone3.
    apply_filter_all_threads(&program(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
    )?)?;
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    apply_filter_all_threads(&program(rules, refused, SeccompAction::Allow)?)
}

fn program(rules: Rules, otherwise: SeccompAction, found: SeccompAction) -> Result<BpfProgram, Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, found, arch)?.try_into()?)
}

fn server(needs: Needs) -> Result<Rules, Error> {
    let mut rules = threads(ALLOWED.iter().chain(ALLOWED_HERE))?;
    if let Some(qemu) = needs.qemu {
        rules.insert(libc::SYS_kill, vec![all([argument(0, Is::Eq, qemu.into())])?]);
    }
    if needs.bus {
        let unix = argument(0, Is::Eq, bits(libc::AF_UNIX));
        rules.insert(libc::SYS_socket, vec![all([unix])?]);
        rules.insert(libc::SYS_connect, Vec::new());
    }
    // Everything of devices and sockets, but no typing into a terminal.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| argument(1, Is::Ne, request));
    rules.insert(libc::SYS_ioctl, vec![all(typing)?]);
    // Limits are read, not changed.
    let unchanged = Condition::new(2, Width::Qword, Is::Eq, 0);
    rules.insert(libc::SYS_prlimit64, vec![all([unchanged])?]);
    Ok(rules)
}

fn encoder() -> Result<Rules, Error> {
    let mut rules = threads(ENCODER.iter().chain(ENCODER_HERE))?;
    // Memory holds data; libraries are loaded already.
    let data = || argument(2, Is::MaskedEq(bits(libc::PROT_EXEC)), 0);
    rules.insert(libc::SYS_mmap, vec![all([data()])?]);
    rules.insert(libc::SYS_mprotect, vec![all([data()])?]);
    // libc's fstat.
    let open_file = bits(libc::AT_EMPTY_PATH);
    rules.insert(libc::SYS_newfstatat, vec![all([argument(3, Is::MaskedEq(open_file), open_file)])?]);
    rules.insert(libc::SYS_ioctl, vec![all([argument(1, Is::Eq, DMA_BUF_SYNC)])?]);
    Ok(rules)
}

/// These calls, and those that start threads and not processes.
fn threads<'a>(calls: impl Iterator<Item = &'a c_long>) -> Result<Rules, Error> {
    let mut rules: Rules = calls.map(|&call| (call, Vec::new())).collect();
    let thread = bits(libc::CLONE_THREAD);
    rules.insert(libc::SYS_clone, vec![all([argument(0, Is::MaskedEq(thread), thread)])?]);
    // abort() and panics signal the thread that they are in.
    let this = argument(0, Is::Eq, bits(getpid().as_raw_pid()));
    rules.insert(libc::SYS_tgkill, vec![all([this])?]);
    let named = HARMLESS.into_iter().map(|option| all([argument(0, Is::Eq, option)]));
    rules.insert(libc::SYS_prctl, named.collect::<Result<_, _>>()?);
    Ok(rules)
}

type Checked = Result<Condition, seccompiler::BackendError>;

/// Holds when all of these do.
fn all<const N: usize>(conditions: [Checked; N]) -> Result<SeccompRule, Error> {
    let conditions = conditions.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

fn argument(number: u8, is: Is, value: u64) -> Checked {
    Condition::new(number, Width::Dword, is, value)
}

fn bits(number: i32) -> u64 {
    number.cast_unsigned().into()
}
