//! What goes wrong with hosts.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{Family, Host, estate::make_key};

impl Host {
    /// Takes it off the network: what is sent to it is lost, and nothing comes back. It works on.
    ///
    /// # Panics
    /// When it is on the loopback device.
    pub fn cut_off(&self) {
        self.link("down");
    }

    /// Puts it back on the network.
    ///
    /// # Panics
    /// When it is on the loopback device.
    pub fn reconnect(&self) {
        self.link("up");
    }

    /// Gives it another host key, as a host has that was made anew: `known_hosts` keeps the old one.
    ///
    /// # Panics
    /// When the host is down.
    pub fn change_host_key(&self) {
        let key = self.folder.join("guest/host_key");
        for path in [&key, &key.with_extension("pub")] {
            fs::remove_file(path).expect("a key");
        }
        make_key(&key);
        // sshd reads everything anew, and says so when it listens again.
        self.run("pid=$(cat /run/sshd.pid); rm /run/sshd.pid; kill -HUP $pid");
        self.wait_until("has no sshd any more", |host| host.exec("test -s /run/sshd.pid").code == 0);
    }

    /// Fills `/var` to the last byte; for a host with a small one.
    ///
    /// # Panics
    /// When the host is down, or there is space left.
    pub fn fill_var(&self) {
        let full = self.exec("cat /dev/zero >/var/filled");
        assert!(full.err.contains("No space left on device"), "{}", full.err);
    }

    /// Makes the space free again.
    ///
    /// # Panics
    /// When the host is down.
    pub fn empty_var(&self) {
        self.run("rm -f /var/filled");
    }

    /// Has somebody else hold the lock of its package manager, until the handle is dropped.
    ///
    /// # Panics
    /// When the host is down, or the lock is held already.
    pub fn hold_package_lock(&self) -> Held {
        self.hold(match self.family {
            Family::Debian => "/var/lib/dpkg/lock-frontend",
            Family::Dnf => "/var/lib/dnf/rpmdb_lock.pid",
            Family::Zypper => "/run/zypp.pid",
        })
    }

    /// Has somebody hold a lock on this file of the host (fcntl, the whole file), until the handle is dropped. A file
    /// called `….pid` says who instead, as dnf's and zypper's do.
    ///
    /// # Panics
    /// When the host is down, or the lock is held already.
    pub fn hold(&self, path: &str) -> Held {
        let program = format!(
            "exec python3 -c '\
             import fcntl, os, sys\n\
             file = open(\"{path}\", \"a\")\n\
             says_who = file.name.endswith(\".pid\")\n\
             if says_who: file.truncate(0); file.write(str(os.getpid())); file.flush()\n\
             else: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n\
             print(\"held\", flush=True)\n\
             sys.stdin.read()\n\
             if says_who: os.remove(file.name)'"
        );
        let mut command = self.enter(&program);
        let mut holder =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("nsenter starts");
        let mut line = String::new();
        let told = BufReader::new(holder.stdout.take().expect("its output")).read_line(&mut line);
        assert!(told.is_ok() && line == "held\n", "{path} on {} cannot be locked", self.name);
        Held { holder }
    }

    fn link(&self, state: &str) {
        assert!(!self.on_loopback, "{} shares the network of this machine", self.name);
        let supervisor = self.supervisor.lock().expect("no test has panicked here").id();
        let (gateway, _) = self.lease.pair();
        let script = match state {
            "up" => format!("ip link set eth0 up && ip route replace 198.18.0.0/15 via {gateway}"),
            _ => format!("ip link set eth0 {state}"),
        };
        let output = Command::new("nsenter")
            .args(["--target", &supervisor.to_string(), "--net", "sh", "-c", &script])
            .output()
            .expect("nsenter starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A lock that somebody else on a host holds.
pub struct Held {
    holder: Child,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
