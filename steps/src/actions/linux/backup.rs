//! `linux/backup`: what a host can be brought back from.
//!
//! By `packages` it is a list of everything that is installed, and the package files of what is pending, put aside on the
//! host: former versions leave the mirrors soon. By a snapshot it is what the host's own file system, restic
//! or libvirt keeps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    artifact::{Artifact, ArtifactKind, Makes},
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    forbidden::forbidden,
    host::{Host, each},
    job::{End, Errand},
    kept::Kept,
    manifest::{Manifest, few},
    stages::{LOCK_WAIT, errand, failure},
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
    ports::linux::{Capture, Deed, Facts, Package, Revert, Update, Verdict},
};

/// The method that goes by packages.
pub(super) const PACKAGES: &str = "packages";

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::defaulting(
                "method",
                InputKind::Enum(vec![
                    "auto", "packages", "snapper", "btrfs", "lvm", "lvm-thin", "restic", "libvirt",
                ]),
                "auto",
                "How: `auto` is by packages, and by the best snapshot that the host has where a vendor forbids to go back.",
            ),
            InputDoc::optional(
                "keep",
                InputKind::Duration,
                "How long it is kept after the run; absent: until somebody deletes it.",
            ),
            InputDoc::optional(
                "paths",
                InputKind::Strings,
                "`restic`: what is backed up: folders and files, no links, no folders of the system.",
            ),
            InputDoc::optional("repository", InputKind::String, "`restic`: where to."),
            InputDoc::optional(
                "password",
                InputKind::String,
                "`restic`: the name of the secret that holds the password of the repository, never the password.",
            ),
            InputDoc::optional(
                "path",
                InputKind::String,
                "`btrfs`, `lvm`: a path on the file system that is captured; absent: the root.",
            ),
            InputDoc::optional(
                "size",
                InputKind::String,
                "`lvm`: how much may change until the snapshot is useless: `10G`.",
            ),
            InputDoc::optional("domain", InputKind::String, "`libvirt`: the virtual machine."),
            InputDoc::optional(
                "before",
                InputKind::Script,
                "What the host runs before anything is captured, as root.",
            ),
            InputDoc::optional(
                "after",
                InputKind::Script,
                "What it runs afterwards, also where that failed.",
            ),
        ],
        backs_up: true,
        outputs: vec![
            ("method", "how it was made"),
            ("platform", "what its packages are made for"),
            ("token", "the marker of the snapshot, or of the package files"),
            ("packages", "every package that was installed, by `name:arch`"),
            ("kept", "the packages whose files were put aside"),
            ("bytes", "how much room they take"),
            ("captured", "what the host told of its snapshot"),
            ("at", "when it was made"),
            ("expires", "until when it is kept"),
        ],
        ..ActionDoc::new(
            "linux/backup",
            "Makes a backup of a host that it can be brought back from, and fails where it could not be.",
            TimeoutDoc::Fixed(Span::from_hours(6)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Backup {
    doc: ActionDoc,
}

impl Default for Backup {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Backup {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        each(ctx, work, |host| async move { course(&host).await }).await
    }
}

/// What is backed up, and how: decided once.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Decided {
    method: String,
    platform: String,
    at: Timestamp,
    expires: Option<Timestamp>,
    /// Everything that is installed, by packages and by snapshots of the root: that it came back is looked at.
    packages: Option<Manifest>,
    /// By packages: those whose files are put aside.
    keep: Vec<Package>,
    /// Those that the host itself holds back: a patch leaves them as they are, unless it is told not to.
    #[serde(default)]
    held: Vec<Package>,
    /// By a snapshot: what deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<Revert>,
}

/// What deletes the snapshot that a backup was about to make, where this checkpoint of a journal speaks of one: also when
/// nobody heard whether it was made.
pub fn about_to_make(checkpoint: &Value) -> Option<Revert> {
    serde_json::from_value(checkpoint.get("snapshot")?.clone()).ok()
}

/// What deletes the snapshot that these outputs of a backup speak of: it knows more than what was about to make it. None
/// where they speak of none.
pub fn has_made(outputs: &Value) -> Option<Revert> {
    let kept = Kept::read(outputs).filter(|kept| kept.method != PACKAGES)?;
    Some(kept.revert(BTreeMap::new()))
}

async fn course(host: &Host) -> Result<Done, Failure> {
    let key = host.key("decided");
    let known = host.ctx.recall(&key).and_then(|kept| serde_json::from_value(kept.clone()).ok());
    let decided = match known {
        Some(decided) => decided,
        None => {
            let decided = decide(host).await?;
            let kept = serde_json::to_value(&decided).map_err(|error| Failure::failed(error.to_string()))?;
            host.ctx.ledger.checkpoint(&key, kept).await?;
            decided
        }
    };
    let kept =
        if decided.method == PACKAGES { keep(host, decided).await? } else { capture(host, decided).await? };
    let outputs = serde_json::to_value(&kept).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}

async fn decide(host: &Host) -> Result<Decided, Failure> {
    let wanted = host.inputs.text("method").unwrap_or("auto");
    let facts = host.first(|| host.port().facts(&host.target)).await?;
    let at = host.ctx.now();
    let expires = host.inputs.span("keep").and_then(|keep| at.checked_add(keep.get()).ok());
    let platform = facts.platform();
    let mut decided = Decided {
        method: wanted.to_owned(),
        platform,
        at,
        expires,
        packages: None,
        keep: Vec::new(),
        held: Vec::new(),
        snapshot: None,
    };
    if !matches!(wanted, "auto" | PACKAGES) {
        if is_of_root(wanted, host.inputs.text("path")) {
            decided.packages = Some(manifest(host).await?);
        }
        decided.snapshot = Some(about(host, &decided).revert(BTreeMap::new()));
        return Ok(decided);
    }
    // What is pending must be known as well as when it will be installed.
    host.refresh(false, LOCK_WAIT).await?;
    let pending = host.first(|| host.port().pending(&host.target)).await?;
    let method = if wanted == "auto" { choose(&facts, &pending)? } else { PACKAGES.to_owned() };
    if method == PACKAGES {
        let installed = |update: &Update| {
            let version = update.from.clone()?;
            Some(Package { name: update.name.clone(), arch: update.arch.clone(), version })
        };
        let (held, free): (Vec<_>, Vec<_>) = pending.iter().partition(|update| update.held);
        decided.keep = free.into_iter().filter_map(installed).collect();
        decided.held = held.into_iter().filter_map(installed).collect();
    }
    if method == PACKAGES || is_of_root(&method, host.inputs.text("path")) {
        decided.packages = Some(manifest(host).await?);
    }
    decided.method = method;
    if decided.method != PACKAGES {
        decided.snapshot = Some(about(host, &decided).revert(BTreeMap::new()));
    }
    Ok(decided)
}

async fn manifest(host: &Host) -> Result<Manifest, Failure> {
    let packages = host.first(|| host.port().packages(&host.target)).await?;
    Ok(Manifest::of(&packages))
}

/// Whether what is captured holds the packages of the host.
fn is_of_root(method: &str, path: Option<&str>) -> bool {
    matches!(method, "snapper" | "btrfs" | "lvm" | "lvm-thin") && path.is_none_or(|path| path == "/")
}

/// By packages, unless something is pending that may not go back. What the host holds back does not come: where a step
/// takes it all the same, it is refused there.
fn choose(facts: &Facts, pending: &[Update]) -> Result<String, Failure> {
    let free = pending.iter().filter(|update| !update.held);
    let cannot = free.filter_map(|update| Some((update, forbidden(facts.manager, &update.name)?))).next();
    let Some((update, why)) = cannot else { return Ok(PACKAGES.to_owned()) };
    let snapshot = facts.snapshots.iter().find(|method| *method != "restic");
    snapshot.cloned().ok_or_else(|| {
        Failure::failed(format!(
            "{} is pending, and has no way back: {why}, and the host has no snapshots (`method: packages` backs up \
             the rest)",
            update.name
        ))
    })
}

async fn keep(host: &Host, decided: Decided) -> Result<Kept, Failure> {
    let token = host.token("keep");
    let mut kept = Kept {
        method: PACKAGES.to_owned(),
        platform: decided.platform,
        token: token.clone(),
        packages: decided.packages,
        kept: Vec::new(),
        bytes: None,
        captured: Value::Null,
        options: BTreeMap::new(),
        secrets: BTreeMap::new(),
        at: decided.at,
        expires: decided.expires,
    };
    let asked: Vec<Package> = decided.keep.iter().chain(&decided.held).cloned().collect();
    if asked.is_empty() {
        return Ok(kept);
    }
    let deed = || Deed::Keep { packages: asked.clone(), until: decided.expires };
    let makes = Some(Makes { kind: ArtifactKind::PackageFiles, expires: decided.expires });
    let errand = Errand { makes, ..errand("keep", "the copy of package files", true) };
    let ended = match host.job(errand, deed).await? {
        // Of what files are missing is looked at below.
        End::Ended(ended) if matches!(ended.verdict, Verdict::Done | Verdict::Missing) => ended,
        End::Ended(ended) => return Err(failure("the package files could not be kept", &ended)),
        End::Stopped | End::Lost { .. } => {
            return Err(Failure::failed("the copy of package files was interrupted on the host"));
        }
    };
    let told = ended.told.get("kept").and_then(|kept| serde_json::from_value(kept.clone()).ok());
    kept.kept = told.unwrap_or_default();
    kept.bytes = ended.told.get("bytes").and_then(Value::as_u64);
    made(host, ArtifactKind::PackageFiles, &token, &token, kept.bytes, decided.expires).await?;
    let there = |package: &&Package| {
        kept.kept.iter().any(|kept| kept.name == package.name && kept.version == package.version)
    };
    let missing: Vec<_> = decided.keep.iter().filter(|package| !there(package)).collect();
    if missing.is_empty() {
        return Ok(kept);
    }
    let names = few(missing.iter().map(|package| format!("{}={}", package.name, package.version)));
    Err(Failure::failed(format!(
        "there is no proven way back: the package files of {names} are not to be had"
    )))
}

/// A snapshot as it is known before it is made.
fn about(host: &Host, decided: &Decided) -> Kept {
    let inputs = &host.inputs;
    let given =
        ["paths", "repository", "path", "size", "domain", "before", "after"].iter().filter_map(|name| {
            let value = inputs.values.get(*name).filter(|value| !value.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        });
    let secret = inputs.text("password").map(|name| ("RESTIC_PASSWORD".to_owned(), name.to_owned()));
    Kept {
        method: decided.method.clone(),
        platform: decided.platform.clone(),
        token: host.token("capture"),
        packages: decided.packages.clone(),
        kept: Vec::new(),
        bytes: None,
        captured: Value::Null,
        options: given.collect(),
        secrets: secret.into_iter().collect(),
        at: decided.at,
        expires: decided.expires,
    }
}

async fn capture(host: &Host, decided: Decided) -> Result<Kept, Failure> {
    let kept = about(host, &decided);
    let deed = || {
        Deed::Capture(Capture {
            method: kept.method.clone(),
            token: kept.token.clone(),
            description: format!("runbook {} {}", host.ctx.run, host.ctx.task),
            until: kept.expires,
            options: kept.options.clone(),
            secrets: kept.secrets.clone(),
        })
    };
    let makes = Some(Makes { kind: ArtifactKind::HostSnapshot, expires: decided.expires });
    let errand = Errand { makes, ..errand("capture", "the backup", true) };
    let ended = match host.job(errand, deed).await? {
        End::Ended(ended) if ended.verdict == Verdict::Done => ended,
        End::Ended(ended) => return Err(failure("the backup failed", &ended)),
        End::Stopped | End::Lost { .. } => {
            return Err(Failure::failed("the backup was interrupted on the host"));
        }
    };
    let bytes = ended.told.get("bytes").and_then(Value::as_u64);
    let id = ended.told.get("snapshot").and_then(Value::as_str).unwrap_or(&kept.token).to_owned();
    made(host, ArtifactKind::HostSnapshot, &id, &kept.token, bytes, kept.expires).await?;
    Ok(Kept { bytes, captured: ended.told, ..kept })
}

/// Puts it into the ledger of artifacts. Told twice, it is one entry.
async fn made(
    host: &Host,
    kind: ArtifactKind,
    id: &str,
    token: &str,
    bytes: Option<u64>,
    expires: Option<Timestamp>,
) -> Result<(), Failure> {
    let artifact = Artifact {
        kind,
        id: id.to_owned(),
        token: token.to_owned(),
        target: host.target.id.clone(),
        home: host.target.home.clone(),
        vault: None,
        size_gib: bytes.map(|bytes| (bytes + (1 << 29)) >> 30),
        expires,
    };
    host.ctx.ledger.made(vec![artifact]).await
}

/// What a plan says of an input of this action that is not filled in yet.
pub(super) fn planned_method(inputs: &BTreeMap<String, Value>) -> &str {
    inputs.get("method").and_then(Value::as_str).unwrap_or("auto")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BTreeMap, has_made, planned_method};

    #[test]
    fn outputs_say_what_deletes_their_snapshot() {
        let outputs = |method: &str| {
            json!({
                "method": method, "platform": "sles-15", "token": "t-1", "at": "2026-11-22T23:00:00Z",
                "captured": { "origin": "vg0/data" }, "options": { "path": "/data", "before": "sync" },
            })
        };
        let revert = has_made(&outputs("lvm")).expect("a snapshot");
        assert_eq!((revert.method.as_str(), revert.token.as_str()), ("lvm", "t-1"));
        assert_eq!(revert.captured, json!({ "origin": "vg0/data" }));
        assert_eq!(revert.options, BTreeMap::from([("path".to_owned(), json!("/data"))]));
        assert_eq!(has_made(&outputs("packages")), None);
        assert_eq!(has_made(&json!({ "boot_id": "b" })), None);
    }

    #[test]
    fn what_is_not_stated_is_chosen_on_the_host() {
        assert_eq!(planned_method(&BTreeMap::new()), "auto");
        assert_eq!(planned_method(&BTreeMap::from([("method".into(), json!("lvm"))])), "lvm");
    }
}
