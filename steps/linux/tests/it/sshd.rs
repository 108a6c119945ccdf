//! An OpenSSH server of the test's own on loopback addresses, whose hosts are all this machine.

use std::{
    collections::BTreeMap,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use runbook_engine::{
    connection::Connection,
    ids::{GroupName, TargetId},
    target::{Home, Target},
};
use runbook_linux::{Hosts, Places};
use runbook_steps::ports::linux::{Linux, Look, Seen};
use tempfile::TempDir;

/// The server, with its keys and configuration, and a folder that stands for what hosts keep.
pub struct Sshd {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines in its configuration.
    pub fn with(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("rb-ssh").tempdir_in("/tmp").expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "id", "stranger"] {
            let mut keygen = Command::new("ssh-keygen");
            let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key)).status();
            assert!(made.is_ok_and(|status| status.success()), "no key");
        }
        fs::copy(at("id.pub"), at("authorized")).expect("a key");
        for made in ["bin", "state", "work", "run"] {
            fs::create_dir(at(made)).expect("a folder");
        }
        let boot = fs::read("/proc/sys/kernel/random/boot_id").expect("a boot id");
        fs::write(at("boot"), boot).expect("a boot id");
        // The server's own folder, which its service makes on a real host.
        fs::create_dir_all("/run/sshd").expect("the folder that sshd wants");
        let port = free_port();
        let root = folder.path().display();
        // With SHLVL=1, bash takes itself for a shell within a shell, and does not read the ~/.bashrc of whoever runs the
        // tests: some take a minute where many are read at once.
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host\nPidFile none\nAuthorizedKeysFile {root}/authorized\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             UsePAM no\nSetEnv PATH={root}/bin:/usr/local/bin:/usr/bin:/bin SHLVL=1\n{more}"
        );
        fs::write(at("sshd.conf"), server).expect("a configuration");
        let host_key = fs::read_to_string(at("host.pub")).expect("a key");
        fs::write(at("known"), format!("[127.0.0.1]:{port} {host_key}")).expect("known hosts");
        let client = format!(
            "Host *\nUserKnownHostsFile {root}/known\nGlobalKnownHostsFile /dev/null\nIdentityFile {root}/id\n\
             IdentitiesOnly yes\nIdentityAgent none\nHost web*\nHostName 127.0.0.1\n"
        );
        fs::write(at("ssh.conf"), client).expect("a configuration");
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-E"])
            .arg(at("log"))
            .arg("-f")
            .arg(at("sshd.conf"))
            .stdin(Stdio::null())
            .spawn()
            .expect("sshd starts");
        let sshd = Self { folder, port, process };
        wait_for("sshd answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        sshd
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Our side, whose sockets are below the test's folder.
    pub fn hosts(&self) -> Hosts {
        Hosts::new().in_folder(Some(self.at("run"))).with_places(self.places())
    }

    pub fn places(&self) -> Places {
        let path = |name: &str| self.at(name).display().to_string();
        Places { state: path("state"), boot: path("boot"), systemd: path("systemd"), path: path("bin") }
    }

    pub fn connection(&self) -> Connection {
        Connection {
            port: Some(self.port),
            config: Some(self.at("ssh.conf").display().to_string()),
            ..Connection::default()
        }
    }

    /// A host by a name that only the ssh configuration knows: all of them are this machine.
    pub fn host(&self, number: usize) -> Target {
        target(&format!("web{number}"), self.connection())
    }

    /// A program that stands for one of the host's own.
    pub fn stand_in(&self, name: &str, script: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    /// Our master processes that live.
    pub fn masters(&self) -> Vec<u32> {
        processes(&format!("-S {}", self.at("run").display()))
    }
}

pub fn target(address: &str, connection: Connection) -> Target {
    Target {
        home: Home::Host { address: address.to_owned(), connection },
        ..serde_json::from_value(serde_json::json!({
            "id": TargetId::new(address), "name": address, "group": GroupName::new("web"), "platform": "linux",
            "home": { "host": { "address": address } },
        }))
        .expect("a target")
    }
}

pub fn look(script: &str) -> Look {
    Look {
        script: script.to_owned(),
        env: BTreeMap::new(),
        as_root: false,
        within: Duration::from_secs(60),
        looks_for: None,
    }
}

pub async fn seen(hosts: &Hosts, host: &Target, script: &str) -> Seen {
    hosts.look(host, &look(script)).await.expect("it is seen")
}

/// Living processes whose command line holds this.
pub fn processes(part: &str) -> Vec<u32> {
    let holds = |path: &Path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let line: Vec<u8> = line.into_iter().map(|byte| if byte == 0 { b' ' } else { byte }).collect();
        String::from_utf8_lossy(&line).contains(part)
    };
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let holders = entries.filter(|entry| holds(&entry.path()));
    holders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Kills one process, by its number.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port()
}

pub fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
