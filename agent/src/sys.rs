//! What the system libraries offer only through C: the one module of the agent with `unsafe`.

use std::{
    fs::File,
    io,
    mem::size_of,
    net::UdpSocket,
    os::fd::{AsFd, AsRawFd},
    thread,
};

/// The cookie of the network namespace that `socket` lives in.
fn cookie_of(socket: &impl AsFd) -> io::Result<u64> {
    let mut cookie: u64 = 0;
    let mut bytes = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel writes at most `bytes` bytes to `cookie`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut bytes,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The cookie of a network namespace, given its file (`/proc/PID/ns/net`).
///
/// # Errors
///
/// When the namespace cannot be entered: that takes `CAP_SYS_ADMIN`.
pub fn netns_cookie(namespace: File) -> io::Result<u64> {
    // A thread of its own enters the namespace and ends there.
    thread::spawn(move || {
        // SAFETY: the descriptor is open; only this thread changes its namespace.
        if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(io::Error::last_os_error());
        }
        cookie_of(&UdpSocket::bind(("127.0.0.1", 0)).or_else(|_| UdpSocket::bind("[::]:0"))?)
    })
    .join()
    .unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, net::UdpSocket};

    #[test]
    fn the_own_namespace_has_one_cookie() {
        let Ok(cookie) = super::netns_cookie(File::open("/proc/self/ns/net").expect("procfs"))
        else {
            eprintln!("skipped: needs root");
            return;
        };
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("loopback");
        assert_eq!(super::cookie_of(&socket).expect("Linux 5.14"), cookie);
    }
}
