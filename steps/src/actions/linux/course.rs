//! The course of an installation on one host: lists brought up to date, what is pending, a choice, a dry run whose every
//! change is looked at, exactly that installed, and everything that is installed looked at again.

use runbook_engine::{outcome::Outcome, run::event::Report};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    choice::{Choice, KeptBack, Wishes, choose},
    host::{Host, Patience, left_alone, not_begun},
    job::End,
    kept::Kept,
    manifest::{Manifest, few, words},
    permission::{Permission, no_way_back},
    stages::{errand, failure},
};
use crate::{
    action::Failure,
    fanout::Done,
    ports::{
        fault::{Fault, FaultKind},
        linux::{Change, Deed, Ended, Facts, Order, Update, Verdict, Wanted},
    },
};

/// The installation, as the journal calls it.
const INSTALL: &str = "install";

/// The repair of what was found half done.
const REPAIR_BEFORE: &str = "repair-before";

/// What is installed, as the journal keeps it from before the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Transaction {
    platform: String,
    boot_id: String,
    changes: Vec<Change>,
    kept_back: Vec<KeptBack>,
    /// A digest of all packages that are not to change.
    rest: String,
    automatic: Vec<String>,
}

impl Transaction {
    /// Its packages as they are to be, in exact versions: nothing is left for the package manager to choose.
    fn order(&self, wishes: &Wishes) -> Order {
        let wanted = self.changes.iter().filter(|change| change.to.is_some()).map(|change| Wanted {
            name: change.name.clone(),
            arch: change.arch.clone(),
            version: change.to.clone(),
        });
        order(wishes, wanted.collect())
    }

    /// What is told of a host on which these of its changes took place, or may have.
    fn told(&self, changed: &[Change]) -> Value {
        json!({
            "platform": self.platform,
            "changed": changed,
            "kept_back": self.kept_back,
            "automatic": self.automatic,
        })
    }
}

fn order(wishes: &Wishes, wanted: Vec<Wanted>) -> Order {
    Order {
        wanted,
        back: false,
        held_too: wishes.held_too,
        config_files: wishes.config_files,
        kept: None,
        lock_wait: wishes.lock_wait,
    }
}

/// Looks at what is pending.
pub(super) async fn scan(host: &Host) -> Result<Done, Failure> {
    let wishes = Wishes::of(&host.inputs);
    let facts = host.first(|| host.port().facts(&host.target)).await?;
    host.refresh(false, wishes.lock_wait).await?;
    let (pending, choice, _) = look(host, &wishes, &facts).await?;
    let of = |wanted: &Wanted| format!("{}={}", wanted.name, wanted.version.as_deref().unwrap_or_default());
    let available: Vec<_> = choice.wanted.iter().map(of).collect();
    let outputs = json!({
        "platform": facts.platform(),
        "changed": [],
        "available": available,
        "kept_back": choice.kept_back,
        "missing": pending.len(),
        "security": pending.iter().filter(|update| update.security).count(),
        "pending_reboot": facts.reboot_needed,
        "rebooted": false,
        "boot_id": facts.boot_id,
        "failed_units": facts.failed_units,
        "automatic": facts.automatic,
    });
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}

/// What is pending, what of it is chosen, and what is installed.
async fn look(
    host: &Host,
    wishes: &Wishes,
    facts: &Facts,
) -> Result<(Vec<Update>, Choice, Manifest), Failure> {
    let pending = host.first(|| host.port().pending(&host.target)).await?;
    let installed = host.first(|| host.port().packages(&host.target)).await?;
    let permission = Permission::of(host.inputs.patchset.as_deref(), &facts.platform());
    let choice = choose(wishes, &permission, facts.manager, &pending, &installed, host.ctx.now());
    let choice = choice.map_err(|why| left_alone(format!("nothing was installed: {why}")))?;
    Ok((pending, choice, Manifest::of(&installed)))
}

