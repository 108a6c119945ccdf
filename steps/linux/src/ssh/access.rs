//! How a host is reached, as `ssh` is told it.

use runbook_engine::{
    connection::{Connection, Sudo},
    target::{Home, Target},
};
use runbook_steps::ports::fault::{Fault, FaultKind};

use super::fault;
use crate::shell::quote;

/// How a host is reached. Targets that are reached in the same way share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Access {
    pub(crate) address: String,
    pub(crate) connection: Connection,
}

/// What our calls rely on, whatever the user's configuration says. Host keys are never accepted by us. A host that
/// does not answer for a minute is gone. Forwards of the user's own are not repeated for each of our connections.
const OPTIONS: [&str; 14] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=10",
    "ConnectionAttempts=1",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "ForwardX11=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "PermitLocalCommand=no",
    "UpdateHostKeys=no",
    // Its words on why a host was not reached, without the host's own banner.
    "LogLevel=ERROR",
];

impl Access {
    /// How this target is reached.
    ///
    /// # Errors
    /// [`FaultKind::Unsupported`]: it is not a host of our own. [`FaultKind::Invalid`]: it is written down wrongly.
    pub(crate) fn of(host: &Target) -> Result<Self, Fault> {
        let Home::Host { address, connection } = &host.home else {
            let message = format!("{} is not a host of our own", host.name);
            return Err(fault("ssh:connect", FaultKind::Unsupported, message));
        };
        let connection = connection.clone().settled();
        let wrong = connection.defect().or_else(|| {
            let word = !address.is_empty()
                && !address.starts_with('-')
                && !address.chars().any(|c| c.is_whitespace() || c.is_control());
            (!word).then(|| format!("`address` is `{}`: it must be one word", address.escape_debug()))
        });
        match wrong {
            Some(wrong) => Err(fault(
                "ssh:connect",
                FaultKind::Invalid,
                format!("the connection of {}: {wrong}", host.name),
            )),
            None => Ok(Self { address: address.clone(), connection }),
        }
    }

    /// The arguments of the master process that come before the command.
    pub(crate) fn arguments(&self, control: &str) -> Vec<String> {
        // In this option, % begins a word that ssh fills in.
        let mut arguments =
            vec!["-M".to_owned(), "-S".to_owned(), control.replace('%', "%%"), "-T".to_owned()];
        for option in OPTIONS {
            arguments.extend(["-o".to_owned(), option.to_owned()]);
        }
        arguments.extend(self.own());
        arguments.extend(["--".to_owned(), self.address.clone()]);
        arguments
    }

    fn own(&self) -> Vec<String> {
        let Connection { port, user, identity, config, jump, .. } = &self.connection;
        let mut own = Vec::new();
        let mut add = |flag: &str, value: String| own.extend([flag.to_owned(), value]);
        if let Some(config) = config {
            add("-F", config.clone());
        }
        if let Some(port) = port {
            add("-p", port.to_string());
        }
        if let Some(user) = user {
            add("-l", user.clone());
        }
        if let Some(identity) = identity {
            // Not every key of the agent besides: hosts close the door after a few wrong ones.
            add("-o", "IdentitiesOnly=yes".to_owned());
            add("-i", identity.clone());
        }
        if !jump.is_empty() {
            add("-J", jump.join(","));
        }
        own
    }

    /// The command that a person types to get to the same place.
    pub(crate) fn typed(&self) -> String {
        let mut words = vec!["ssh".to_owned()];
        words.extend(self.own().iter().map(|word| quote(word)));
        words.push(quote(&self.address));
        words.join(" ")
    }

    /// How root is become by a login that is not root.
    pub(crate) fn sudo(&self) -> Sudo {
        self.connection.sudo.unwrap_or(Sudo::Passwordless)
    }
}
