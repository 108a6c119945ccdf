//! A running host.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    Family,
    estate::{Ground, make_key},
    lease::Lease,
};

/// How long a host may take to come up, on a small machine that builds at the same time.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// A host. It ends with this handle.
pub struct Host {
    ground: Arc<Ground>,
    family: Family,
    name: String,
    address: String,
    port: u16,
    folder: PathBuf,
    _lease: Lease,
    supervisor: Mutex<Child>,
    control: Mutex<Option<ChildStdin>>,
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Host {
    /// Where the demo service listens, on the host's own address.
    pub const DEMO_PORT: u16 = 8480;

    #[expect(clippy::too_many_arguments, reason = "one caller, which has just made all of them")]
    pub(crate) fn new(
        ground: Arc<Ground>,
        family: Family,
        name: String,
        address: String,
        port: u16,
        folder: PathBuf,
        lease: Lease,
        mut supervisor: Child,
    ) -> Self {
        let control = Mutex::new(supervisor.stdin.take());
        let supervisor = Mutex::new(supervisor);
        Self { ground, family, name, address, port, folder, _lease: lease, supervisor, control }
    }

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

    /// The boot id that it shows now, or showed last.
    ///
    /// # Panics
    /// When it never booted.
    pub fn boot_id(&self) -> String {
        self.guest("boot_id").expect("a boot id")
    }

    /// Whether it has booted and was not switched off since.
    pub fn is_up(&self) -> bool {
        let booted = self.guest("booted");
        booted.is_some() && booted == self.guest("boot_id")
    }

    /// Waits until it is up.
    ///
    /// # Panics
    /// When it does not come up in a minute: with what it said.
    pub fn wait_until_up(&self) {
        self.wait("is not up", |host| host.is_up());
    }

    /// Waits until it is up with another boot id than this one.
    ///
    /// # Panics
    /// When it does not in a minute.
    pub fn wait_for_reboot(&self, boot_id: &str) {
        self.wait("has not rebooted", |host| host.is_up() && host.boot_id() != boot_id);
    }

    /// Runs a shell command as root, not over ssh: to see what is true, whatever the network says.
    ///
    /// # Panics
    /// When the host is down.
    pub fn exec(&self, command: &str) -> Answer {
        let output = self.enter(command).output().expect("nsenter starts");
        output.into()
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
        let init = fs::read_to_string(self.folder.join("init"));
        let init = init.unwrap_or_else(|_| panic!("{} is down", self.name));
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", init.trim(), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--"])
            .args(["/bin/sh", "-c", command])
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

    /// Runs a command over ssh as this user. Status 255 is ssh's own failure.
    ///
    /// # Panics
    /// When ssh cannot be started.
    pub fn ssh_as(&self, user: &str, command: &str) -> Answer {
        let output = Command::new("ssh")
            .arg("-F")
            .arg(self.ground.file("ssh_config"))
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-l", user, &self.name, command])
            .stdin(Stdio::null())
            .output()
            .expect("ssh starts");
        output.into()
    }

    /// What the demo service answers to GET: status and body.
    pub fn http(&self, path: &str) -> Option<(u16, String)> {
        let address = format!("{}:{}", self.address, Self::DEMO_PORT).parse().expect("an address");
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
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

    /// Reboots it, as if somebody had pressed the button: nothing is told to end first. Waits until it is up again.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn reboot(&self) {
        let before = self.boot_id();
        self.say("reboot");
        self.wait_for_reboot(&before);
    }

    /// From now on it does not come up again when it is rebooted; until [`power_on`](Self::power_on).
    ///
    /// # Panics
    /// When its folder is gone.
    pub fn never_comes_back(&self) {
        fs::write(self.folder.join("guest/stays-down"), "").expect("the host's folder");
    }

    /// Waits until it is down: it was told to reboot or to go down.
    ///
    /// # Panics
    /// When it does not in a minute.
    pub fn wait_until_down(&self) {
        self.wait("does not go down", |host| !host.folder.join("init").exists());
    }

    /// Takes its power away, and waits until it is down.
    ///
    /// # Panics
    /// When it stays up.
    pub fn power_off(&self) {
        self.say("off");
        self.wait_until_down();
    }

    /// Gives its power back, and waits until it is up.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn power_on(&self) {
        let _ = fs::remove_file(self.folder.join("guest/stays-down"));
        self.say("on");
        self.wait_until_up();
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
        self.wait("has no sshd any more", |host| host.exec("test -s /run/sshd.pid").code == 0);
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

    /// What the rig says of it, for the message of a failing test.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Ends it. Dropping the handle does the same.
    pub fn stop(self) {
        drop(self);
    }

    fn guest(&self, file: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("guest").join(file)).ok()?;
        Some(text.trim().to_owned())
    }

    fn say(&self, word: &str) {
        let mut control = self.control.lock().expect("no test has panicked here");
        let control = control.as_mut().expect("the host was not stopped");
        writeln!(control, "{word}").expect("the rig listens");
    }

    fn link(&self, state: &str) {
        let supervisor = self.supervisor.lock().expect("no test has panicked here").id();
        assert_ne!(self.port, 2200, "{} shares the network of this machine", self.name);
        let output = Command::new("nsenter")
            .args(["--target", &supervisor.to_string(), "--net", "ip", "link", "set", "eth0", state])
            .output()
            .expect("nsenter starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn wait(&self, problem: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + BOOT_LIMIT;
        while !condition(self) {
            let ended = self
                .supervisor
                .lock()
                .expect("no test has panicked here")
                .try_wait()
                .expect("it can be asked");
            assert!(ended.is_none() && Instant::now() < end, "{} {problem}: {}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
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
