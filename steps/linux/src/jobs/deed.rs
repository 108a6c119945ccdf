//! What is to be done, as the script of a job.

use std::collections::BTreeMap;

use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Deed, FileDeed, Job},
};

use crate::{
    Hosts,
    look::exported,
    managing, packages,
    shell::quote,
    snapshots,
    ssh::{Rights, fault},
};

const CALL: &str = "ssh:start";
const FILE: &str = include_str!("file.sh");
const SERVICE: &str = include_str!("service.sh");

/// What can bring a host up again, and nothing else; the supervisor does it when the result is written down.
const REBOOT: &str = "for rb in systemctl shutdown reboot; do\n    command -v $rb >/dev/null 2>&1 && exit 0\ndone\n\
    echo 'nothing that can reboot it was found' >&2\nexit 127\n";

/// The script of a job, and what is kept of it.
pub(super) struct Rendered {
    /// By this its end is understood, perhaps by another process than the one that started it.
    pub(super) kind: String,
    pub(super) script: String,
    pub(super) rights: Rights,
    pub(super) reboots: bool,
}

impl Rendered {
    fn root(kind: &str, script: String) -> Self {
        Self { kind: kind.to_owned(), script, rights: Rights::Root, reboots: false }
    }
}

impl Hosts {
    /// The script of a job on this host.
    pub(super) async fn deed(&self, host: &Target, job: &Job) -> Result<Rendered, Fault> {
        match &job.deed {
            Deed::Script { script, env, as_root, .. } => {
                let rights = if *as_root { Rights::Root } else { Rights::Login };
                let script = exported(env, &interpreted(script), CALL)?;
                Ok(Rendered { kind: "script".to_owned(), script, rights, reboots: false })
            }
            Deed::Service { name, verb } => {
                let deed = service(name, verb)?;
                let systemd = quote(&self.places().systemd);
                Ok(Rendered { script: format!("rb_systemd={systemd}\n{}", deed.script), ..deed })
            }
            Deed::File(file) => placed(file),
            Deed::Reboot => Ok(Rendered { reboots: true, ..Rendered::root("reboot", REBOOT.to_owned()) }),
            Deed::Discard(kept) if kept.method == "packages" => {
                super::checked(&kept.token, CALL)?;
                let folder = quote(&packages::kept_folder(&kept.token));
                Ok(Rendered::root("discard", format!("rm -rf -- {folder}\n")))
            }
            Deed::Capture(capture) => self.snapshot(snapshots::capture(capture, &job.run), &capture.secrets),
            Deed::Revert(revert) => {
                self.snapshot(snapshots::revert(revert, &job.run, &job.token), &revert.secrets)
            }
            Deed::Discard(revert) => self.snapshot(snapshots::discard(revert, &job.run), &revert.secrets),
            Deed::Refresh { .. } | Deed::Install(_) | Deed::Repair { .. } | Deed::Keep { .. } => {
                let manager = self.manager(host).await?;
                let (work, script) = managing::job(manager, job);
                Ok(Rendered::root(&managing::written(manager, work), script))
            }
        }
    }

    /// A script that makes, reverts or deletes a snapshot, with the secrets that it wants in its environment.
    fn snapshot(
        &self,
        script: Result<String, String>,
        secrets: &BTreeMap<String, String>,
    ) -> Result<Rendered, Fault> {
        let script = script.map_err(|why| fault(CALL, FaultKind::Unsupported, why))?;
        let mut env = BTreeMap::new();
        for (variable, name) in secrets {
            env.insert(variable.clone(), self.secret(CALL, name)?);
        }
        Ok(Rendered::root("snapshot", exported(&env, &script, CALL)?))
    }
}

