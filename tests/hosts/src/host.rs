//! A running host.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{Answer, Family, estate::Ground, lease::Lease};

/// A host. It ends with this handle.
pub struct Host {
    pub(crate) ground: Arc<Ground>,
    pub(crate) family: Family,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    pub(crate) lease: Lease,
    /// `machine/host.sh`, and the way to speak to it.
    pub(crate) supervisor: Mutex<Child>,
    pub(crate) control: Mutex<Option<ChildStdin>>,
    pub(crate) on_loopback: bool,
}

impl Host {
    /// Where the demo service listens, on the host's own address.
    pub const DEMO_PORT: u16 = 8480;

    /// Its host name, which is also its name in the ssh configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which package manager it has.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its address, which no other host of this machine has.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its sshd listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How a runbook or an inventory of ours writes it down, on one line: `web1: { address: …, connection: { … } }`. By
    /// the ssh configuration of the estate, as root.
    pub fn entry(&self) -> String {
        let config = self.ground.file("ssh_config");
        format!(
            "{}: {{ address: {}, connection: {{ config: \"{}\" }} }}",
            self.name,
            self.address,
            config.display()
        )
    }

    /// How an inventory of Ansible writes it down, on one line.
    pub fn ansible(&self) -> String {
        self.ansible_as("root")
    }

    /// The same with another user; whoever is not root becomes it there.
    pub fn ansible_as(&self, user: &str) -> String {
        let config = self.ground.file("ssh_config");
        let become_root = if user == "root" { "" } else { " ansible_become=true" };
        format!(
            "{} ansible_host={} ansible_port={} ansible_user={user}{become_root} ansible_ssh_common_args='-F {}' \
             ansible_python_interpreter=/usr/bin/python3",
            self.name,
            self.address,
            self.port,
            config.display()
        )
    }

    /// Runs a shell command as root, not over ssh: to see what is true, whatever the network says. After five minutes it
    /// is ended with status 124.
    ///
    /// # Panics
    /// When the host is down.
    pub fn exec(&self, command: &str) -> Answer {
        let output = self.entering(&["timeout", "--kill-after=5", "300", "/bin/sh", "-c", command]).output();
        output.expect("nsenter starts").into()
    }

    /// Runs a command that must succeed; what it printed, without the end of the last line.
    ///
    /// # Panics
    /// When it fails, or the host is down.
    pub fn run(&self, command: &str) -> String {
        let answer = self.exec(command);
        assert_eq!(answer.code, 0, "{}: {command}: {}{}", self.name, answer.out, answer.err);
        answer.out.trim_end().to_owned()
    }

    /// A command in the host that is not started yet.
    ///
    /// # Panics
    /// When the host is down.
    pub fn enter(&self, command: &str) -> Command {
        self.entering(&["/bin/sh", "-c", command])
    }

    fn entering(&self, arguments: &[&str]) -> Command {
        let init = fs::read_to_string(self.folder.join("init"));
        let init = init.unwrap_or_else(|_| panic!("{} is down", self.name));
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", init.trim(), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--"])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        enter
    }

    /// Runs a command over ssh as root.
    ///
    /// # Panics
    /// When ssh cannot be started.
    pub fn ssh(&self, command: &str) -> Answer {
        self.ssh_as("root", command)
    }

    /// Runs a command over ssh as this user. Status 255 is ssh's own failure; it waits half a minute for a connection.
    ///
    /// # Panics
    /// When ssh cannot be started.
    pub fn ssh_as(&self, user: &str, command: &str) -> Answer {
        let output = Command::new("ssh")
            .arg("-F")
            .arg(self.ground.file("ssh_config"))
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-l", user, &self.name, command])
            .stdin(Stdio::null())
            .output()
            .expect("ssh starts");
        output.into()
    }

    /// What the demo service answers to GET: status and body.
    pub fn http(&self, path: &str) -> Option<(u16, String)> {
        let address = format!("{}:{}", self.address, Self::DEMO_PORT).parse().expect("an address");
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.name).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The version of a package that is installed.
    ///
    /// # Panics
    /// When it is not, or the host is down.
    pub fn installed(&self, package: &str) -> String {
        match self.family {
            Family::Debian => self.run(&format!("dpkg-query -W -f '${{Version}}' {package}")),
            Family::Dnf | Family::Zypper => {
                self.run(&format!("rpm -q --qf '%{{VERSION}}-%{{RELEASE}}' {package}"))
            }
        }
    }

    /// What the rig says of it, for the message of a failing test.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Ends it. Dropping the handle does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The end of its input ends the host: the rig comes back when every process of it is gone.
        if let Ok(control) = self.control.get_mut() {
            drop(control.take());
        }
        if let Ok(supervisor) = self.supervisor.get_mut() {
            let _ = supervisor.wait();
        }
    }
}
