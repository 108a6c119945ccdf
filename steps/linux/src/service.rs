//! How a service stands.

use std::time::Duration;

use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::ServiceState,
};

use crate::{
    Hosts,
    jobs::last,
    shell::quote,
    ssh::{Call, Rights, fault},
};

const CALL: &str = "ssh:service";
const SCRIPT: &str = include_str!("service.sh");

impl Hosts {
    pub(crate) async fn service_state(&self, host: &Target, name: &str) -> Result<ServiceState, Fault> {
        let name = checked(name, CALL)?;
        let script =
            format!("rb_systemd={}\nrb_name={}\n{SCRIPT}", quote(&self.places().systemd), quote(name));
        let within = Duration::from_secs(30);
        let call = Call { name: CALL, script: &script, rights: Rights::Root, within, keep: 16_384 };
        let answer = self.call(host, &call).await?;
        if answer.code.is_none() {
            let message = format!("{} does not say within 30 s how {name} stands", host.name);
            return Err(fault(CALL, FaultKind::Ambiguous, message));
        }
        read(&answer.stdout).ok_or_else(|| {
            let (kind, message) = match answer.code {
                Some(4) => (FaultKind::NotFound, format!("{} has no service {name}", host.name)),
                _ => {
                    let why = last(&answer.stderr);
                    (FaultKind::Target, format!("{} does not say how {name} stands: {why}", host.name))
                }
            };
            fault(CALL, kind, message)
        })
    }
}

/// The name of a unit or of an init script, which cannot be taken for an option or a path.
pub(crate) fn checked<'a>(name: &'a str, call: &'static str) -> Result<&'a str, Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@:\\".contains(c);
    if !name.is_empty() && name.len() <= 255 && !name.starts_with(['-', '.']) && name.chars().all(plain) {
        return Ok(name);
    }
    let message = format!("`{}` cannot be the name of a service", name.escape_debug());
    Err(fault(call, FaultKind::Invalid, message))
}

/// Reads `active`, `enabled` and the words, a line each.
fn read(said: &str) -> Option<ServiceState> {
    let mut lines = said.lines();
    let active = match lines.next()? {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    let enabled = match lines.next()? {
        // `static`, `indirect` and the like are started by others.
        "enabled" | "enabled-runtime" | "alias" => Some(true),
        "disabled" | "masked" => Some(false),
        _ => None,
    };
    Some(ServiceState { active, enabled, words: lines.next().unwrap_or_default().trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let state =
            |active, enabled, words: &str| Some(ServiceState { active, enabled, words: words.to_owned() });
        assert_eq!(read("yes\nenabled\nactive (running)\n"), state(true, Some(true), "active (running)"));
        assert_eq!(
            read("no\ndisabled\nfailed (Result: exit-code)\n"),
            state(false, Some(false), "failed (Result: exit-code)")
        );
        assert_eq!(read("yes\nstatic\nactive (exited)\n"), state(true, None, "active (exited)"));
        assert_eq!(read("yes\n\nnginx is running.\n"), state(true, None, "nginx is running."));
        assert_eq!(read(""), None);
    }

    #[test]
    fn names_are_names() {
        for good in ["nginx", "nginx.service", "postgresql@15-main", "dev-sda1.device"] {
            assert!(checked(good, CALL).is_ok(), "{good}");
        }
        for bad in ["", "-H", "../x", "a b", "a;b", "$(x)"] {
            assert!(checked(bad, CALL).is_err(), "{bad}");
        }
    }
}
