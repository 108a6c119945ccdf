//! A number that nobody else on this machine has: addresses and names of links are made of it.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixListener},
};

/// How many hosts there can be at once on a machine.
const NUMBERS: u32 = 1 << 16;

/// A number, ours until this is dropped or the process dies: the kernel keeps it, as the name of a socket.
pub(crate) struct Lease {
    number: u32,
    _name: UnixListener,
}

impl Lease {
    /// Takes a number.
    ///
    /// # Panics
    /// When there is none left.
    pub fn take() -> Self {
        // Test processes that start at the same time look in different places first.
        let first = std::process::id().wrapping_mul(251);
        for offset in 0..NUMBERS {
            let number = first.wrapping_add(offset) % NUMBERS;
            let name =
                SocketAddr::from_abstract_name(format!("runbook-test-host-{number}")).expect("a short name");
            if let Ok(listener) = UnixListener::bind_addr(&name) {
                return Self { number, _name: listener };
            }
        }
        panic!("{NUMBERS} test hosts run already");
    }

    /// An address on the loopback device.
    pub fn loopback(&self) -> String {
        format!("127.77.{}.{}", self.number >> 8, self.number & 255)
    }

    /// The two ends of a link: here and at the host. From the range that is set aside for measuring (RFC 2544).
    pub fn pair(&self) -> (String, String) {
        let first = self.number * 2;
        let address = |last: u32| format!("198.{}.{}.{}", 18 + (last >> 16), (last >> 8) & 255, last & 255);
        (address(first), address(first + 1))
    }

    /// What the end of the link is called here.
    pub fn link(&self) -> String {
        format!("rbhost{}", self.number)
    }

    /// The hardware address of the host's end.
    pub fn mac(&self) -> String {
        format!("02:72:62:00:{:02x}:{:02x}", self.number >> 8, self.number & 255)
    }
}
