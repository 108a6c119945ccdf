//! What each right may be limited to.
//!
//! Everything here is from the Service Authorization Reference (SAR), the pages of EC2, Systems Manager, AWS Backup, IAM,
//! Resource Groups and Tagging:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>.
//! Where another page says more, it is named.

use On::{
    Anything, Documents, Existing, Groups, Machines, New, Ours, PassedRoles, RecoveryPoints, Tagged, Vaults,
};
use Thing::{Image, ReplaceTask, Snapshot, Volume};

/// Kinds of EC2 resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A snapshot. Its ARN has no account.
    Snapshot,
    /// An image. Its ARN has no account.
    Image,
    /// A volume.
    Volume,
    /// A replacement of a root volume.
    ReplaceTask,
}

/// What a right is granted on. One right may need several at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// `*`: nothing else works.
    Anything,
    /// The machines of the groups that need it, by the groups' tags or ids.
    Machines,
    /// The documents that are used.
    Documents,
    /// Any of these, whoever made it: what machines have is not tagged by us.
    Existing(Thing),
    /// What is being made, if it is tagged with its run in the same call.
    New(Thing),
    /// What one of our runs made.
    Ours(Thing),
    /// Tags on what is being made by the calls that are used, and on what is put back in place.
    Tagged,
    /// The vaults that are used.
    Vaults,
    /// Recovery points: of EC2 instances they are images.
    RecoveryPoints,
    /// The roles that are handed to AWS Backup.
    PassedRoles,
    /// The resource groups that machines are chosen by.
    Groups,
}

/// A right, what it is granted on, and where that is said.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The right.
    pub right: &'static str,
    /// On what.
    pub on: &'static [On],
    /// Where that is said.
    pub source: &'static str,
}

const fn row(right: &'static str, on: &'static [On], source: &'static str) -> Row {
    Row { right, on, source }
}

