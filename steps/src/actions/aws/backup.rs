//! `aws/backup`: a recovery point of AWS Backup, which a new instance can be restored from.
//!
//! A job of AWS Backup may sit in `CREATED` for its whole start window (eight hours, unless a shorter one is asked for)
//! and expire without ever having begun. So the window is an input, and a job that outlives it is a failure with that
//! name. A vault whose lock refuses the retention is found before anything is asked for (facts: Backup jobs).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    artifact::{Artifact, ArtifactKind, Makes},
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};

use super::{
    errand::{clock, later},
    kept::Kept,
    making::{self, Found, Machine, Making, Order, Over},
    marks,
    patience::cancelled,
    relay::instances,
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, StopReason},
    fanout::Done,
    ports::{
        backup::{Backup as Service, BackupJob, RecoveryPoint, StartBackup, Vault},
        fault::{Fault, FaultKind},
    },
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::defaulting(
                "vault",
                InputKind::String,
                "Default",
                "The vault that the recovery point lies in.",
            ),
            InputDoc::required("role", InputKind::String, "The ARN of the role that AWS Backup works with."),
            InputDoc::optional(
                "keep",
                InputKind::Duration,
                "How long AWS Backup keeps the recovery point, in days, each begun one counted; absent: until somebody deletes it.",
            ),
            InputDoc::defaulting(
                "start_within",
                InputKind::Duration,
                "1h",
                "How long the job may wait until AWS Backup starts it; an hour at least.",
            ),
            InputDoc::defaulting(
                "vss",
                InputKind::Bool,
                false,
                "Whether Windows is asked for a consistent state (Volume Shadow Copy Service).",
            ),
        ],
        repeatable: false,
        backs_up: true,
        rights: vec![
            "backup:DescribeBackupJob",
            "backup:DescribeBackupVault",
            "backup:DescribeRecoveryPoint",
            "backup:ListBackupJobs",
            "backup:StartBackupJob",
            "backup:TagResource",
            "iam:PassRole",
        ],
        outputs: vec![
            ("recovery_point", "the ARN of the recovery point"),
            ("vault", "the vault that it lies in"),
            ("role", "the role that AWS Backup made it with"),
            ("expires", "until when it is kept"),
        ],
        ..ActionDoc::new(
            "aws/backup",
            "Has AWS Backup make a recovery point of a machine, and waits until it is complete.",
            TimeoutDoc::Fixed(Span::from_hours(6)),
        )
    }
}

/// The shortest start window that AWS Backup knows.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3600);

/// How much later than its start window a job may be seen to begin.
const MARGIN: Duration = Duration::from_secs(300);

/// How far our clock and the service's may be apart in a search.
const SKEW: Duration = Duration::from_secs(60);

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

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        making::run(ctx, instances(ctx, work).await?, BackingUp).await?;
        Ok(Value::Null)
    }
}

/// A job, as the journal keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    id: String,
    vault: String,
    role: String,
    token: String,
    /// When it was asked for.
    at: Timestamp,
    /// When it must have begun.
    start_by: Timestamp,
    expires: Option<Timestamp>,
}

/// What is asked of AWS Backup for a machine.
#[derive(Clone, Debug)]
struct Facts {
    resource: String,
    vault: String,
    role: String,
    start_within: Duration,
    keep_days: Option<u64>,
    vss: bool,
}

struct BackingUp;

fn service(ctx: &Context, home: &Home) -> Result<Arc<dyn Service>, Fault> {
    let backup = ctx.ports.aws.as_ref().map(|aws| aws.backup(home));
    backup.ok_or_else(|| Fault {
        call: "backup:StartBackupJob",
        kind: FaultKind::Unsupported,
        code: None,
        message: "this run has no access to AWS Backup".to_owned(),
    })
}

#[async_trait]
impl Making for BackingUp {
    type Facts = Facts;
    type Job = Job;

    const CALL: &'static str = "backup:StartBackupJob";
    const HAS_TOKEN: bool = true;

