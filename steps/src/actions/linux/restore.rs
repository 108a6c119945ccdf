//! `linux/restore`: brings a host back to its backup.
//!
//! By packages: what changed since the backup is looked at, not what a patch was to change, so that a patch that was
//! interrupted anywhere is undone. Whatever cannot or must not go back is found out before anything is done.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc, WayBack, WayBackAsked},
    duration::Span,
    outcome::Effect,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    backup::{PACKAGES, planned_method},
    forbidden::forbidden,
    host::{Host, Patience, each},
    job::End,
    kept::Kept,
    kernel,
    manifest::{Manifest, few, words},
    stages::{LOCK_WAIT, errand, failure},
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
    ports::linux::{Change, ConfigFiles, Deed, Order, Verdict, Wanted},
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("from", InputKind::StepRef, "The step that made the backup."),
            InputDoc::defaulting(
                "strategy",
                InputKind::Enum(vec!["auto", "packages", "snapshot"]),
                "auto",
                "How: `auto` is what the backup holds; any other refuses a backup that holds something else.",
            ),
            InputDoc::defaulting(
                "reboot",
                InputKind::Enum(vec!["RebootIfNeeded", "NoReboot"]),
                "RebootIfNeeded",
                "What to do when the host says afterwards that it must be rebooted; a snapshot of the root always needs it.",
            ),
            InputDoc::optional(
                "losing",
                InputKind::Script,
                "`restic`: a script that prints, a line each, what is lost; `$RUNBOOK_BACKUP_AT` is when it was begun.",
            ),
            InputDoc::optional(
                "into",
                InputKind::String,
                "`restic`: restore into this folder, beside what is there.",
            ),
            InputDoc::optional(
                "before",
                InputKind::Script,
                "What the host runs before a snapshot, or what restic kept, is put back, as root.",
            ),
            InputDoc::optional(
                "after",
                InputKind::Script,
                "What it runs afterwards, also where that failed.",
            ),
        ],
        effect: EffectDoc::Always(Effect::Changes),
        restores: true,
        outputs: vec![
            ("strategy", "how it was brought back"),
            ("changed", "the packages that went back: `name`, `arch`, `from`, `to`"),
            ("left", "what could not go back: the kernel that the host runs on"),
            ("lost", "what was written after the backup and is gone, as far as the host can tell"),
            ("former", "where the host keeps what was there before"),
            ("rebooted", "whether it was rebooted"),
            ("boot_id", "its boot id afterwards"),
            ("failed_units", "the units that have failed afterwards"),
        ],
        ..ActionDoc::new(
            "linux/restore",
            "Brings a host back to its backup, and looks whether it is there.",
            TimeoutDoc::Fixed(Span::from_hours(2)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Restore {
    doc: ActionDoc,
}

impl Default for Restore {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Restore {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        each(ctx, work, |host| async move { course(&host).await }).await
    }
}

async fn course(host: &Host) -> Result<Done, Failure> {
    let backup = host.inputs.backup.as_deref().and_then(Kept::read);
    let backup =
        backup.ok_or_else(|| Failure::failed("there is no backup of `linux/backup` to go back to"))?;
    let strategy = host.inputs.text("strategy").unwrap_or("auto");
    if matches!((strategy, backup.is_by_packages()), (PACKAGES, false) | ("snapshot", true)) {
        let method = &backup.method;
        return Err(Failure::failed(format!("its backup was made by {method}, not by {strategy}")));
    }
    // A job that an earlier step began may still run, and must end before anything is looked at.
    host.barrier().await?;
    let done = match &backup.packages {
        Some(manifest) if backup.is_by_packages() => by_packages(host, &backup, manifest).await,
        _ => by_snapshot(host, &backup).await,
    };
    done.map_err(|failure| match BACK.iter().any(|what| host.past.began(what)) {
        true => failure.applied("it was on its way back"),
        false => failure,
    })
}

/// The jobs that bring a host back.
const BACK: [&str; 3] = ["back", "revert", "repair-before"];

/// What goes back, as the journal keeps it from before.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Return {
    boot_id: String,
    changes: Vec<Change>,
    left: Vec<Change>,
}

async fn by_packages(host: &Host, backup: &Kept, manifest: &Manifest) -> Result<Done, Failure> {
    let key = host.key("return");
    let known = host.ctx.recall(&key).and_then(|kept| serde_json::from_value(kept.clone()).ok());
    let back = match known {
        Some(back) => back,
        None => {
            let back = prepare(host, backup, manifest).await?;
            let kept = serde_json::to_value(&back).map_err(|error| Failure::failed(error.to_string()))?;
            host.ctx.ledger.checkpoint(&key, kept).await?;
            back
        }
    };
    if !back.changes.is_empty() {
        let order = order(backup, &back);
        let end = host.job(errand("back", "the way back", true), || Deed::Install(order)).await?;
        match end {
            End::Ended(ended) if ended.verdict == Verdict::Done => {}
            End::Ended(ended) => return Err(failure("the former versions could not be installed", &ended)),
            // What was done is looked at below.
            End::Stopped | End::Lost { .. } => host.repair("repair-after", LOCK_WAIT).await?,
        }
    }
    let open = differences(manifest, &host.manifest().await?, &back.left);
    if !open.is_empty() {
        let open = few(open.iter().map(words));
        return Err(Failure::failed(format!("it is not what it was at its backup: {open}")));
    }
    let outputs = json!({ "strategy": PACKAGES, "changed": back.changes, "left": back.left });
    close(host, &back.boot_id, false, outputs).await
}

/// Decides what goes back. What is refused is refused here.
async fn prepare(host: &Host, backup: &Kept, manifest: &Manifest) -> Result<Return, Failure> {
    let facts = host.then(|| host.port().facts(&host.target)).await?;
    if !facts.broken.is_empty() {
        host.repair("repair-before", LOCK_WAIT).await?;
    }
    let now = host.manifest().await?;
    let (changes, left) = kernel::sort(&facts, backup, now.changes_to(manifest));
    let back = Return { boot_id: facts.boot_id.clone(), changes, left };
    let cannot = back.changes.iter().find_map(|change| {
        let downgrade = change.from.is_some() && change.to.is_some();
        Some((change, forbidden(facts.manager, &change.name).filter(|_| downgrade)?))
    });
    if let Some((change, why)) = cannot {
        let cause = format!("nothing was done: {} must not go back: {why}", words(change));
        return Err(Failure::failed(cause));
    }
    if back.changes.is_empty() {
        return Ok(back);
    }
    let order = order(backup, &back);
    let rehearsed =
        host.ask(Patience::after(&host.ctx), || host.port().rehearse(&host.target, &order)).await?;
    let rehearsed = rehearsed.map_err(|fault| {
        Failure::failed(format!(
            "nothing was done: the package manager refuses to go back: {}",
            fault.message
        ))
    })?;
    let surprise = rehearsed
        .iter()
        .find(|change| !back.changes.iter().any(|own| own.name == change.name && own.arch == change.arch));
    if let Some(change) = surprise {
        let cause = format!("nothing was done: {} would come along on the way back", words(change));
        return Err(Failure::failed(cause));
    }
    Ok(back)
}

fn order(backup: &Kept, back: &Return) -> Order {
    let wanted = back.changes.iter().map(|change| Wanted {
        name: change.name.clone(),
        arch: change.arch.clone(),
        version: change.to.clone(),
    });
    Order {
        wanted: wanted.collect(),
        back: true,
        held_too: true,
        config_files: ConfigFiles::Keep,
        kept: Some(backup.token.clone()),
        lock_wait: LOCK_WAIT,
    }
}

/// What is not as it was, but for what stays.
fn differences(manifest: &Manifest, now: &Manifest, left: &[Change]) -> Vec<Change> {
    let mut open = now.changes_to(manifest);
    let left: Vec<Change> = left.iter().flat_map(kernel::halves).collect();
    open.retain(|change| kernel::halves(change).iter().any(|half| !left.contains(half)));
    open
}

async fn by_snapshot(host: &Host, backup: &Kept) -> Result<Done, Failure> {
    let before = host.boot_before().await?;
    let own = ["losing", "into", "before", "after"].iter().filter_map(|name| {
        let value = host.inputs.values.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    let revert = backup.revert(own.collect());
    let ended = match host.job(errand("revert", "the way back", true), || Deed::Revert(revert)).await? {
        End::Ended(ended) if ended.verdict == Verdict::Done => ended,
        End::Ended(ended) => return Err(failure("the snapshot could not be restored", &ended)),
        End::Stopped | End::Lost { .. } => {
            return Err(Failure::failed("the way back was interrupted on the host"));
        }
    };
    let told = |key: &str| ended.told.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let reboots = ended.told.get("reboot").and_then(Value::as_str) == Some("yes");
    let lost: Vec<Value> = told("lost").into_iter().chain(told("lost_file")).collect();
    let outputs = json!({
        "strategy": backup.method, "changed": [], "left": [], "lost": lost, "former": told("former"),
    });
    let done = close(host, &before, reboots, outputs).await?;
    // That the tool was content does not say that the host runs on what was put back.
    if let Some(manifest) = &backup.packages {
        let open = differences(manifest, &host.manifest().await?, &[]);
        if !open.is_empty() {
            let open = few(open.iter().map(words));
            let cause =
                format!("the snapshot was restored, and the host is not what it was at its backup: {open}");
            return Err(Failure::failed(cause));
        }
    }
    Ok(done)
}

/// Reboots where that is needed, and says how the host is.
async fn close(host: &Host, before: &str, always: bool, mut outputs: Value) -> Result<Done, Failure> {
    let mut facts = host.then(|| host.port().facts(&host.target)).await?;
    let may = host.inputs.text("reboot") != Some("NoReboot");
    let asked = host.ctx.memory.intents.contains_key(&host.key("reboot"));
    if asked || always || may && !facts.reboot_needed.is_empty() {
        host.reboot().await?;
        facts = host.then(|| host.port().facts(&host.target)).await?;
    }
    if let Value::Object(outputs) = &mut outputs {
        outputs.insert("rebooted".to_owned(), json!(facts.boot_id != before));
        outputs.insert("boot_id".to_owned(), json!(facts.boot_id));
        outputs.insert("failed_units".to_owned(), json!(facts.failed_units));
    }
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}

/// How a plan says that this action brings a host back.
pub fn way_back(asked: &WayBackAsked<'_>) -> Option<Result<WayBack, String>> {
    if asked.backup != "linux/backup" {
        let why = format!("it needs what `linux/backup` makes, and `{}` does not make that", asked.backup);
        return Some(Err(why));
    }
    let method = planned_method(asked.backup_inputs);
    let strategy = asked.inputs.get("strategy").and_then(Value::as_str).unwrap_or("auto");
    let by_packages = match (strategy, method) {
        (PACKAGES, "auto" | PACKAGES) | ("auto", PACKAGES) => true,
        ("auto", "auto") => return Some(Ok(on_the_host())),
        ("auto" | "snapshot", "snapper" | "btrfs" | "lvm" | "lvm-thin" | "restic" | "libvirt") => false,
        ("snapshot", "auto") => return Some(Ok(by("snapshot"))),
        (PACKAGES | "snapshot", _) => {
            return Some(Err(format!("its backup is made by `{method}`, not by {strategy}")));
        }
        // An expression that only a run can fill in.
        _ => return None,
    };
    Some(Ok(by(if by_packages { PACKAGES } else { method })))
}

fn on_the_host() -> WayBack {
    let mut way = by(PACKAGES);
    way.strategy = "packages, or a snapshot where the vendor forbids to go back".to_owned();
    way.loses.push("after a snapshot: everything that was written to it since".to_owned());
    way
}

/// What each way loses, and how long it usually takes (facts: Going back by packages;
/// facts: Snapshots and backups on a host).
fn by(method: &str) -> WayBack {
    let (loses, usually): (&[&str], &str) = match method {
        PACKAGES => (
            &[
                "configuration and data that newer versions converted stay as they are",
                "a new kernel that the host runs on stays",
            ],
            "1 to 10 minutes",
        ),
        "snapper" | "btrfs" => (
            &[
                "everything that was written to the root since, logs included",
                "/boot, /var and /home stay where they are subvolumes or file systems of their own",
            ],
            "2 to 10 minutes, with a reboot",
        ),
        "restic" => (
            &["what was written to its paths since, rows of databases included"],
            "minutes to hours, by size",
        ),
        "libvirt" => (&["everything that the virtual machine wrote since"], "2 to 10 minutes"),
        _ => (
            &["everything that was written to the volume since", "/boot stays where it is no part of it"],
            "2 to 30 minutes, with a reboot",
        ),
    };
    WayBack {
        strategy: method.to_owned(),
        loses: loses.iter().map(|text| (*text).to_owned()).collect(),
        usually: usually.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use runbook_engine::{
        catalog::WayBackAsked,
        connection::Connection,
        target::{Home, Target},
    };
    use serde_json::json;

    use super::way_back;

    fn planned(backup: &str, method: &str, strategy: &str) -> Option<Result<String, String>> {
        let target = Target {
            id: "web-1".into(),
            name: "web-1".into(),
            group: "web".into(),
            private_ip: None,
            tags: BTreeMap::new(),
            vars: BTreeMap::new(),
            platform: "linux".into(),
            image: None,
            root_volume: None,
            ec2: None,
            environment: None,
            owner: None,
            home: Home::Host { address: "127.0.0.1".into(), connection: Connection::default() },
        };
        let inputs = BTreeMap::from([("strategy".to_owned(), json!(strategy))]);
        let backup_inputs = BTreeMap::from([("method".to_owned(), json!(method))]);
        let asked = WayBackAsked {
            action: "linux/restore",
            inputs: &inputs,
            backup,
            backup_inputs: &backup_inputs,
            target: &target,
        };
        way_back(&asked).map(|way| way.map(|way| way.strategy))
    }

    #[test]
    fn a_plan_says_how_it_is_brought_back() {
        assert_eq!(planned("linux/backup", "packages", "auto"), Some(Ok("packages".into())));
        assert_eq!(planned("linux/backup", "lvm", "snapshot"), Some(Ok("lvm".into())));
        assert!(planned("linux/backup", "lvm", "packages").expect("a word").is_err());
        assert!(planned("local/command", "lvm", "auto").expect("a word").is_err());
        assert_eq!(planned("linux/backup", "{{ params.method }}", "auto"), None);
    }
}
