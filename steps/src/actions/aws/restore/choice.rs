//! Which strategy brings a machine back: decided from facts alone, in the plan, with what is lost and how long it takes.

use std::collections::BTreeSet;

use runbook_engine::{
    catalog::{WayBack, WayBackAsked},
    target::Ec2Facts,
};
use serde_json::Value;

use crate::actions::aws::kept::Kept;

/// How a machine is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// `CreateReplaceRootVolumeTask`: the root volume, while the instance stays.
    ReplaceRootVolume,
    /// Stop, exchange volumes, start: the instance stays.
    SwapVolumes,
    /// AWS Backup makes a new instance.
    BackupRestore,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::ReplaceRootVolume, Self::SwapVolumes, Self::BackupRestore];

    /// The word in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReplaceRootVolume => "replace-root-volume",
            Self::SwapVolumes => "swap-volumes",
            Self::BackupRestore => "backup-restore",
        }
    }

    /// The strategy of this word; `auto` is none.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == word)
    }

    /// How long it usually takes (facts: What a restore keeps).
    pub fn usually(self) -> &'static str {
        match self {
            Self::ReplaceRootVolume => "a few minutes",
            Self::SwapVolumes => "3 to 10 minutes",
            Self::BackupRestore => "10 minutes to hours; 4 hours more from cold storage",
        }
    }

    /// The rights that it needs beside those of [`SEEING`].
    pub fn rights(self) -> &'static [&'static str] {
        match self {
            Self::ReplaceRootVolume => &[
                "ec2:CreateReplaceRootVolumeTask",
                "ec2:CreateTags",
                "ec2:DescribeReplaceRootVolumeTasks",
                "ec2:ModifyInstanceAttribute",
                "ec2:StartInstances",
            ],
            Self::SwapVolumes => &[
                "ec2:AttachVolume",
                "ec2:CreateTags",
                "ec2:CreateVolume",
                "ec2:DetachVolume",
                "ec2:ModifyInstanceAttribute",
                "ec2:StartInstances",
                "ec2:StopInstances",
            ],
            Self::BackupRestore => &[
                "backup:GetRecoveryPointRestoreMetadata",
                "backup:ListRestoreJobs",
                "backup:StartRestoreJob",
                "ec2:CreateTags",
                "iam:PassRole",
            ],
        }
    }

    /// What is gone afterwards, for such a machine.
    pub fn loses(self, facts: &Ec2Facts) -> Vec<String> {
        let mut lost = vec!["what was written since the backup", "what was in memory"];
        match self {
            Self::ReplaceRootVolume => {
                if facts.volumes > 1 {
                    lost.push("nothing on data volumes: they stay as they are");
                }
            }
            Self::SwapVolumes => {
                if facts.public_ip_changes {
                    lost.push("its public IPv4 address");
                }
                lost.push("what is on instance store volumes");
            }
            Self::BackupRestore => {
                lost.push("its instance id, its addresses, its user data");
                lost.push("its registrations (load balancers, Systems Manager, DNS)");
                if facts.auto_scaling_group.is_some() {
                    lost.push("its place in the Auto Scaling group");
                }
            }
        }
        lost.into_iter().map(str::to_owned).collect()
    }

    /// Why it cannot work for such a machine and such a backup.
    ///
    /// # Errors
    /// The reason, as one lower-case sentence.
    pub fn fits(self, facts: &Ec2Facts, backup: Backup) -> Result<(), String> {
        match (self, backup) {
            (Self::BackupRestore, Backup::Snapshots { .. }) => {
                return Err("backup-restore needs a recovery point, which only `aws/backup` makes".into());
            }
            (Self::BackupRestore, Backup::RecoveryPoint) => return Ok(()),
            (_, Backup::RecoveryPoint) => {
                return Err(format!(
                    "{} needs the snapshots of `aws/snapshot`, not a recovery point",
                    self.as_str()
                ));
            }
            (_, Backup::Snapshots { .. }) => {}
        }
        if facts.root_device_type == "instance-store" {
            return Err("its root is an instance store volume, which cannot be brought back".into());
        }
        if facts.hibernates {
            return Err("hibernation is configured, and its snapshots are none that it starts from".into());
        }
        if let Some(group) = &facts.auto_scaling_group {
            return Err(format!(
                "the Auto Scaling group {group} would replace it while it restarts, and its backup with it"
            ));
        }
        if self == Self::SwapVolumes && facts.spot {
            return Err("a spot instance may not come back after a stop".into());
        }
        Ok(())
    }

    /// Whether a backup says all that it must know.
    ///
    /// # Errors
    /// What the backup does not say, as one lower-case sentence.
    pub fn reads(self, kept: &Kept) -> Result<(), String> {
        let missing = match self {
            Self::ReplaceRootVolume if kept.root().is_none() => {
                "which of its snapshots is of the root volume"
            }
            Self::SwapVolumes if kept.volumes.is_empty() => "which volumes it holds",
            Self::BackupRestore if kept.recovery_point.is_none() => "its recovery point",
            Self::BackupRestore if kept.vault.is_none() => "its vault",
            Self::BackupRestore if kept.role.is_none() => "its role",
            _ => return Ok(()),
        };
        Err(format!("the backup does not say {missing}"))
    }
}

