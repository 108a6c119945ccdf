//! EC2, in its own terms: what is read to decide, and every call that changes something.
//!
//! One method is one kind of call. Reading methods page to the end, cut long lists into calls, and answer once for each
//! id; a set in which one id is unknown is asked for again by filter, so that the others are not hidden. Writing
//! methods make exactly one call each and are never repeated by the adapter.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::fault::Fault;

/// An instance (`DescribeInstances`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// `pending`, `running`, `stopping`, `stopped`, `shutting-down`, `terminated`.
    pub state: String,
    /// The image that it was made from.
    pub image: String,
    /// Its type: `m7g.large`.
    pub kind: String,
    /// The Availability Zone.
    pub zone: String,
    /// The device name of its root volume: `/dev/xvda`.
    pub root_device: String,
    /// `ebs` or `instance-store`.
    pub root_device_type: String,
    /// Its EBS volumes.
    pub volumes: Vec<Attachment>,
    /// `spot`, `scheduled`, `capacity-block`; absent: on demand.
    pub lifecycle: Option<String>,
    /// Its Auto Scaling group (the tag `aws:autoscaling:groupName`).
    pub auto_scaling_group: Option<String>,
    /// Whether hibernation is configured.
    pub hibernates: bool,
    /// Its private address.
    pub private_ip: Option<String>,
    /// Its public address.
    pub public_ip: Option<String>,
    /// Whether the public address is an Elastic IP, which survives a stop.
    pub public_ip_is_elastic: bool,
    /// `windows`, or empty.
    pub platform: String,
    /// When it was started last.
    pub launched_at: Option<Timestamp>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

/// A volume, as an instance holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The volume.
    pub volume: String,
    /// The instance.
    pub instance: String,
    /// Its device name there.
    pub device: String,
    /// `attaching`, `attached`, `detaching`, `detached`, `busy`.
    pub state: String,
    /// Whether it is deleted together with the instance.
    pub delete_on_termination: bool,
}

/// A volume (`DescribeVolumes`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// `creating`, `available`, `in-use`, `deleting`, `deleted`, `error`.
    pub state: String,
    /// Its size, in GiB.
    pub size_gib: u32,
    /// `gp3`, `io2`, …
    pub kind: String,
    /// Provisioned IOPS, where the type has them.
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s, where the type has it.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key that it is encrypted with.
    pub kms_key: Option<String>,
    /// The Availability Zone.
    pub zone: String,
    /// The snapshot that it was made from.
    pub snapshot: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Where it is attached.
    pub attachments: Vec<Attachment>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

/// A snapshot (`DescribeSnapshots`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// The volume that it was taken of.
    pub volume: String,
    /// `pending`, `completed`, `error`, `recoverable`, `recovering`.
    pub state: String,
    /// Why it is in error.
    pub message: Option<String>,
    /// `NN%`.
    pub progress: String,
    /// The size of the volume, in GiB.
    pub size_gib: u32,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// When it was taken.
    pub started_at: Option<Timestamp>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

/// An image (`DescribeImages`, our own).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// `pending`, `available`, `failed`, …
    pub state: String,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

/// What the status checks of an instance say (`DescribeInstanceStatus`, stopped ones included).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceStatus {
    /// The instance.
    pub instance: String,
    /// Its state.
    pub state: String,
    /// `ok`, `impaired`, `initializing`, `insufficient-data`, `not-applicable`: the host below it.
    pub system: String,
    /// The same words: the instance itself.
    pub reachability: String,
}

/// A replacement of a root volume (`DescribeReplaceRootVolumeTasks`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplaceTask {
    /// Its id.
    pub id: String,
    /// The instance.
    pub instance: String,
    /// `pending`, `in-progress`, `failing`, `succeeded`, `failed`, `failed-detached`, or a newer word.
    pub state: String,
    /// The snapshot that it restores from.
    pub snapshot: Option<String>,
    /// When it was asked for.
    pub started_at: Option<Timestamp>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

