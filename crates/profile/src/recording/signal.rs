//! The handler of SIGPROF, and the timer that raises it. All that is unsafe is here.
//!
//! The handler may interrupt a thread anywhere. It calls `sendmsg`, which POSIX lists as safe there, restores `errno`,
//! and takes no lock, allocates nothing and touches no memory but its own, the saved registers and statics. The stack is
//! read by the kernel, on its behalf: an address that is not mapped any more is `EFAULT`.
//!
//! What it needs stays for as long as the process lives: a handler that is still under way when a recording ends must
//! not find its socket closed, or, worse, its number given to a caller's connection.

#![expect(unsafe_code, reason = "signal handlers, timers and saved registers have no safe form")]

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};

/// The most of a stack that is copied.
pub const STACK_BYTES_MAX: usize = 48 * 1024;
/// Numbers before the stack's bytes: thread, instruction, stack pointer, frame pointer, link register.
pub const HEADER_WORDS: usize = 5;
/// The least of a stack that is worth copying.
const STACK_BYTES_MIN: usize = 256;
/// Ranges of writable memory that the handler knows the ends of.
const RANGES_MAX: usize = 1024;

/// Where handlers send to; −1 while nothing is recorded.
static SOCKET: AtomicI32 = AtomicI32::new(-1);
/// First and last address of writable memory: where stacks end.
static RANGES: [[AtomicU64; 2]; RANGES_MAX] = [const { [const { AtomicU64::new(0) }; 2] }; RANGES_MAX];
/// Samples of this recording that could not be sent.
static LOST: AtomicU64 = AtomicU64::new(0);
static SOCKETS: OnceLock<(UnixDatagram, UnixDatagram)> = OnceLock::new();

/// Where samples are received. One for the process, for as long as it lives.
///
/// # Errors
/// Where the system refuses a pair of sockets.
pub fn receiver() -> io::Result<&'static UnixDatagram> {
    let (sender, receiver) = match SOCKETS.get() {
        Some(pair) => pair,
        None => {
            let pair = UnixDatagram::pair()?;
            pair.0.set_nonblocking(true)?;
            SOCKETS.get_or_init(|| pair)
        }
    };
    // As much as the system allows: a receiver that is late loses samples.
    let bytes: libc::c_int = 4 * 1024 * 1024;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    unsafe {
        let value = (&raw const bytes).cast();
        libc::setsockopt(sender.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, value, size);
    }
    Ok(receiver)
}

/// Begins to send so many samples a second of processor time; `ranges` are those of writable memory.
///
/// # Errors
/// Where the system refuses the handler or the timer.
pub fn begin(hertz: u32, ranges: &[(u64, u64)]) -> io::Result<()> {
    let Some((sender, _)) = SOCKETS.get() else { return Err(io::ErrorKind::NotConnected.into()) };
    let known = ranges.iter().copied().chain(std::iter::repeat((0, 0)));
    for (slot, (first, last)) in RANGES.iter().zip(known) {
        slot[0].store(first, Relaxed);
        slot[1].store(last, Relaxed);
    }
    handle()?;
    LOST.store(0, Relaxed);
    SOCKET.store(sender.as_raw_fd(), Relaxed);
    set_timer(1_000_000 / hertz.clamp(1, 1000)).inspect_err(|_| SOCKET.store(-1, Relaxed))
}

/// Sends no more, and tells how many samples could not be sent. A handler that is under way may still send.
pub fn end() -> u64 {
    // It is refused only for a timer that there is not.
    let _ = set_timer(0);
    SOCKET.store(-1, Relaxed);
    LOST.load(Relaxed)
}

/// Installs the handler, for good: a signal that is pending when the timer stops would end the process otherwise.
fn handle() -> io::Result<()> {
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(_, _, _) as usize;
        // Calls that were interrupted go on.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        checked(libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()))
    }
}

/// Raises SIGPROF each time that the process has used so many microseconds of processor time, on the thread that uses
/// them; 0: never.
fn set_timer(micros: u32) -> io::Result<()> {
    let every = libc::timeval { tv_sec: 0, tv_usec: micros.into() };
    let every = if micros == 1_000_000 { libc::timeval { tv_sec: 1, tv_usec: 0 } } else { every };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    checked(unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut()) })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_signal(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let socket = SOCKET.load(Relaxed);
    if socket < 0 || context.is_null() {
        return;
    }
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        send(socket, &*context.cast::<libc::ucontext_t>());
        *errno = before;
    }
}

/// Sends one sample: as much of the stack as there is, or as can be read.
fn send(socket: RawFd, context: &libc::ucontext_t) {
    let [instruction, stack, frame, link] = registers(context);
    let thread = unsafe { libc::syscall(libc::SYS_gettid) } as u64;
    let header: [u64; HEADER_WORDS] = [thread, instruction, stack, frame, link];
    let mut length = to_end_of_range(stack).min(STACK_BYTES_MAX as u64) as usize;
    while length >= STACK_BYTES_MIN {
        let mut parts = [
            libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: size_of_val(&header) },
            libc::iovec { iov_base: stack as *mut libc::c_void, iov_len: length },
        ];
        let sent = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = parts.as_mut_ptr();
            message.msg_iovlen = parts.len() as _;
            libc::sendmsg(socket, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        if sent >= 0 {
            return;
        }
        if unsafe { *libc::__errno_location() } != libc::EFAULT {
            break;
        }
        length /= 2;
    }
    LOST.fetch_add(1, Relaxed);
}

/// Bytes from here to the end of the memory that it lies in; a thread that is younger than the recording is tried with
/// the most.
fn to_end_of_range(address: u64) -> u64 {
    let ends = RANGES.iter().map(|range| (range[0].load(Relaxed), range[1].load(Relaxed)));
    let found = ends.take_while(|(_, end)| *end > 0).find(|(first, end)| (*first..*end).contains(&address));
    found.map_or(STACK_BYTES_MAX as u64, |(_, end)| end - address)
}

/// Instruction, stack pointer, frame pointer, link register.
#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> [u64; 4] {
    let of = |register: libc::c_int| context.uc_mcontext.gregs[register as usize].cast_unsigned();
    [of(libc::REG_RIP), of(libc::REG_RSP), of(libc::REG_RBP), 0]
}

/// Instruction, stack pointer, frame pointer, link register.
#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> [u64; 4] {
    let context = &context.uc_mcontext;
    [context.pc, context.sp, context.regs[29], context.regs[30]]
}
