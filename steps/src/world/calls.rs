//! The calls that write, as the world's state file tells of them: what tests count, and what may not happen twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    disk_fact::DiskFact,
    instance::Changes,
    linux,
    log::{Line, read},
    roster::FleetError,
    state::Fact,
    vault::VaultFact,
};

/// The names of all calls that write.
pub const WRITING_CALLS: [&str; 28] = [
    "backup:DeleteRecoveryPoint",
    "backup:StartBackupJob",
    "backup:StartRestoreJob",
    "backup:StopBackupJob",
    "cloudwatch:SetAlarmState",
    "ec2:AttachVolume",
    "ec2:CreateReplaceRootVolumeTask",
    "ec2:CreateSnapshots",
    "ec2:CreateTags",
    "ec2:CreateVolume",
    "ec2:DeleteSnapshot",
    "ec2:DeleteTags",
    "ec2:DeleteVolume",
    "ec2:DeregisterImage",
    "ec2:DetachVolume",
    "ec2:ModifyInstanceAttribute",
    "ec2:RebootInstances",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "http:POST",
    "process:forget",
    "process:kill",
    "process:start",
    "ssh:end",
    "ssh:forget",
    "ssh:start",
    "ssm:CancelCommand",
    "ssm:SendCommand",
];

/// Those of them that name no machine, but what they make or change.
pub const CALLS_WITHOUT_MACHINES: [&str; 9] = [
    "cloudwatch:SetAlarmState",
    "ec2:CreateTags",
    "ec2:DeleteSnapshot",
    "ec2:DeleteTags",
    "ec2:DeleteVolume",
    "ec2:DeregisterImage",
    "http:POST",
    "process:forget",
    "process:kill",
];

/// What commands and jobs do that are told apart: see [`Call::does`].
pub const OPERATIONS: [&str; 16] = [
    "Boot",
    "Guarded",
    "Install",
    "Scan",
    "capture",
    "discard",
    "file",
    "install",
    "install-back",
    "keep",
    "reboot",
    "refresh",
    "repair",
    "revert",
    "script",
    "service",
];

/// A call that writes, as the world saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When.
    pub at: Timestamp,
    /// In the service's words: `ssm:SendCommand`.
    pub call: String,
    /// On which machines.
    pub machines: Vec<TargetId>,
    /// Its comment, client token or first tag: what finds it again.
    pub token: String,
    /// What it made or changed: a volume, a snapshot, a job; of several the first. What a job on a host of our own does:
    /// `install`, `reboot`. For whom a program is that is for no machine of this world.
    pub resource: Option<String>,
    /// What a volume was made from: a snapshot. The guard of a script that has one.
    pub source: Option<String>,
    /// `Install` and `Scan`, for patch commands; `Boot` for one that reads which boot it is; `Guarded` for a script that
    /// runs once on a machine however often it is sent.
    pub operation: Option<&'static str>,
    /// The task that asked, where known.
    pub task: Option<String>,
    /// Its attempt.
    pub attempt: Option<u32>,
    /// Whether it took effect: not when it was throttled, lost, or the repetition of an earlier one.
    pub took_effect: bool,
    /// Whether the answer reached the caller.
    pub answered: bool,
}

impl Call {
    /// What the command or job does, where that is told: one of [`OPERATIONS`].
    pub fn does(&self) -> Option<&str> {
        self.operation.or_else(|| self.resource.as_deref().filter(|_| self.call == "ssh:start"))
    }

    /// Whether it names nothing that it is for.
    fn is_nobodys(&self) -> bool {
        self.machines.is_empty() && self.resource.is_none()
    }

    fn is_guarded(&self) -> bool {
        self.operation == Some("Guarded")
    }

    /// What tells it apart from other calls of its name on the same machine.
    fn what(&self) -> Option<&String> {
        match self.call.as_str() {
            // What they make has a new name each time, and is made once.
            "backup:StartBackupJob" | "backup:StartRestoreJob" => None,
            // One volume for each snapshot of a machine.
            "ec2:CreateVolume" => self.source.as_ref(),
            // A scan whose report somebody else's took the place of is asked for once more, with another token.
            _ if self.operation == Some("Scan") => Some(&self.token),
            _ => self.resource.as_ref(),
        }
    }

    /// Whether repeating it changes nothing (facts: Client tokens).
    fn may_repeat(&self) -> bool {
        // A boot is read anew by each life, and what is half done on a host is looked for more than once. A webhook is
        // told at least once: whoever gets it knows the repetition by its `Idempotency-Key`.
        self.operation == Some("Boot")
            || self.call == "ssh:start" && self.resource.as_deref() == Some("repair")
            || matches!(
                self.call.as_str(),
                "http:POST"
                    | "process:forget"
                    | "process:kill"
                    | "ssm:CancelCommand"
                    | "ssh:end"
                    | "ssh:forget"
                    | "ec2:CreateTags"
                    | "ec2:DeleteTags"
                    | "ec2:ModifyInstanceAttribute"
            )
    }
}