/// Which resources are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These; unknown ones are left out.
    Ids(Vec<String>),
    /// Those with this tag, of any of these values; none: of any value at all.
    Tagged {
        /// The key.
        key: String,
        /// The values.
        values: Vec<String>,
    },
}

/// `CreateSnapshots`: all volumes of one instance at one instant. There is no client token: the tags find them again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateSnapshots {
    /// The instance.
    pub instance: String,
    /// Data volumes that are left out.
    pub without: Vec<String>,
    /// What the console shows.
    pub description: String,
    /// Put on every snapshot, in the same call.
    pub tags: BTreeMap<String, String>,
}

/// `CreateVolume` from a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateVolume {
    /// The snapshot.
    pub snapshot: String,
    /// The Availability Zone.
    pub zone: String,
    /// In GiB; at least the snapshot's, and just that where it is 0.
    pub size_gib: u32,
    /// The type: always stated, because AWS's default is `gp2`.
    pub kind: String,
    /// Provisioned IOPS, where the type has them.
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s, where the type has it.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key that it is encrypted with.
    pub kms_key: Option<String>,
    /// Put on it in the same call.
    pub tags: BTreeMap<String, String>,
    /// The client token: the same request with the same token is the same volume.
    pub token: String,
}

/// `CreateReplaceRootVolumeTask`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplaceRootVolume {
    /// The instance, which must run.
    pub instance: String,
    /// A snapshot taken directly of a root volume of this instance.
    pub snapshot: String,
    /// Put on the task in the same call.
    pub tags: BTreeMap<String, String>,
    /// The client token: the same request with the same token is the same task.
    pub token: String,
}

/// A right that is proved by `DryRun`, which changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `ec2:CreateSnapshots`, and `ec2:CreateTags` on what it makes.
    CreateSnapshots(CreateSnapshots),
    /// `ec2:CreateVolume`, and `ec2:CreateTags` on what it makes.
    CreateVolume(CreateVolume),
    /// `ec2:AttachVolume`.
    AttachVolume(Attachment),
    /// `ec2:DetachVolume`.
    DetachVolume(Attachment),
    /// `ec2:ModifyInstanceAttribute` (DeleteOnTermination).
    ModifyInstanceAttribute(Attachment),
    /// `ec2:CreateReplaceRootVolumeTask`, and `ec2:CreateTags` on what it makes.
    ReplaceRootVolume(ReplaceRootVolume),
    /// `ec2:StopInstances`, for at most 50.
    StopInstances(Vec<TargetId>),
    /// `ec2:StartInstances`, for at most 50.
    StartInstances(Vec<TargetId>),
    /// `ec2:RebootInstances`, for at most 50.
    RebootInstances(Vec<TargetId>),
    /// `ec2:CreateTags` on existing resources.
    CreateTags(Vec<String>),
    /// `ec2:DeleteSnapshot`.
    DeleteSnapshot(String),
    /// `ec2:DeleteVolume`.
    DeleteVolume(String),
}

impl Proof {
    /// The call, as rights are named.
    pub fn call(&self) -> &'static str {
        match self {
            Self::CreateSnapshots(_) => "ec2:CreateSnapshots",
            Self::CreateVolume(_) => "ec2:CreateVolume",
            Self::AttachVolume(_) => "ec2:AttachVolume",
            Self::DetachVolume(_) => "ec2:DetachVolume",
            Self::ModifyInstanceAttribute(_) => "ec2:ModifyInstanceAttribute",
            Self::ReplaceRootVolume(_) => "ec2:CreateReplaceRootVolumeTask",
            Self::StopInstances(_) => "ec2:StopInstances",
            Self::StartInstances(_) => "ec2:StartInstances",
            Self::RebootInstances(_) => "ec2:RebootInstances",
            Self::CreateTags(_) => "ec2:CreateTags",
            Self::DeleteSnapshot(_) => "ec2:DeleteSnapshot",
            Self::DeleteVolume(_) => "ec2:DeleteVolume",
        }
    }

    /// The machines that the call names.
    pub fn machines(&self) -> Vec<TargetId> {
        match self {
            Self::CreateSnapshots(request) => vec![TargetId::from(request.instance.as_str())],
            Self::AttachVolume(one) | Self::DetachVolume(one) | Self::ModifyInstanceAttribute(one) => {
                vec![TargetId::from(one.instance.as_str())]
            }
            Self::ReplaceRootVolume(request) => vec![TargetId::from(request.instance.as_str())],
            Self::StopInstances(ids) | Self::StartInstances(ids) | Self::RebootInstances(ids) => ids.clone(),
            Self::CreateVolume(_) | Self::CreateTags(_) | Self::DeleteSnapshot(_) | Self::DeleteVolume(_) => {
                Vec::new()
            }
        }
    }
}

