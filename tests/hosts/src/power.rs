//! Up, down, and up again.

use std::{
    fs,
    io::Write,
    time::{Duration, Instant},
};

use crate::Host;

/// How long anything here may take, on a small machine that builds at the same time.
const LIMIT: Duration = Duration::from_secs(300);

impl Host {
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
    /// When it does not come up in five minutes: with what it said.
    pub fn wait_until_up(&self) {
        self.wait_until("is not up", |host| host.is_up());
    }

    /// Waits until it is up with another boot id than this one.
    ///
    /// # Panics
    /// When it does not in five minutes.
    pub fn wait_for_reboot(&self, boot_id: &str) {
        self.wait_until("has not rebooted", |host| host.is_up() && host.boot_id() != boot_id);
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
    /// When it does not in five minutes.
    pub fn wait_until_down(&self) {
        self.wait_until("does not go down", |host| !host.folder.join("init").exists());
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

    pub(crate) fn guest(&self, file: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("guest").join(file)).ok()?;
        Some(text.trim().to_owned())
    }

    fn say(&self, word: &str) {
        let mut control = self.control.lock().expect("no test has panicked here");
        let control = control.as_mut().expect("the host was not stopped");
        writeln!(control, "{word}").expect("the rig listens");
    }

    /// Waits until something is so with it, which `otherwise` says the contrary of.
    ///
    /// # Panics
    /// When it is not in five minutes, or the rig has ended: with what it said.
    pub fn wait_until(&self, otherwise: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !condition(self) {
            let mut supervisor = self.supervisor.lock().expect("no test has panicked here");
            let ended = supervisor.try_wait().expect("it can be asked");
            assert!(ended.is_none() && Instant::now() < end, "{} {otherwise}: {}", self.name, self.log());
            drop(supervisor);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