/// Installs, or takes up what an earlier life began.
pub(super) async fn install(host: &Host) -> Result<Done, Failure> {
    let wishes = Wishes::of(&host.inputs);
    let decided = decided(host, &wishes).await;
    let (transaction, before) = decided.map_err(|failure| after_repair(host, failure))?;
    if transaction.changes.is_empty() {
        return close(host, &transaction, before.as_ref(), None).await.map_err(|why| after_repair(host, why));
    }
    let deed = || Deed::Install(transaction.order(&wishes));
    let end = match host.job(errand(INSTALL, "the installation", true), deed).await {
        // What was not begun broke with nothing.
        Err(failure) if !failure.is_unknown() => return Err(after_repair(host, failure)),
        end => end,
    };
    let course = async {
        let installed = came_out(host, &wishes, end?).await?;
        close(host, &transaction, before.as_ref(), Some(installed)).await
    };
    match course.await {
        // Nobody could look at it any more. What it fell silent with is known all the same, and can be barred.
        Err(failure) => failed(failure, transaction.told(&transaction.changes)),
        done => done,
    }
}

/// What is installed: as an earlier life decided it, or as it is decided now, with what was installed before.
async fn decided(host: &Host, wishes: &Wishes) -> Result<(Transaction, Option<Manifest>), Failure> {
    let key = host.key("transaction");
    let known = host.ctx.recall(&key).and_then(|kept| serde_json::from_value(kept.clone()).ok());
    if let Some(transaction) = known {
        still_the_same(host, wishes, &transaction).await?;
        return Ok((transaction, None));
    }
    let (transaction, before) = prepare(host, wishes).await?;
    let kept = serde_json::to_value(&transaction).map_err(|error| Failure::failed(error.to_string()))?;
    host.ctx.ledger.checkpoint(&key, kept).await?;
    Ok((transaction, Some(before)))
}

/// Ending an interrupted transaction changes packages: whatever is refused afterwards, something was applied.
fn after_repair(host: &Host, failure: Failure) -> Failure {
    if host.past.began(REPAIR_BEFORE) {
        failure.applied("what an interrupted transaction had left was ended, and nothing else was installed")
    } else {
        failure
    }
}

/// Decides what is installed. Everything that is refused is refused here, where nothing was changed yet.
async fn prepare(host: &Host, wishes: &Wishes) -> Result<(Transaction, Manifest), Failure> {
    let facts = host.first(|| host.port().facts(&host.target)).await?;
    if facts.transactional {
        let cause =
            "its root is read-only and is patched by transactional-update, which this action does not use";
        return Err(left_alone(cause));
    }
    // One that an earlier life began may have ended since.
    if !facts.broken.is_empty() || host.ctx.memory.intents.contains_key(&host.key(REPAIR_BEFORE)) {
        host.repair(REPAIR_BEFORE, wishes.lock_wait).await?;
    }
    host.refresh(true, wishes.lock_wait).await?;
    let (_, choice, manifest) = look(host, wishes, &facts).await?;
    let mut transaction = Transaction {
        platform: facts.platform(),
        boot_id: facts.boot_id.clone(),
        changes: Vec::new(),
        kept_back: choice.kept_back,
        rest: String::new(),
        automatic: facts.automatic.clone(),
    };
    if !choice.wanted.is_empty() {
        transaction.changes = rehearse(host, &order(wishes, choice.wanted.clone())).await?;
        // Asked for by their exact versions, the same must come of it.
        let again = rehearse(host, &transaction.order(wishes)).await?;
        if again != transaction.changes {
            let cause = "the package manager does something else when it is asked for exact versions";
            return Err(left_alone(format!("{cause}: {}", few(again.iter().map(words)))));
        }
        let permission = Permission::of(host.inputs.patchset.as_deref(), &transaction.platform);
        if let Some(why) = permission.objects_to_all(wishes, &choice.wanted, &transaction.changes) {
            return Err(left_alone(format!("nothing was installed: {why}")));
        }
        let backup = host.inputs.backup.as_deref().and_then(Kept::read);
        if let Some(why) = no_way_back(backup.as_ref(), facts.manager, &transaction.changes) {
            return Err(left_alone(format!("nothing was installed: {why}")));
        }
    }
    transaction.rest = manifest.rest(&transaction.changes);
    Ok((transaction, manifest))
}

