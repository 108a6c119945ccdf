//! Reads that list everything of one account and Region: what a server of AWS's protocols filters and pages.

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    account::{Account, Agent, Alarm, SentCommand},
    command::Command,
    fleet::{MachineKind, Platform},
    instance,
    run_command::{listed, one, patch_state, seen},
    state::State,
};
use crate::ports::{
    backup::{BackupJob, RecoveryPoint, RestoreJob, Vault},
    ec2::{Image, Instance, ReplaceTask, Snapshot, Volume},
    fault::Fault,
    ssm::PatchState,
};

/// The machines that are seen from here, whoever says that they will be gone at their wave.
pub(super) fn machines<'a>(
    state: &'a State,
    here: &'a super::place::Place,
    now: Timestamp,
) -> impl Iterator<Item = usize> + 'a {
    (0..state.machines.len()).filter(move |machine| {
        state.roster.group(*machine).kind == MachineKind::Ec2
            && here.sees(state.roster.place(*machine))
            && !state.is_gone(*machine, now, false)
    })
}

impl Account {
    /// Every instance, those that are stopped or gone a short while ago included (`DescribeInstances`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_instances(&self) -> Result<Vec<Instance>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeInstances", &[], |state, now| {
                Ok(machines(state, &here, now).map(|machine| instance::show(state, machine, now)).collect())
            })
            .await
    }

    /// Every volume (`DescribeVolumes`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_volumes(&self) -> Result<Vec<Volume>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeVolumes", &[], |state, now| {
                Ok(state.disks.volumes.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every snapshot (`DescribeSnapshots`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_snapshots(&self) -> Result<Vec<Snapshot>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeSnapshots", &[], |state, now| {
                Ok(state.disks.snapshots.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every image (`DescribeImages`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_images(&self) -> Result<Vec<Image>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeImages", &[], |state, now| {
                Ok(state.disks.images.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every replacement of a root volume (`DescribeReplaceRootVolumeTasks`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_replace_tasks(&self) -> Result<Vec<ReplaceTask>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeReplaceRootVolumeTasks", &[], |state, now| {
                Ok(state.disks.replacements.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every command, in the order in which they were sent (`ListCommands`, `ListCommandInvocations`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_commands(&self) -> Result<Vec<SentCommand>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:ListCommands", &[], |state, now| {
                Ok(seen(state, &here, Timestamp::MIN, now).map(|command| command.show(now)).collect())
            })
            .await
    }

    /// One command (`GetCommandInvocation`, `ListCommandInvocations` by id): absent while it is not visible yet.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn command(&self, id: &str) -> Result<Option<SentCommand>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:ListCommandInvocations", &[], |state, now| {
                Ok(one(state, &here, id, now).map(|command: &Command| command.show(now)))
            })
            .await
    }

    /// Every registered node (`DescribeInstanceInformation`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_agents(&self) -> Result<Vec<Agent>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:DescribeInstanceInformation", &[], |state, now| {
                let ids = machines(state, &here, now).map(|machine| &state.roster.machines[machine].id);
                let known = ids.filter_map(|id| listed(state, &here, id, now));
                Ok(known.map(|machine| agent(state, machine, now)).collect())
            })
            .await
    }

    /// Those of these machines that are registered nodes (`DescribeInstanceInformation` by id).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn agents_of(&self, ids: &[TargetId]) -> Result<Vec<Agent>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:DescribeInstanceInformation", ids, |state, now| {
                let known = ids.iter().filter_map(|id| listed(state, &here, id, now));
                Ok(known.map(|machine| agent(state, machine, now)).collect())
            })
            .await
    }

    /// The patch state of every machine that has one (`DescribeInstancePatchStates`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_patch_states(&self) -> Result<Vec<PatchState>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:DescribeInstancePatchStates", &[], |state, now| {
                let machines = machines(state, &here, now);
                Ok(machines.filter_map(|machine| patch_state(state, machine, now)).collect())
            })
            .await
    }

    /// Every backup job (`ListBackupJobs`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_backup_jobs(&self) -> Result<Vec<BackupJob>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListBackupJobs", &[], |state, now| {
                Ok(state.vaults.backups.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every recovery point, with its tags (`ListRecoveryPointsByBackupVault`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_recovery_points(&self) -> Result<Vec<RecoveryPoint>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListRecoveryPointsByBackupVault", &[], |state, now| {
                Ok(state.vaults.points.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every restore job (`ListRestoreJobs`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_restore_jobs(&self) -> Result<Vec<RestoreJob>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListRestoreJobs", &[], |state, now| {
                Ok(state.vaults.restores.all(&here, now).map(|item| item.show(now)).collect())
            })
            .await
    }

    /// Every vault (`ListBackupVaults`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_vaults(&self) -> Result<Vec<Vault>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListBackupVaults", &[], |state, _| {
                Ok(state.vaults.all(&here).cloned().collect())
            })
            .await
    }

    /// Every alarm (`DescribeAlarms`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_alarms(&self) -> Result<Vec<Alarm>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "cloudwatch:DescribeAlarms", &[], |state, now| {
                let (file, set) = (&state.roster.file, &state.alarms_set);
                Ok(file.alarms.iter().filter_map(|alarm| alarm.show(&here, file.start, now, set)).collect())
            })
            .await
    }
}

fn agent(state: &State, machine: usize, now: Timestamp) -> Agent {
    let card = &state.roster.machines[machine];
    let condition = state.machines[machine].condition();
    let platform = match state.roster.group(machine).platform {
        Platform::Linux => "Linux",
        Platform::Windows => "Windows",
    };
    Agent {
        instance: card.id.clone(),
        ping_status: if condition.online(now) { "Online" } else { "ConnectionLost" }.to_owned(),
        last_ping: condition.last_ping(now),
        platform_type: platform.to_owned(),
        ip_address: card.private_ip.clone(),
        computer_name: card.name.clone(),
        tags: card.tags.clone(),
    }
}
