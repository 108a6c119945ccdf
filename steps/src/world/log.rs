//! The world's state file: a line for every call that writes, on the disk before the call is answered.
//!
//! It is append-only, and it is the call log too. Reading it again gives the same world. A last line that was cut in
//! two by a crash belongs to a call that nobody was answered for: it is left out, and overwritten. Lines that only
//! say that time went on are not synced: a machine that goes down may set the world back by them, never a process
//! that is killed.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    disk_fact::DiskFact,
    fault_rule::Label,
    instance::Changes,
    linux,
    roster::FleetError,
    state::{Fact, Struck},
    vault::VaultFact,
};

/// The format of the file.
pub(super) const FORMAT: u32 = 2;

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The answer did not reach the caller.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answer_lost: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub struck: Struck,
    pub fact: Fact,
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens or makes the file, and reads what is in it.
    pub fn open(path: &Path) -> Result<(Self, Vec<Line>), FleetError> {
        let fail = |source| FleetError::Io { path: path.display().to_string(), source };
        let fresh = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        let (lines, whole) = read(path, &mut file)?;
        file.set_len(whole).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        if fresh && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
        Ok((Self { path: path.to_owned(), file }, lines))
    }

    /// Writes a line; with `sync` it is on the disk when this returns.
    pub fn append(&mut self, line: &Line, sync: bool) -> Result<(), FleetError> {
        let fail = |source| FleetError::Io { path: self.path.display().to_string(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|error| fail(error.into()))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(fail)?;
        if sync {
            self.file.sync_data().map_err(fail)?;
        }
        Ok(())
    }
}

/// The lines, and the length of what is whole.
fn read(path: &Path, file: &mut File) -> Result<(Vec<Line>, u64), FleetError> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| FleetError::Io { path: name(), source })?;
    let mut lines: Vec<Line> = Vec::new();
    let mut whole = 0;
    let mut rest = &bytes[..];
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let number = lines.len() as u64 + 1;
        let last = end + 1 == rest.len();
        match serde_json::from_slice::<Line>(&rest[..end]) {
            Ok(line) => lines.push(line),
            Err(_) if last && number > 1 => break,
            Err(error) => {
                return Err(FleetError::Damaged { path: name(), line: number, cause: error.to_string() });
            }
        }
        whole += end as u64 + 1;
        rest = &rest[end + 1..];
    }
    match lines.first().map(|line| &line.fact) {
        None => {}
        Some(Fact::Began { format: FORMAT, .. }) => {}
        Some(Fact::Began { format, .. }) => {
            let cause = format!("its format is {format}, this version knows {FORMAT}");
            return Err(FleetError::Damaged { path: name(), line: 1, cause });
        }
        Some(_) => {
            return Err(FleetError::Damaged { path: name(), line: 1, cause: "it does not begin".into() });
        }
    }
    Ok((lines, whole))
}

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
pub const OPERATIONS: [&str; 15] = [
    "Boot",
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
    /// `install`, `reboot`.
    pub resource: Option<String>,
    /// `Install` and `Scan`, for patch commands; `Boot` for one that reads which boot it is.
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

    /// Whether repeating it changes nothing (facts: Client tokens).
    fn may_repeat(&self) -> bool {
        // A boot is read anew by each life, and what is half done on a host is looked for more than once.
        self.operation == Some("Boot")
            || self.call == "ssh:start" && self.resource.as_deref() == Some("repair")
            || matches!(
                self.call.as_str(),
                "ssm:CancelCommand"
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
    /// (A guarded script is sent a second time where the service cannot say what became of the first; then the guard
    /// lets it run once, and it is listed here all the same.) Calls whose task is not known are told apart by token.
    pub fn doubled(&self) -> Vec<String> {
        let mut seen = std::collections::BTreeMap::<_, u32>::new();
        for call in self.calls.iter().filter(|call| call.took_effect && !call.may_repeat()) {
            for machine in &call.machines {
                let token = call.task.is_none().then_some(&call.token);
                // Volumes are made one by one, each with a token of its own; a scan whose report somebody else's took the
                // place of is asked for once more, with another one.
                let by_token = call.call == "ec2:CreateVolume" || call.operation == Some("Scan");
                let what = if by_token { Some(&call.token) } else { call.resource.as_ref() };
                let key = (&call.call, call.operation, machine, what, &call.task, call.attempt, token);
                *seen.entry(key).or_default() += 1;
            }
        }
        let doubled = seen.into_iter().filter(|(_, times)| *times > 1);
        doubled
            .map(|((call, operation, machine, _, task, ..), times)| {
                let task = task.as_deref().unwrap_or("no task");
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
        Fact::ProgramStarted { token, machine, .. } => {
            ("process:start", machine.iter().cloned().collect(), token.clone(), None)
        }
        Fact::ProgramForgotten { token } => ("process:forget", Vec::new(), token.clone(), None),
        Fact::ProgramKilled { token } => ("process:kill", Vec::new(), token.clone(), None),
        Fact::MessagePosted { host } => ("http:POST", Vec::new(), host.clone(), None),
        Fact::NotExecuted { call, machines } => (call.as_str(), machines.clone(), String::new(), None),
    };
    let mut call = seen(line, name, machines, token);
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
    Call { resource: resource.cloned(), ..seen(line, name, machines, token) }
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

impl Line {
    pub fn new(at: Timestamp, label: Option<&Label>, fact: Fact) -> Self {
        Self {
            at,
            task: label.map(|label| label.task.clone()),
            attempt: label.map(|label| label.attempt),
            answer_lost: false,
            struck: Vec::new(),
            fact,
        }
    }
}
