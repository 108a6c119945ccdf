//! What a host is to be like.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    Host,
    estate::{Ground, make_key, scripts},
    lease::Lease,
};

/// Which package manager a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// apt and dpkg, `debian` 12.
    Debian,
    /// dnf 4 and rpm, says that it is `rocky` 9.4.
    Dnf,
    /// zypper and rpm, says that it is `sles` 15.6.
    Zypper,
}

impl Family {
    /// Its root folder with the first version of every package, and below it what that stands on.
    fn roots(self, database: bool) -> &'static [&'static str] {
        match self {
            Self::Debian if database => &["database-ready", "database", "debian"],
            Self::Debian => &["debian-ready", "debian"],
            Self::Dnf => &["dnf-ready", "dnf", "debian"],
            Self::Zypper => &["zypper-ready", "zypper", "debian"],
        }
    }
}

/// A host that is not started yet.
pub struct Recipe {
    ground: Arc<Ground>,
    family: Family,
    name: String,
    on_loopback: bool,
    var: Option<u32>,
    down_for: Duration,
    database: bool,
}

impl Recipe {
    pub(crate) fn new(ground: Arc<Ground>, family: Family, name: &str) -> Self {
        Self {
            ground,
            family,
            name: name.to_owned(),
            on_loopback: false,
            var: None,
            down_for: Duration::from_millis(200),
            database: false,
        }
    }

    /// It shares this machine's network, on an address of its own on the loopback device. Cheaper, and it cannot be cut
    /// off.
    #[must_use]
    pub fn on_loopback(mut self) -> Self {
        self.on_loopback = true;
        self
    }

    /// What is written below `/var` must fit into so many MiB.
    #[must_use]
    pub fn var_of(mut self, mebibytes: u32) -> Self {
        self.var = Some(mebibytes);
        self
    }

    /// How long a reboot keeps it down; a fifth of a second where nothing is said.
    #[must_use]
    pub fn down_for(mut self, time: Duration) -> Self {
        self.down_for = time;
        self
    }

    /// It has PostgreSQL and restic, too; the server is not started. Debian only.
    #[must_use]
    pub fn with_database(mut self) -> Self {
        assert_eq!(self.family, Family::Debian, "the database comes from Debian");
        self.database = true;
        self
    }

    /// Starts it, and waits until it is up.
    ///
    /// # Panics
    /// When it does not come up: with what it said.
    pub fn start(self) -> Host {
        let host = self.spawn();
        host.wait_until_up();
        host
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(self) -> Host {
        let lease = Lease::take();
        let (gateway, own) = lease.pair();
        let address = if self.on_loopback { lease.loopback() } else { own };
        // A port that a server of this machine on all addresses is unlikely to have.
        let port = if self.on_loopback { 2200 } else { 22 };
        let folder = self.ground.file("hosts").join(&self.name);
        assert!(!folder.exists(), "there is a host `{}` already", self.name);
        self.write(&folder, &address, port);

        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "--ipc", "--propagation", "private"]);
        if !self.on_loopback {
            command.arg("--net");
        }
        let roots = self
            .family
            .roots(self.database)
            .iter()
            .map(|root| self.ground.installed.join("roots").join(root));
        let roots: Vec<_> = roots.map(|root| root.display().to_string()).collect();
        command
            .arg(scripts().join("machine/host.sh"))
            .arg(&folder)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NAME", &self.name)
            .env("ROOTS", roots.join(":"))
            .env("REPOSITORY", self.ground.repository.folder())
            .env("ADDRESS", &address)
            .env("DOWN_FOR", self.down_for.as_secs_f64().to_string());
        if !self.on_loopback {
            command.env("LINK", lease.link()).env("GATEWAY", gateway).env("MAC", lease.mac());
        }
        if let Some(mebibytes) = self.var {
            command.env("VAR", mebibytes.to_string());
        }
        let log = fs::File::create(folder.join("log")).expect("a log file");
        let mut supervisor = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log)
            .spawn()
            .expect("unshare starts");
        Host {
            control: Mutex::new(supervisor.stdin.take()),
            supervisor: Mutex::new(supervisor),
            ground: self.ground,
            family: self.family,
            name: self.name,
            address,
            port,
            folder,
            lease,
            on_loopback: self.on_loopback,
        }
    }

    /// The host's folder: what is copied over its root, and what it sees as /rig.
    fn write(&self, folder: &Path, address: &str, port: u16) {
        let files = folder.join("files");
        let guest = folder.join("guest");
        fs::create_dir_all(files.join("etc")).expect("a folder");
        fs::create_dir_all(guest.join("bin")).expect("a folder");
        let put = |path: &str, text: String| fs::write(files.join(path), text).expect("a file of the host");
        put("etc/hostname", format!("{}\n", self.name));
        put("etc/hosts", format!("127.0.0.1 localhost\n{address} {}\n", self.name));
        put("etc/runbook-demo.conf", format!("ADDRESS={address}\nPORT={}\n", Host::DEMO_PORT));
        let key = guest.join("host_key");
        make_key(&key);
        fs::copy(self.ground.file("identity.pub"), guest.join("authorized_keys"))
            .expect("the key of the test");
        fs::write(
            guest.join("sshd_config"),
            format!("ListenAddress {address}\nPort {port}\nHostKey /rig/host_key\n"),
        )
        .expect("the configuration of sshd");
        let public = fs::read_to_string(key.with_extension("pub")).expect("a public key");
        self.ground.introduce(&self.name, address, port, public.trim());
    }
}