/// Every call that wrote, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallLog {
    /// The calls.
    pub calls: Vec<Call>,
}

impl CallLog {
    /// Reads the state file of a world, which may be in use.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read(path: &Path) -> Result<Self, FleetError> {
        let mut file =
            File::open(path).map_err(|source| FleetError::Io { path: path.display().to_string(), source })?;
        let (lines, _) = read(path, &mut file)?;
        Ok(Self { calls: lines.iter().filter_map(call).collect() })
    }

    /// Calls of this name that took effect.
    pub fn effects<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Call> + 'a {
        self.calls.iter().filter(move |call| call.took_effect && call.call == name)
    }

    /// How often calls of this name took effect.
    pub fn count(&self, name: &str) -> usize {
        self.effects(name).count()
    }

    /// How often calls of this name took effect on this machine.
    pub fn count_on(&self, name: &str, machine: &TargetId) -> usize {
        self.effects(name).filter(|call| call.machines.contains(machine)).count()
    }

    /// Effects that took place more than once on a machine for the same attempt of the same task: there must be none.
    /// A script is sent again where the service cannot say what became of the first command: under the same guard it runs
    /// once all the same. Calls whose task is not known are told apart by token. Calls
    /// on no machine are as if on one of their own; those that start a playbook as a whole are judged by its hosts.
    pub fn doubled(&self) -> Vec<String> {
        let counted = || self.calls.iter().filter(|call| call.took_effect && !call.may_repeat());
        let on_hosts: BTreeSet<_> = counted()
            .filter(|call| call.call == "process:start" && !call.is_nobodys())
            .map(|call| (&call.task, call.attempt))
            .collect();
        let mut seen = BTreeMap::<_, u32>::new();
        let mut guards = BTreeSet::new();
        for call in counted() {
            let whole = call.call == "process:start"
                && call.is_nobodys()
                && on_hosts.contains(&(&call.task, call.attempt));
            let nowhere = call.machines.is_empty() && !whole;
            let token = call.task.is_none().then_some(&call.token);
            let machines = call.machines.iter().map(Some).chain(nowhere.then_some(None));
            for machine in machines {
                let guard = call.source.as_ref().filter(|_| call.is_guarded());
                if guard.is_some_and(|guard| !guards.insert((machine, guard))) {
                    continue;
                }
                let key = (&call.call, call.operation, machine, call.what(), &call.task, call.attempt, token);
                *seen.entry(key).or_default() += 1;
            }
        }
        let doubled = seen.into_iter().filter(|(_, times)| *times > 1);
        doubled
            .map(|((call, operation, machine, _, task, ..), times)| {
                let task = task.as_deref().unwrap_or("no task");
                let machine = machine.map_or("no machine", TargetId::as_str);
                format!("{call} {} on {machine} for {task}: {times} times", operation.unwrap_or_default())
            })
            .collect()
    }
}

/// The call that a line tells of.
pub(super) fn call(line: &Line) -> Option<Call> {
    let (name, machines, token, operation) = match &line.fact {
        Fact::Began { .. } | Fact::Passed => return None,
        Fact::CommandSent(command) => {
            let machines = command.parts.iter().map(|part| part.machine.clone()).collect();
            ("ssm:SendCommand", machines, command.comment.clone(), command.work.operation())
        }
        Fact::CommandCancelled { id, machines } => ("ssm:CancelCommand", machines.clone(), id.clone(), None),
        Fact::AlarmSet(set) => ("cloudwatch:SetAlarmState", Vec::new(), set.name.clone(), None),
        Fact::Disks(fact) => return Some(of_disks(line, fact)),
        Fact::Vaults(fact) => return Some(of_vaults(line, fact)),
        Fact::Hosts(fact) => {
            let (name, machine, token, deed) = linux::call(fact);
            let seen = seen(line, name, vec![machine.clone()], token.to_owned());
            return Some(Call { resource: deed.map(str::to_owned), ..seen });
        }
        Fact::RootReplacementBegun(task) => {
            ("ec2:CreateReplaceRootVolumeTask", vec![task.instance.clone()], task.token.token.clone(), None)
        }
        Fact::Stopped { machines } => ("ec2:StopInstances", of(machines), String::new(), None),
        Fact::Started { machines } => ("ec2:StartInstances", of(machines), String::new(), None),
        Fact::Rebooted { machines } => ("ec2:RebootInstances", of(machines), String::new(), None),
        Fact::Repeated { call, machines, token } => (call.as_str(), machines.clone(), token.clone(), None),
        Fact::ProgramStarted { token, machine, stranger, .. } => {
            let started = seen(line, "process:start", machine.iter().cloned().collect(), token.clone());
            return Some(Call { resource: stranger.clone(), ..started });
        }
        Fact::ProgramForgotten { token } => ("process:forget", Vec::new(), token.clone(), None),
        Fact::ProgramKilled { token } => ("process:kill", Vec::new(), token.clone(), None),
        Fact::MessagePosted { host } => ("http:POST", Vec::new(), host.clone(), None),
        Fact::NotExecuted { call, machines } => (call.as_str(), machines.clone(), String::new(), None),
    };
    let mut call = seen(line, name, machines, token);
    if let Fact::CommandSent(command) = &line.fact {
        call.source = command.work.guard().cloned();
    }
    call.operation = operation;
    call.took_effect = !matches!(line.fact, Fact::NotExecuted { .. } | Fact::Repeated { .. });
    Some(call)
}