/// A script that names its interpreter is given to it, without a file: not every host lets files below `/var` be run, and
/// nothing of it stays.
fn interpreted(script: &str) -> String {
    let Some(line) = script.strip_prefix("#!").and_then(|rest| rest.lines().next()).map(str::trim) else {
        return script.to_owned();
    };
    if ["/bin/sh", "/usr/bin/sh", "/usr/bin/env sh"].contains(&line) {
        return script.to_owned();
    }
    // As the kernel does it: one program, and at most one argument.
    let (program, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let argument = if argument.is_empty() { String::new() } else { format!(" {}", quote(argument)) };
    format!(
        "printf '%s' {} | {{ exec 3<&0 </dev/null; exec {}{argument} /dev/fd/3; }}\n",
        quote(script),
        quote(program)
    )
}

fn service(name: &str, verb: &str) -> Result<Rendered, Fault> {
    if !["start", "stop", "restart", "reload", "enable", "disable"].contains(&verb) {
        let message = format!("`{}` is nothing that is done to a service", verb.escape_debug());
        return Err(fault(CALL, FaultKind::Invalid, message));
    }
    let name = crate::service::checked(name, CALL)?;
    Ok(Rendered::root("service", format!("rb_name={}\nrb_verb={verb}\n{SERVICE}", quote(name))))
}

fn placed(file: &FileDeed) -> Result<Rendered, Fault> {
    let FileDeed { path, content, mode, owner } = file;
    let wrong = |message: String| Err(fault(CALL, FaultKind::Invalid, message));
    if !path.starts_with('/') || path.ends_with('/') || path.contains(['\0', '\n']) {
        return wrong(format!("`{}` is not the absolute path of a file", path.escape_debug()));
    }
    if content.as_deref().is_some_and(|content| content.contains('\0')) {
        return wrong(format!("the content of {path} holds a NUL character"));
    }
    if let Some(mode) = mode
        && !(mode.len() <= 5 && !mode.is_empty() && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit)))
    {
        return wrong(format!("`{}` is not an octal mode", mode.escape_debug()));
    }
    let name = |c: char| c.is_ascii_alphanumeric() || "._-:@".contains(c);
    if let Some(owner) = owner
        && (owner.is_empty() || owner.starts_with('-') || !owner.chars().all(name))
    {
        return wrong(format!("`{}` is not `user` or `user:group`", owner.escape_debug()));
    }
    let text = |text: &Option<String>| quote(text.as_deref().unwrap_or_default());
    let script = format!(
        "rb_path={}\nrb_there={}\nrb_content={}\nrb_mode={}\nrb_owner={}\n{FILE}",
        quote(path),
        if content.is_some() { "yes" } else { "no" },
        text(content),
        text(mode),
        text(owner),
    );
    Ok(Rendered::root("file", script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sh_is_run_as_it_is_and_others_by_their_interpreter() {
        for script in ["echo x", "#!/bin/sh\necho x", "#! /bin/sh\necho x"] {
            assert_eq!(interpreted(script), script);
        }
        assert_eq!(
            interpreted("#!/usr/bin/env python3\nprint(1)\n"),
            "printf '%s' '#!/usr/bin/env python3\nprint(1)\n' | { exec 3<&0 </dev/null; exec /usr/bin/env python3 /dev/fd/3; }\n"
        );
    }

    #[test]
    fn what_cannot_be_a_file_is_refused() {
        let good = FileDeed {
            path: "/etc/motd".to_owned(),
            content: Some("x".to_owned()),
            mode: Some("0644".to_owned()),
            owner: Some("root:adm".to_owned()),
        };
        assert!(placed(&good).is_ok());
        for wrong in [
            FileDeed { path: "etc/motd".to_owned(), ..good.clone() },
            FileDeed { path: "/etc/".to_owned(), ..good.clone() },
            FileDeed { content: Some("\0".to_owned()), ..good.clone() },
            FileDeed { mode: Some("u+x".to_owned()), ..good.clone() },
            FileDeed { owner: Some("--reference=x".to_owned()), ..good.clone() },
            FileDeed { owner: Some("a;b".to_owned()), ..good },
        ] {
            assert!(placed(&wrong).is_err_and(|fault| fault.kind == FaultKind::Invalid), "{wrong:?}");
        }
    }

    #[test]
    fn only_known_verbs_are_done_to_a_service() {
        assert!(service("nginx.service", "reload").is_ok());
        assert!(service("nginx", "mask").is_err());
        assert!(service("--now", "start").is_err());
    }
}
