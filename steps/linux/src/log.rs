//! Lines of logs.

pub(crate) mod told;

use std::time::Duration;

use jiff::Timestamp;
use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Log, LogAsked},
};

use self::told::Told;
use crate::{
    Hosts,
    jobs::last,
    service,
    shell::quote,
    ssh::{Access, Call, Rights, fault},
};

const CALL: &str = "ssh:log";
const SCRIPT: &str = include_str!("log.sh");
const PATIENCE: Duration = Duration::from_secs(120);

/// Lines are sorted out by their time only here, so more of them come.
const MORE: u32 = 20;

/// As much as the longest lines of the script come to.
const KEEP: usize = 8 << 20;

impl Hosts {
    pub(crate) async fn logged(&self, host: &Target, asked: &LogAsked) -> Result<Vec<String>, Fault> {
        if asked.patterns.is_empty() || asked.most == 0 {
            return Ok(Vec::new());
        }
        let (unit, path) = match &asked.log {
            Log::Journal { unit } => {
                let unit = unit.as_deref().map(|unit| service::checked(unit, CALL)).transpose()?;
                // Anybody may ask journald, and is told of his own lines only.
                if !self.pool().master(&Access::of(host)?).await?.is_rooted() {
                    let message = format!(
                        "{} says `sudo: none`, and the journal of a host is read with root's rights",
                        host.name
                    );
                    return Err(fault(CALL, FaultKind::Denied, message));
                }
                (unit.unwrap_or_default(), "")
            }
            Log::File { path } if path.starts_with('/') && !path.contains('\0') => ("", path.as_str()),
            Log::File { path } => {
                let message = format!("`{}` is not the absolute path of a file", path.escape_debug());
                return Err(fault(CALL, FaultKind::Invalid, message));
            }
        };
        let sent = Timestamp::now();
        let mut script = String::new();
        for (name, value) in [
            ("rb_patterns", asked.patterns.join("\n")),
            ("rb_except", asked.except.join("\n")),
            ("rb_most", asked.most.saturating_mul(MORE).to_string()),
            ("rb_unit", unit.to_owned()),
            ("rb_since", asked.since.as_second().to_string()),
            ("rb_now", sent.as_second().to_string()),
            ("rb_path", path.to_owned()),
        ] {
            script += &format!("{name}={}\n", quote(&value));
        }
        script += SCRIPT;
        let call = Call { name: CALL, script: &script, rights: Rights::Root, within: PATIENCE, keep: KEEP };
        let answer = self.call(host, &call).await?;
        let unread =
            |kind, why: &str| fault(CALL, kind, format!("the log of {} cannot be read: {why}", host.name));
        let kind = match answer.code {
            Some(0) if answer.cut => return Err(unread(FaultKind::Unsupported, "it is too long")),
            Some(0) => {
                let told = Told::read(&answer.stdout).ok_or_else(|| {
                    unread(FaultKind::Unsupported, "the host does not say what time it has")
                })?;
                let since = told.clock(asked.since, sent, Timestamp::now());
                let most = usize::try_from(asked.most).unwrap_or(usize::MAX);
                return Ok(told.since(since).take(most).map(str::to_owned).collect());
            }
            Some(4) => FaultKind::NotFound,
            Some(5) => FaultKind::Invalid,
            None => FaultKind::Ambiguous,
            Some(_) => FaultKind::Denied,
        };
        Err(unread(kind, last(&answer.stderr)))
    }
}