/// The rights that every strategy needs, to see where it is.
pub const SEEING: [&str; 5] = [
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstances",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
    "ssm:DescribeInstanceInformation",
];

/// Every right that some strategy needs, sorted.
pub(in crate::actions::aws) fn rights() -> Vec<&'static str> {
    let special = Strategy::ALL.iter().flat_map(|strategy| strategy.rights());
    SEEING.iter().chain(special).copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the backing-up step makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// `aws/snapshot`.
    Snapshots {
        /// Only the root volume is in it.
        root_only: bool,
    },
    /// `aws/backup`.
    RecoveryPoint,
}

impl Backup {
    /// What was made.
    pub fn of(kept: &Kept) -> Self {
        match kept.recovery_point {
            Some(_) => Self::RecoveryPoint,
            None => {
                let root_only = !kept.volumes.is_empty() && kept.volumes.iter().all(|volume| volume.root);
                Self::Snapshots { root_only }
            }
        }
    }

    /// What `auto` means.
    pub fn auto(self) -> Strategy {
        match self {
            Self::RecoveryPoint => Strategy::BackupRestore,
            Self::Snapshots { root_only: true } => Strategy::ReplaceRootVolume,
            Self::Snapshots { root_only: false } => Strategy::SwapVolumes,
        }
    }
}

/// The strategy for one machine; `wanted`: what the step says, unless that is `auto`.
///
/// # Errors
/// Why this machine cannot be brought back so, as one lower-case sentence.
pub fn choose(wanted: Option<Strategy>, facts: &Ec2Facts, backup: Backup) -> Result<Strategy, String> {
    // Of a machine with one volume, all volumes are its root.
    let backup = match backup {
        Backup::Snapshots { root_only } => Backup::Snapshots { root_only: root_only || facts.volumes <= 1 },
        other => other,
    };
    let strategy = wanted.unwrap_or_else(|| backup.auto());
    strategy.fits(facts, backup).map(|()| strategy)
}

