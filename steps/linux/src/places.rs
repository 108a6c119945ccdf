//! Where things are on a host.

use crate::shell::quote;

/// Where things are on a host. Tests have other places than real hosts, nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The folder of what we keep on it.
    pub state: String,
    /// Where its boot id is read.
    pub boot: String,
    /// This folder is there where systemd runs.
    pub systemd: String,
    /// Goes before the PATH of the scripts of ours that start and end jobs; empty: nothing.
    pub path: String,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            state: "/var/lib/runbook".to_owned(),
            boot: "/proc/sys/kernel/random/boot_id".to_owned(),
            systemd: "/run/systemd/system".to_owned(),
            path: String::new(),
        }
    }
}

impl Places {
    /// The same as assignments of sh. Without root's rights there is no `/var/lib/runbook`: the user's own folder is.
    pub(crate) fn assignments(&self, rooted: bool) -> String {
        let home = if rooted || *self != Self::default() {
            quote(&self.state)
        } else {
            "${XDG_STATE_HOME:-$HOME/.local/state}/runbook".to_owned()
        };
        let path = match self.path.as_str() {
            "" => String::new(),
            path => format!("PATH={}:$PATH\n", quote(path)),
        };
        let (boot, systemd) = (quote(&self.boot), quote(&self.systemd));
        format!("{path}rb_home={home}\nrb_bootfile={boot}\nrb_systemd={systemd}\n")
    }
}