    async fn facts(
        &self,
        ctx: &Context,
        home: &Home,
        machines: &[Machine],
    ) -> Result<BTreeMap<TargetId, Result<Facts, Report>>, Fault> {
        let service = service(ctx, home)?;
        let mut vaults: BTreeMap<&str, Result<Vault, Fault>> = BTreeMap::new();
        let mut facts = BTreeMap::new();
        for (target, inputs) in machines {
            let name = inputs.text("vault").unwrap_or("Default");
            if !vaults.contains_key(name) {
                let vault = service.vault(name).await;
                if let Err(fault) = &vault
                    && fault.kind != FaultKind::NotFound
                {
                    return Err(fault.clone());
                }
                vaults.insert(name, vault);
            }
            let known = match vaults.get(name) {
                Some(Ok(vault)) => ask(target, inputs, vault),
                _ => Err(format!("there is no vault `{name}` in this account and Region")),
            };
            facts.insert(target.id.clone(), known.map_err(failed));
        }
        Ok(facts)
    }

    async fn call(&self, ctx: &Context, order: &Order<Facts>) -> Result<Option<Job>, Fault> {
        let facts = &order.facts;
        let token = order.token.to_string();
        let request = StartBackup {
            vault: facts.vault.clone(),
            resource: facts.resource.clone(),
            role: facts.role.clone(),
            start_within: facts.start_within,
            complete_within: None,
            delete_after_days: facts.keep_days,
            vss: facts.vss,
            tags: marks::tags(ctx, &order.target.id, &token, expires(order)),
            token,
        };
        match service(ctx, &order.target.home)?.start_backup(&request).await {
            // Where the call repeats an earlier one, its window ended before: AWS Backup itself says so then.
            Ok(id) => Ok(id.map(|id| Job {
                start_by: later(ctx.now(), facts.start_within),
                ..job(order, id, order.since)
            })),
            // The token is known, with another expiry: an earlier life was answered. It is looked for.
            Err(fault) if fault.code.as_deref() == Some("IdempotentParameterMismatch") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn find(
        &self,
        ctx: &Context,
        orders: &[Order<Facts>],
    ) -> Result<BTreeMap<TargetId, Found<Job>>, Fault> {
        let mut found = BTreeMap::new();
        for order in orders {
            let facts = &order.facts;
            let since = order.since.checked_sub(SKEW).unwrap_or(order.since);
            let service = service(ctx, &order.target.home)?;
            let jobs = service.backup_jobs(&facts.vault, Some(&facts.resource), since).await?;
            // A job shows neither its token nor its tags (facts: Backup jobs). Of several, the earliest.
            let earliest = jobs.into_iter().min_by_key(|job| (job.created_at, job.id.clone()));
            if let Some(seen) = earliest {
                let at = seen.created_at.unwrap_or(order.since);
                found.insert(order.target.id.clone(), Found::Whole(job(order, seen.id, at)));
            }
        }
        Ok(found)
    }

    async fn look(
        &self,
        ctx: &Context,
        home: &Home,
        jobs: &BTreeMap<TargetId, Job>,
    ) -> Result<BTreeMap<TargetId, Over>, Fault> {
        let service = service(ctx, home)?;
        let seen = read_jobs(&service, jobs).await?;
        let now = ctx.now();
        let mut over = BTreeMap::new();
        let mut complete: BTreeMap<&str, Vec<(&TargetId, &Job, &BackupJob, &str)>> = BTreeMap::new();
        for (id, job) in jobs {
            let Some(seen) = seen.get(job.id.as_str()) else { continue };
            match judge(job, seen, now) {
                Judged::Running => {}
                Judged::Failed(report) => _ = over.insert(id.clone(), Over::from(at_end(report, seen))),
                Judged::Complete(point) => {
                    complete.entry(job.vault.as_str()).or_default().push((id, job, seen, point));
                }
            }
        }
        for (vault, ended) in complete {
            let mut points = read_points(&service, vault, &ended).await?;
            for (id, job, seen, arn) in ended {
                let Some(point) = points.remove(arn) else { continue };
                if let Some(ended) = usable(id, home, job, seen, point) {
                    over.insert(id.clone(), ended);
                }
            }
        }
        Ok(over)
    }

    fn makes(&self, order: &Order<Facts>) -> Makes {
        Makes { kind: ArtifactKind::RecoveryPoint, expires: expires(order) }
    }

    fn made(&self, _: &Order<Facts>, _: &Job) -> Vec<Artifact> {
        // The recovery point has a name only when the job is complete.
        Vec::new()
    }

    fn stopped(&self, reason: StopReason, job: &Job) -> Report {
        // It changes nothing, and AWS Backup ends it by itself.
        match reason {
            StopReason::Cancelled => cancelled(),
            _ => Report::failed(
                Outcome::TimedOut,
                ErrorClass::TimedOut,
                format!("the backup job {} was not complete when the time was over", job.id),
            ),
        }
    }
}

fn expires(order: &Order<Facts>) -> Option<Timestamp> {
    marks::expires(order.since, order.inputs.span("keep"))
}

fn job(order: &Order<Facts>, id: String, at: Timestamp) -> Job {
    let facts = &order.facts;
    Job {
        id,
        vault: facts.vault.clone(),
        role: facts.role.clone(),
        token: order.token.to_string(),
        at,
        start_by: later(at, facts.start_within),
        expires: expires(order),
    }
}

/// What is asked of AWS Backup for a machine, or why it would be refused or fail.
fn ask(target: &Target, inputs: &Inputs, vault: &Vault) -> Result<Facts, String> {
    let role = inputs.text("role").filter(|role| role.starts_with("arn:"));
    let role = role.ok_or("the input `role` is not the ARN of a role")?;
    if let Some(ec2) = &target.ec2
        && ec2.root_device_type == "instance-store"
    {
        return Err("its root volume is an instance store, which AWS Backup does not back up".to_owned());
    }
    let start_within = inputs.span("start_within").map_or(SHORTEST_WINDOW, Span::get);
    if start_within < SHORTEST_WINDOW {
        return Err(
            "`start_within` is shorter than an hour, the shortest start window of AWS Backup".to_owned()
        );
    }
    let keep_days = inputs.span("keep").map(|keep| marks::days(keep.get()));
    let name = &vault.name;
    if let (Some(days), Some(least)) = (keep_days, vault.min_retention_days)
        && days < least
    {
        return Err(format!("the vault `{name}` keeps for {least} days at least, and `keep` says {days}"));
    }
    match (keep_days, vault.max_retention_days) {
        (Some(days), Some(most)) if days > most => {
            return Err(format!("the vault `{name}` keeps for {most} days at most, and `keep` says {days}"));
        }
        (None, Some(most)) => {
            return Err(format!("the vault `{name}` keeps for {most} days at most, and there is no `keep`"));
        }
        _ => {}
    }
    let vss = inputs.values.get("vss").and_then(Value::as_bool).unwrap_or_default();
    if vss && !target.platform.eq_ignore_ascii_case("windows") {
        return Err("`vss` is for Windows, and this machine is not".to_owned());
    }
    Ok(Facts {
        resource: arn(target)?,
        vault: name.clone(),
        role: role.to_owned(),
        start_within,
        keep_days,
        vss,
    })
}

/// The ARN of an instance.
fn arn(target: &Target) -> Result<String, String> {
    let Home::Aws { account, region, .. } = &target.home else {
        return Err("the machine is no EC2 instance".to_owned());
    };
    let account = account.as_deref().ok_or("the account that the machine lives in is not known")?;
    let zone = target.ec2.as_ref().map(|ec2| ec2.zone.as_str()).unwrap_or_default();
    let region = match region.as_deref() {
        Some(region) => region,
        None => region_of(zone).ok_or("the Region that the machine lives in is not known")?,
    };
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    Ok(format!("arn:{partition}:ec2:{region}:{account}:instance/{}", target.id))
}

/// The Region of an Availability Zone: all up to its number.
fn region_of(zone: &str) -> Option<&str> {
    let number = zone.find(|c: char| c.is_ascii_digit())?;
    let end = zone[number..].find(|c: char| !c.is_ascii_digit()).map_or(zone.len(), |end| number + end);
    Some(&zone[..end])
}

/// The jobs, in as few calls as there are: all of a vault, or the only one.
async fn read_jobs(
    service: &Arc<dyn Service>,
    jobs: &BTreeMap<TargetId, Job>,
) -> Result<BTreeMap<String, BackupJob>, Fault> {
    let mut vaults: BTreeMap<&str, Vec<&Job>> = BTreeMap::new();
    for job in jobs.values() {
        vaults.entry(job.vault.as_str()).or_default().push(job);
    }
    let mut seen = BTreeMap::new();
    for (vault, jobs) in vaults {
        if let [job] = jobs[..] {
            let read = service.backup_job(&job.id).await?;
            seen.insert(read.id.clone(), read);
            continue;
        }
        let since = jobs.iter().map(|job| job.at).min().unwrap_or(Timestamp::MIN);
        let since = since.checked_sub(SKEW).unwrap_or(since);
        let read = service.backup_jobs(vault, None, since).await?;
        seen.extend(read.into_iter().map(|job| (job.id.clone(), job)));
    }
    Ok(seen)
}

/// The recovery points of complete jobs, by ARN.
async fn read_points(
    service: &Arc<dyn Service>,
    vault: &str,
    ended: &[(&TargetId, &Job, &BackupJob, &str)],
) -> Result<BTreeMap<String, RecoveryPoint>, Fault> {
    let mut points = BTreeMap::new();
    for (.., arn) in ended {
        match service.recovery_point(vault, arn).await {
            Ok(point) => _ = points.insert((*arn).to_owned(), point),
            // Not visible yet.
            Err(fault) if fault.kind == FaultKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(points)
}

/// How a job stands.
enum Judged<'a> {
    Running,
    /// Complete, with this recovery point.
    Complete(&'a str),
    Failed(Report),
}

fn judge<'a>(job: &Job, seen: &'a BackupJob, now: Timestamp) -> Judged<'a> {
    let why = seen.message.as_deref().filter(|message| !message.is_empty());
    let why = why.map_or_else(String::new, |message| format!(": {message}"));
    let not_started = || {
        let cause = format!(
            "AWS Backup did not start the job {} within its start window, which ended {}{why}",
            job.id,
            clock(job.start_by)
        );
        Judged::Failed(Report::failed(Outcome::Failed, ErrorClass::Busy, cause))
    };
    match seen.state.as_str() {
        "COMPLETED" => match (seen.message_category.as_deref(), seen.recovery_point.as_deref()) {
            (None | Some("" | "SUCCESS"), Some(point)) => Judged::Complete(point),
            (None | Some("" | "SUCCESS"), None) => Judged::Running,
            (Some(category), _) => {
                Judged::Failed(failed(format!("the backup completed with issues ({category}){why}")))
            }
        },
        "EXPIRED" => not_started(),
        "CREATED" | "PENDING" if now > later(job.start_by, MARGIN) => not_started(),
        "FAILED" | "ABORTED" | "PARTIAL" => {
            let word = seen.state.to_ascii_lowercase();
            Judged::Failed(failed(format!("the backup job {} is {word}{why}", job.id)))
        }
        // Every other word means that it goes on.
        _ => Judged::Running,
    }
}

/// What is reported of a machine whose job is complete; nothing while its recovery point is still being made.
fn usable(id: &TargetId, home: &Home, job: &Job, seen: &BackupJob, point: RecoveryPoint) -> Option<Over> {
    let size = point.size_bytes.or(seen.size_bytes);
    let artifact = Artifact {
        kind: ArtifactKind::RecoveryPoint,
        id: point.arn.clone(),
        token: job.token.clone(),
        target: id.clone(),
        home: home.clone(),
        vault: Some(job.vault.clone()),
        size_gib: size.map(|bytes| bytes.div_ceil(1 << 30)),
        expires: job.expires,
    };
    let done = match point.status.as_str() {
        "COMPLETED" | "AVAILABLE" => {
            let kept = Kept {
                snapshots: Vec::new(),
                volumes: Vec::new(),
                recovery_point: Some(point.arn),
                vault: Some(job.vault.clone()),
                role: Some(job.role.clone()),
                expires: job.expires,
            };
            Done { outputs: to_value(kept).ok(), ..at_end(Report::succeeded(), seen) }
        }
        "CREATING" => return None,
        status => {
            let status = status.to_ascii_lowercase();
            at_end(
                failed(format!(
                    "the recovery point {} is {status}, which nothing can be restored from",
                    point.arn
                )),
                seen,
            )
        }
    };
    Some(Over { done, made: vec![artifact] })
}

fn at_end(report: Report, seen: &BackupJob) -> Done {
    Done::of(match seen.completed_at {
        Some(at) => report.at(at),
        None => report,
    })
}

fn failed(cause: impl Into<String>) -> Report {
    Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
}