async fn rehearse(host: &Host, order: &Order) -> Result<Vec<Change>, Failure> {
    let refused = |fault: Fault| match fault.kind {
        FaultKind::NotFound | FaultKind::Invalid | FaultKind::Target if fault.call != "ssh:connect" => {
            left_alone(format!("the package manager refuses: {}", fault.message))
        }
        _ => not_begun(&fault),
    };
    let rehearsed =
        host.ask(Patience::before(&host.ctx), || host.port().rehearse(&host.target, order)).await?;
    let mut changes = rehearsed.map_err(refused)?;
    changes.sort();
    Ok(changes)
}

/// Whether an installation that was decided in an earlier life, and not begun, would still be the same.
async fn still_the_same(host: &Host, wishes: &Wishes, transaction: &Transaction) -> Result<(), Failure> {
    let begun = host.ctx.memory.intents.contains_key(&host.key(INSTALL));
    if begun || transaction.changes.is_empty() {
        return Ok(());
    }
    let now = rehearse(host, &transaction.order(wishes)).await?;
    if now == transaction.changes {
        return Ok(());
    }
    let cause = "what would be installed is not what was decided before the interruption";
    Err(left_alone(format!("{cause}: {}", few(now.iter().map(words)))))
}

/// How an installation came out.
enum Installed {
    /// It worked.
    Whole,
    /// It was interrupted on the host, and ended then.
    Mended,
    /// It did not, for this reason.
    Not(Failure),
    /// It did not begin, for a lock.
    Barred(Failure),
}

async fn came_out(host: &Host, wishes: &Wishes, end: End) -> Result<Installed, Failure> {
    let failed = |ended: &Ended| failure("the installation failed", ended);
    let (interrupted, not) = match end {
        End::Ended(ended) => match ended.verdict {
            Verdict::Done => return Ok(Installed::Whole),
            Verdict::Locked => return Ok(Installed::Barred(failed(&ended))),
            Verdict::Missing | Verdict::Refused => return Ok(Installed::Not(failed(&ended))),
            Verdict::Partly | Verdict::DiskFull | Verdict::Failed => (false, failed(&ended)),
        },
        End::Lost { rebooted: true } => {
            (true, Failure::failed("the host went down in the middle of the installation"))
        }
        End::Stopped | End::Lost { rebooted: false } => {
            (true, Failure::failed("the installation was killed on the host"))
        }
    };
    let facts = host.then(|| host.port().facts(&host.target)).await?;
    if (interrupted || !facts.broken.is_empty())
        && let Err(stays) = host.repair("repair-after", wishes.lock_wait).await
    {
        // Two things went wrong; the first one is the cause, unless the process stops.
        return match stays {
            Failure::Failed { .. } => Ok(Installed::Not(not)),
            other => Err(other),
        };
    }
    Ok(if interrupted { Installed::Mended } else { Installed::Not(not) })
}

/// Looks at everything again, reboots where that is needed, and says how it came out.
async fn close(
    host: &Host,
    transaction: &Transaction,
    before: Option<&Manifest>,
    installed: Option<Installed>,
) -> Result<Done, Failure> {
    let after = host.manifest().await?;
    let facts = host.then(|| host.port().facts(&host.target)).await?;
    let (changed, open) = compare(transaction, &after);
    let barred = matches!(installed, Some(Installed::Barred(_)));
    let verdict = judge(transaction, before, &after, &facts, installed, &changed, &open);
    let mut outputs = transaction.told(&changed);
    merge(&mut outputs, stands(transaction, &facts));
    if let Some(failure) = verdict {
        let mut done = failed(failure, outputs)?;
        // It never began: nothing has to be restored where everything is as it was.
        done.report.untouched = barred
            && changed.is_empty()
            && facts.broken.is_empty()
            && after.rest(&transaction.changes) == transaction.rest
            && !host.past.began(REPAIR_BEFORE);
        return Ok(done);
    }
    match settle(host, transaction, facts, &outputs).await {
        Ok(later) => merge(&mut outputs, later),
        Err(failure) if transaction.changes.is_empty() => return Err(failure),
        Err(failure) => {
            return failed(failure.applied("the packages are installed, the reboot was not begun"), outputs);
        }
    }
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}