/// EC2 of one account, Region and role.
///
/// # Errors
/// Every method: [`Fault`]. For one that writes, `Ambiguous` means that it may have been carried out.
#[async_trait]
pub trait Ec2: Send + Sync {
    /// Instances; at most 1,000 ids a call.
    async fn instances(&self, ids: &[TargetId]) -> Result<Vec<Instance>, Fault>;

    /// Status checks; at most 100 ids a call.
    async fn statuses(&self, ids: &[TargetId]) -> Result<Vec<InstanceStatus>, Fault>;

    /// Snapshots that this account owns.
    async fn snapshots(&self, which: &Which) -> Result<Vec<Snapshot>, Fault>;

    /// How many snapshots of each of these volumes are pending (five are the most for most types:
    /// facts: CreateSnapshots).
    async fn pending_snapshots(&self, volumes: &[String]) -> Result<BTreeMap<String, u32>, Fault>;

    /// Volumes.
    async fn volumes(&self, which: &Which) -> Result<Vec<Volume>, Fault>;

    /// Images that this account owns.
    async fn images(&self, which: &Which) -> Result<Vec<Image>, Fault>;

    /// Replacements of root volumes.
    async fn replace_tasks(&self, which: &Which) -> Result<Vec<ReplaceTask>, Fault>;

    /// Takes snapshots.
    async fn create_snapshots(&self, request: &CreateSnapshots) -> Result<Vec<Snapshot>, Fault>;

    /// Makes a volume from a snapshot.
    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Fault>;

    /// Attaches a volume (`volume`, `instance` and `device` count). DeleteOnTermination is false afterwards.
    async fn attach_volume(&self, request: &Attachment) -> Result<(), Fault>;

    /// Detaches a volume (`volume`, `instance` and `device` count).
    async fn detach_volume(&self, request: &Attachment) -> Result<(), Fault>;

    /// Sets DeleteOnTermination of an attached volume.
    async fn set_delete_on_termination(&self, request: &Attachment) -> Result<(), Fault>;

    /// Replaces a root volume.
    async fn replace_root_volume(&self, request: &ReplaceRootVolume) -> Result<ReplaceTask, Fault>;

    /// Stops instances, at most 50. One that is stopped already stays so.
    async fn stop_instances(&self, ids: &[TargetId]) -> Result<(), Fault>;

    /// Starts instances, at most 50. One that runs already stays so.
    async fn start_instances(&self, ids: &[TargetId]) -> Result<(), Fault>;

    /// Reboots instances, at most 50.
    async fn reboot_instances(&self, ids: &[TargetId]) -> Result<(), Fault>;

    /// Puts tags on resources, at most 1,000; those with the same keys are overwritten.
    async fn create_tags(&self, resources: &[String], tags: &BTreeMap<String, String>) -> Result<(), Fault>;

    /// Deletes a snapshot.
    async fn delete_snapshot(&self, id: &str) -> Result<(), Fault>;

    /// Deletes a volume, which must be detached.
    async fn delete_volume(&self, id: &str) -> Result<(), Fault>;

    /// Deregisters an image. Its snapshots stay.
    async fn deregister_image(&self, id: &str) -> Result<(), Fault>;

    /// Proves a right. `Ok`: the call would be carried out. `Denied`: it would not. Other faults prove nothing.
    async fn prove(&self, right: &Proof) -> Result<(), Fault>;
}
