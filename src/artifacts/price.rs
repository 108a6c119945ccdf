//! What artifacts cost, roughly.
//!
//! List prices of us-east-1 in USD per GiB-month, as AWS publishes them
//! (<https://aws.amazon.com/ebs/pricing/>, <https://aws.amazon.com/backup/pricing/>; noted on 2026-11-22). Other Regions
//! cost up to twice as much. Snapshots and recovery points are billed by the blocks that they hold, and later ones of the
//! same volume hold only what has changed: what is estimated here from the size of the volume is the most that one can
//! cost.

use runbook_engine::artifact::ArtifactKind;

/// What a GiB costs in a month, in USD.
pub fn usd_per_gib_month(kind: ArtifactKind) -> f64 {
    match kind {
        // EBS Snapshots, standard tier; an image costs what its snapshots cost.
        ArtifactKind::Snapshot | ArtifactKind::Image => 0.05,
        // gp3 storage, without provisioned IOPS and throughput.
        ArtifactKind::Volume => 0.08,
        // AWS Backup, EBS volume snapshot, warm storage.
        ArtifactKind::RecoveryPoint => 0.05,
        // They lie on disks of one's own.
        ArtifactKind::HostSnapshot | ArtifactKind::PackageFiles => 0.0,
    }
}

/// What so many GiB cost in a month at most, in USD; none where the size is not known.
pub fn monthly_usd(kind: ArtifactKind, size_gib: Option<u64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52 GiB")]
    size_gib.map(|gib| gib as f64 * usd_per_gib_month(kind))
}