/// What the planner is told of one machine; nothing where it is no instance.
pub fn way_back(asked: &WayBackAsked<'_>) -> Option<Result<WayBack, String>> {
    let facts = asked.target.ec2.as_ref()?;
    let word = asked.inputs.get("strategy").and_then(Value::as_str).unwrap_or("auto");
    let wanted = Strategy::named(word);
    // An expression that only a run can fill in.
    if wanted.is_none() && word != "auto" {
        return None;
    }
    let backup = match asked.backup {
        "aws/snapshot" => {
            let volumes = asked.backup_inputs.get("volumes").and_then(Value::as_str);
            Backup::Snapshots { root_only: volumes == Some("root") }
        }
        "aws/backup" => Backup::RecoveryPoint,
        other => {
            let why =
                format!("it needs what `aws/snapshot` or `aws/backup` makes, and `{other}` makes neither");
            return Some(Err(why));
        }
    };
    Some(choose(wanted, facts, backup).map(|strategy| WayBack {
        strategy: strategy.as_str().to_owned(),
        loses: strategy.loses(facts),
        usually: strategy.usually().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use runbook_engine::{
        catalog::WayBackAsked,
        connection::Connection,
        target::{Ec2Facts, Home, Target},
    };

    use super::{Backup, Strategy, choose, way_back};
    use crate::actions::aws::kept::{Kept, KeptVolume};

    fn machine(volumes: u32) -> Ec2Facts {
        Ec2Facts { root_device_type: "ebs".into(), volumes, ..Ec2Facts::default() }
    }

    const ALL: Backup = Backup::Snapshots { root_only: false };

    #[test]
    fn auto_goes_by_what_was_backed_up() {
        let root = Backup::Snapshots { root_only: true };
        assert_eq!(choose(None, &machine(1), ALL), Ok(Strategy::ReplaceRootVolume));
        assert_eq!(choose(None, &machine(3), root), Ok(Strategy::ReplaceRootVolume));
        assert_eq!(choose(None, &machine(3), ALL), Ok(Strategy::SwapVolumes));
        assert_eq!(choose(None, &machine(3), Backup::RecoveryPoint), Ok(Strategy::BackupRestore));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        let store = Ec2Facts { root_device_type: "instance-store".into(), ..machine(0) };
        let spot = Ec2Facts { spot: true, ..machine(2) };
        let member = Ec2Facts { auto_scaling_group: Some("web".into()), ..machine(1) };
        let why = |facts: &Ec2Facts| choose(None, facts, ALL).expect_err("a reason");
        assert_eq!(why(&store), "its root is an instance store volume, which cannot be brought back");
        let hibernating = Ec2Facts { hibernates: true, ..machine(1) };
        assert_eq!(
            why(&hibernating),
            "hibernation is configured, and its snapshots are none that it starts from"
        );
        assert_eq!(why(&spot), "a spot instance may not come back after a stop");
        assert_eq!(
            why(&member),
            "the Auto Scaling group web would replace it while it restarts, and its backup with it"
        );
        // Another strategy that works is taken.
        let replaced = choose(Some(Strategy::ReplaceRootVolume), &spot, ALL);
        assert_eq!(replaced, Ok(Strategy::ReplaceRootVolume));
        assert_eq!(choose(None, &member, Backup::RecoveryPoint), Ok(Strategy::BackupRestore));
        assert!(choose(Some(Strategy::BackupRestore), &machine(1), ALL).is_err());
        assert!(choose(Some(Strategy::SwapVolumes), &machine(1), Backup::RecoveryPoint).is_err());
    }

    #[test]
    fn only_our_own_backups_are_restored() {
        let target = Target {
            id: "i-1".into(),
            name: "web-1".into(),
            group: "web".into(),
            private_ip: None,
            tags: BTreeMap::new(),
            vars: BTreeMap::new(),
            environment: None,
            owner: None,
            platform: "linux".into(),
            image: None,
            root_volume: None,
            ec2: Some(machine(2)),
            home: Home::Host { address: "127.0.0.1".into(), connection: Connection::default() },
        };
        let (inputs, target) = (BTreeMap::new(), &target);
        let asked = |backup| {
            let made_with = BTreeMap::new();
            way_back(&WayBackAsked {
                action: "aws/restore",
                inputs: &inputs,
                backup,
                backup_inputs: &made_with,
                target,
            })
        };
        assert_eq!(
            asked("aws/snapshot").map(|way| way.map(|way| way.strategy)),
            Some(Ok("swap-volumes".into()))
        );
        assert_eq!(
            asked("aws/backup").map(|way| way.map(|way| way.strategy)),
            Some(Ok("backup-restore".into()))
        );
        assert_eq!(
            asked("local/command"),
            Some(Err(
                "it needs what `aws/snapshot` or `aws/backup` makes, and `local/command` makes neither"
                    .into()
            ))
        );
    }

    #[test]
    fn auto_means_the_same_before_and_after_the_backup() {
        let volume = |root| KeptVolume { root, ..KeptVolume::default() };
        let kept = |volumes: &[bool]| Kept {
            volumes: volumes.iter().copied().map(volume).collect(),
            ..Kept::default()
        };
        for (volumes, count, root_only) in
            [(&[true][..], 1, false), (&[true], 3, true), (&[true, false, false], 3, false)]
        {
            let planned = choose(None, &machine(count), Backup::Snapshots { root_only });
            assert_eq!(planned, Ok(Backup::of(&kept(volumes)).auto()));
        }
        let point = Kept { recovery_point: Some("arn:1".into()), ..Kept::default() };
        assert_eq!(Backup::of(&point).auto(), Strategy::BackupRestore);
    }
}