/// Every right that an action, an inventory or `artifacts gc` uses.
pub const ROWS: &[Row] = &[
    row("backup:DeleteRecoveryPoint", &[RecoveryPoints], "SAR, AWS Backup: recoveryPoint*"),
    row("backup:DescribeBackupJob", &[Anything], "SAR, AWS Backup: no resource type"),
    row("backup:DescribeBackupVault", &[Vaults], "SAR, AWS Backup: backupVault*"),
    row("backup:DescribeRecoveryPoint", &[RecoveryPoints], "SAR, AWS Backup: recoveryPoint*"),
    row("backup:DescribeRestoreJob", &[Anything], "SAR, AWS Backup: no resource type"),
    row("backup:GetRecoveryPointRestoreMetadata", &[RecoveryPoints], "SAR, AWS Backup: recoveryPoint*"),
    row("backup:ListBackupJobs", &[Anything], "SAR, AWS Backup: no resource type"),
    row("backup:ListBackupVaults", &[Anything], "SAR, AWS Backup: no resource type"),
    row("backup:ListRecoveryPointsByBackupVault", &[Vaults], "SAR, AWS Backup: backupVault*"),
    row("backup:ListRestoreJobs", &[Anything], "SAR, AWS Backup: no resource type"),
    row("backup:ListTags", &[RecoveryPoints], "SAR, AWS Backup: recoveryPoint among others"),
    row("backup:StartBackupJob", &[Vaults], "SAR, AWS Backup: backupVault*; besides iam:PassRole"),
    row("backup:StartRestoreJob", &[RecoveryPoints], "SAR, AWS Backup: recoveryPoint*; besides iam:PassRole"),
    row("backup:StopBackupJob", &[Anything], "SAR, AWS Backup: no resource type"),
    row("backup:TagResource", &[RecoveryPoints, Vaults], "SAR, AWS Backup: recoveryPoint, backupVault"),
    row("ec2:AttachVolume", &[Machines, Existing(Volume)], "SAR, EC2: instance*, volume*"),
    row(
        "ec2:CreateReplaceRootVolumeTask",
        &[Machines, New(ReplaceTask), Existing(Volume), Ours(Snapshot)],
        "SAR, EC2: instance*, replace-root-volume-task*, volume*, snapshot; besides ec2:CreateTags",
    ),
    row(
        "ec2:CreateSnapshots",
        &[Machines, Existing(Volume), New(Snapshot)],
        "SAR, EC2: instance*, snapshot*, volume*; besides ec2:CreateTags",
    ),
    row(
        "ec2:CreateTags",
        &[Tagged],
        "SAR, EC2: any taggable type; EC2 User Guide, \"Grant permission to tag resources during creation\": \
         ec2:CreateAction",
    ),
    row(
        "ec2:CreateVolume",
        &[New(Volume), Ours(Snapshot)],
        "SAR, EC2: volume*, snapshot; besides ec2:CreateTags",
    ),
    row("ec2:DeleteSnapshot", &[Ours(Snapshot)], "SAR, EC2: snapshot*"),
    row("ec2:DeleteVolume", &[Ours(Volume)], "SAR, EC2: volume*"),
    row("ec2:DeregisterImage", &[Ours(Image)], "SAR, EC2: image*"),
    row("ec2:DescribeImages", &[Anything], "SAR, EC2: no resource type"),
    row("ec2:DescribeInstanceStatus", &[Anything], "SAR, EC2: no resource type"),
    row("ec2:DescribeInstances", &[Anything], "SAR, EC2: no resource type"),
    row("ec2:DescribeReplaceRootVolumeTasks", &[Anything], "SAR, EC2: no resource type"),
    row("ec2:DescribeSnapshots", &[Anything], "SAR, EC2: no resource type"),
    row("ec2:DescribeVolumes", &[Anything], "SAR, EC2: no resource type"),
    row("ec2:DetachVolume", &[Machines, Existing(Volume)], "SAR, EC2: volume*, instance"),
    row("ec2:ModifyInstanceAttribute", &[Machines, Existing(Volume)], "SAR, EC2: instance*, volume"),
    row("ec2:RebootInstances", &[Machines], "SAR, EC2: instance*"),
    row("ec2:StartInstances", &[Machines], "SAR, EC2: instance*"),
    row("ec2:StopInstances", &[Machines], "SAR, EC2: instance*"),
    row("ec2:TerminateInstances", &[Machines], "SAR, EC2: instance*"),
    row("iam:PassRole", &[PassedRoles], "SAR, IAM: role*, iam:PassedToService"),
    row("resource-groups:ListGroupResources", &[Groups], "SAR, Resource Groups: group*"),
    row("ssm:CancelCommand", &[Anything], "SAR, Systems Manager: no resource type"),
    row("ssm:DescribeInstanceInformation", &[Anything], "SAR, Systems Manager: no resource type"),
    row("ssm:DescribeInstancePatchStates", &[Machines], "SAR, Systems Manager: instance*"),
    row("ssm:GetCommandInvocation", &[Anything], "SAR, Systems Manager: no resource type"),
    row("ssm:ListCommandInvocations", &[Anything], "SAR, Systems Manager: no resource type"),
    row("ssm:ListCommands", &[Anything], "SAR, Systems Manager: no resource type"),
    row(
        "ssm:SendCommand",
        &[Documents, Machines],
        "SAR, Systems Manager: document*, instance; Systems Manager User Guide, \"Restricting Run Command access based \
         on tags\": a condition on tags stands with the machines only",
    ),
    row("tag:GetResources", &[Anything], "SAR, Resource Groups Tagging: no resource type"),
];

/// What `artifacts gc` and `orphans` call.
pub const COLLECTING: &[&str] = &[
    "backup:DeleteRecoveryPoint",
    "backup:DescribeRecoveryPoint",
    "backup:ListBackupVaults",
    "backup:ListRecoveryPointsByBackupVault",
    "backup:ListTags",
    "ec2:DeleteSnapshot",
    "ec2:DeleteVolume",
    "ec2:DeregisterImage",
    "ec2:DescribeImages",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
];

/// The row of a right.
pub fn row_of(right: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.right == right)
}

#[cfg(test)]
mod tests {
    use runbook_engine::catalog::Catalog;
    use runbook_steps::catalog::Actions;

    use super::{COLLECTING, ROWS, row_of};

    #[test]
    fn every_right_of_every_action_has_a_row() {
        let actions = Actions::standard();
        let docs =
            actions.names().into_iter().filter_map(|name| actions.action(name).cloned()).collect::<Vec<_>>();
        let all = docs.iter().flat_map(|doc| doc.rights.iter()).chain(COLLECTING);
        let missing: Vec<_> = all.filter(|right| row_of(right).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn rows_are_sorted_and_say_their_source() {
        assert!(ROWS.is_sorted_by(|a, b| a.right < b.right));
        assert!(ROWS.iter().all(|row| row.source.starts_with("SAR, ") && !row.on.is_empty()));
    }
}