fn of(machines: &Changes) -> Vec<TargetId> {
    machines.keys().cloned().collect()
}

fn seen(line: &Line, name: &str, machines: Vec<TargetId>, token: String) -> Call {
    Call {
        at: line.at,
        call: name.to_owned(),
        machines,
        token,
        resource: None,
        source: None,
        operation: None,
        task: line.task.clone(),
        attempt: line.attempt,
        took_effect: true,
        answered: !line.answer_lost,
    }
}

fn of_disks(line: &Line, fact: &DiskFact) -> Call {
    let one = |instance: &TargetId| vec![instance.clone()];
    let (name, machines, token, resource) = match fact {
        DiskFact::SnapshotsCreated { instance, snapshots } => {
            let tags = snapshots.first().map(|snapshot| &*snapshot.tags);
            let mut tags = tags.into_iter().flatten();
            let marked = tags.clone().find(|(key, _)| key.ends_with("token")).or_else(|| tags.next());
            let token = marked.map(|(_, value)| value.clone()).unwrap_or_default();
            ("ec2:CreateSnapshots", one(instance), token, None)
        }
        DiskFact::SnapshotDeleted { snapshot } => {
            ("ec2:DeleteSnapshot", Vec::new(), String::new(), Some(snapshot))
        }
        DiskFact::VolumeCreated { volume, machines, token } => {
            ("ec2:CreateVolume", machines.clone(), token.token.clone(), Some(&volume.id))
        }
        DiskFact::VolumeDeleted { volume } => ("ec2:DeleteVolume", Vec::new(), String::new(), Some(volume)),
        DiskFact::Attached { volume, held } => {
            ("ec2:AttachVolume", one(&held.instance), String::new(), Some(volume))
        }
        DiskFact::Detached { volume, instance, .. } => {
            ("ec2:DetachVolume", one(instance), String::new(), Some(volume))
        }
        DiskFact::TerminationSet { volume, instance, .. } => {
            ("ec2:ModifyInstanceAttribute", one(instance), String::new(), Some(volume))
        }
        DiskFact::Tagged { resources, .. } => {
            ("ec2:CreateTags", Vec::new(), String::new(), resources.first())
        }
        DiskFact::Untagged { resources, .. } => {
            ("ec2:DeleteTags", Vec::new(), String::new(), resources.first())
        }
        DiskFact::ImageDeregistered { image } => {
            ("ec2:DeregisterImage", Vec::new(), String::new(), Some(image))
        }
    };
    let source = match fact {
        DiskFact::VolumeCreated { volume, .. } => volume.snapshot.clone(),
        _ => None,
    };
    Call { resource: resource.cloned(), source, ..seen(line, name, machines, token) }
}

fn of_vaults(line: &Line, fact: &VaultFact) -> Call {
    let (name, machine, token, resource) = match fact {
        VaultFact::BackupStarted(job) => {
            ("backup:StartBackupJob", &job.instance, job.token.token.clone(), &job.id)
        }
        VaultFact::BackupStopped { backup, instance } => {
            ("backup:StopBackupJob", instance, String::new(), backup)
        }
        VaultFact::RestoreStarted(job) => {
            ("backup:StartRestoreJob", &job.source, job.token.token.clone(), &job.id)
        }
        VaultFact::RecoveryPointDeleted { recovery_point, instance, .. } => {
            ("backup:DeleteRecoveryPoint", instance, String::new(), recovery_point)
        }
    };
    Call { resource: Some(resource.clone()), ..seen(line, name, vec![machine.clone()], token) }
}
