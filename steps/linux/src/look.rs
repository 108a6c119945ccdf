//! Scripts that only look.

use std::{collections::BTreeMap, time::Duration};

use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Look, Seen},
};

use crate::{
    Hosts,
    shell::quote,
    ssh::{Call, Rights, fault},
};

/// What the port gives of standard output, in characters.
pub(crate) const STDOUT: usize = 24_000;

/// What the port gives of standard error, in characters.
pub(crate) const STDERR: usize = 8_000;

impl Hosts {
    pub(crate) async fn seen(&self, host: &Target, look: &Look) -> Result<Seen, Fault> {
        let script = exported(&look.env, &look.script, "ssh:look")?;
        let rights = if look.as_root { Rights::Root } else { Rights::Login };
        let call = Call { name: "ssh:look", script: &script, rights, within: look.within, keep: 4 * STDOUT };
        let answer = self.call(host, &call).await?;
        Ok(Seen {
            code: answer.code,
            stdout: head(&answer.stdout, STDOUT),
            stderr: head(&answer.stderr, STDERR),
        })
    }

    pub(crate) async fn boot_id(&self, host: &Target) -> Result<String, Fault> {
        let script = format!("cat {}", quote(&self.places().boot));
        let within = Duration::from_secs(20);
        let call = Call { name: "ssh:boot", script: &script, rights: Rights::Login, within, keep: 1_000 };
        let answer = self.call(host, &call).await?;
        match answer.stdout.trim() {
            "" => {
                let message = format!("{} does not tell its boot id: {}", host.name, answer.stderr.trim());
                Err(fault("ssh:boot", FaultKind::Target, message))
            }
            id => Ok(id.to_owned()),
        }
    }
}

/// The first characters.
pub(crate) fn head(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A script with these variables in its environment: in its text, which goes over standard input, and so in no argument.
pub(crate) fn exported(
    env: &BTreeMap<String, String>,
    script: &str,
    call: &'static str,
) -> Result<String, Fault> {
    let mut text = String::new();
    for (name, value) in env {
        let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !word {
            let message = format!("`{}` cannot be the name of a variable", name.escape_debug());
            return Err(fault(call, FaultKind::Invalid, message));
        }
        text += &format!("export {name}={}\n", quote(value));
    }
    Ok(text + script)
}