/// Reboots where that is needed, and looks at what is still pending.
async fn settle(
    host: &Host,
    transaction: &Transaction,
    mut facts: Facts,
    outputs: &Value,
) -> Result<Value, Failure> {
    let may_reboot = host.inputs.text("reboot") != Some("NoReboot");
    let is_asked = host.ctx.memory.intents.contains_key(&host.key("reboot"));
    if may_reboot && (is_asked || !facts.reboot_needed.is_empty()) {
        // Known before it goes down: a host that never comes back has broken with these packages.
        let told = [(host.target.id.clone(), outputs.clone())].into();
        host.ctx.ledger.outputs(told).await?;
        host.reboot().await?;
        facts = host.then(|| host.port().facts(&host.target)).await?;
    }
    let pending = host.then(|| host.port().pending(&host.target)).await?;
    let mut later = stands(transaction, &facts);
    let security = pending.iter().filter(|update| update.security).count();
    merge(&mut later, json!({ "missing": pending.len(), "security": security }));
    Ok(later)
}

/// How a host stands, for its outputs.
fn stands(transaction: &Transaction, facts: &Facts) -> Value {
    json!({
        "pending_reboot": facts.reboot_needed,
        "rebooted": facts.boot_id != transaction.boot_id,
        "boot_id": facts.boot_id,
        "failed_units": facts.failed_units,
    })
}

/// What of a transaction took place, and what did not.
fn compare(transaction: &Transaction, after: &Manifest) -> (Vec<Change>, Vec<Change>) {
    let took_place = |change: &Change| {
        let has = |version: &String| after.has(&change.name, &change.arch, version);
        match (&change.to, &change.from) {
            (Some(to), _) => has(to),
            (None, Some(from)) => !has(from),
            (None, None) => true,
        }
    };
    transaction.changes.iter().cloned().partition(took_place)
}

/// Why an installation is not taken for done; none where it is.
fn judge(
    transaction: &Transaction,
    before: Option<&Manifest>,
    after: &Manifest,
    facts: &Facts,
    installed: Option<Installed>,
    changed: &[Change],
    open: &[Change],
) -> Option<Failure> {
    if let Some(Installed::Not(not) | Installed::Barred(not)) = &installed
        && let Failure::Failed { outcome, class, cause } = not
    {
        let all = transaction.changes.len();
        let cause = match changed.len() {
            0 => format!("{cause}; nothing was changed"),
            some => format!("{cause}; {some} of {all} packages were changed"),
        };
        return Some(Failure::Failed { outcome: *outcome, class: *class, cause });
    }
    if !facts.broken.is_empty() {
        let broken = few(facts.broken.iter().cloned());
        return Some(Failure::failed(format!("packages are half done: {broken}")));
    }
    if !open.is_empty() {
        let open = few(open.iter().map(words));
        let how = match installed {
            Some(Installed::Mended) => "the installation was interrupted on the host",
            _ => "the package manager reported success",
        };
        return Some(Failure::failed(format!("{how}, and these were not installed: {open}")));
    }
    if after.rest(&transaction.changes) != transaction.rest {
        let others = before.map(|before| before.changes_to(after)).unwrap_or_default();
        let others = others.into_iter().filter(|change| {
            !transaction.changes.iter().any(|own| own.name == change.name && own.arch == change.arch)
        });
        let others = few(others.map(|change| words(&change)));
        let others = if others.is_empty() { others } else { format!(": {others}") };
        let cause = format!("packages changed meanwhile that were not to change{others}");
        return Some(Failure::failed(cause));
    }
    None
}

fn failed(failure: Failure, outputs: Value) -> Result<Done, Failure> {
    match failure {
        Failure::Failed { outcome, class, cause } => {
            let outcome = if outcome == Outcome::Succeeded { Outcome::Failed } else { outcome };
            Ok(Done { report: Report::failed(outcome, class, cause), outputs: Some(outputs) })
        }
        other => Err(other),
    }
}

/// Adds, or puts in its place.
fn merge(outputs: &mut Value, later: Value) {
    if let (Value::Object(outputs), Value::Object(later)) = (outputs, later) {
        outputs.extend(later);
    }
}
