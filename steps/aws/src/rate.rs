//! How fast we may call: rates per account and Region, by API family.
//!
//! EC2's are its documented token buckets ([request throttling for the EC2 API][ec2]); what AWS does not publish is set
//! low enough to leave room for everybody else in the account. They are where we start and the most that we ever take:
//! a throttled answer lowers them, quiet time raises them again (see `bucket.rs`).
//!
//! [ec2]: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html

/// Calls that AWS counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// Systems Manager Run Command: `SendCommand`, `ListCommands`, `ListCommandInvocations`, `GetCommandInvocation`,
    /// `CancelCommand`.
    RunCommand,
    /// What else is read from Systems Manager.
    SsmReading,
    /// EC2 `Describe…`.
    Ec2Reading,
    /// EC2 calls that change something and have no bucket of their own.
    Ec2Writing,
    /// `StartInstances`.
    Ec2Starting,
    /// `CreateSnapshots`, `CreateVolume`, `DeleteSnapshot`, `DeregisterImage`.
    Ec2Snapshots,
    /// `CreateTags`.
    Ec2Tagging,
    /// The instances that `StartInstances` starts.
    InstancesStarted,
    /// The instances that `StopInstances` stops.
    InstancesStopped,
    /// AWS Backup.
    Backup,
    /// STS, resource groups.
    Other,
}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// So many a second.
    pub per_second: f64,
    /// So many at once after a quiet time.
    pub burst: f64,
}

impl Family {
    pub fn rate(self) -> Rate {
        let (per_second, burst) = match self {
            // Not published. Five a second for the sum of them is what other clients were seen to live with.
            Self::RunCommand => (5.0, 10.0),
            Self::SsmReading => (5.0, 10.0),
            // Published: 100 / 20. Calls without filters and pages have 50 / 10; we make none.
            Self::Ec2Reading => (20.0, 100.0),
            Self::Ec2Writing => (5.0, 50.0),
            Self::Ec2Starting => (2.0, 5.0),
            Self::Ec2Snapshots => (5.0, 100.0),
            Self::Ec2Tagging => (10.0, 100.0),
            // Published too: buckets of instances beside those of calls.
            Self::InstancesStarted => (2.0, 1000.0),
            Self::InstancesStopped => (20.0, 1000.0),
            // Not published.
            Self::Backup => (3.0, 10.0),
            Self::Other => (5.0, 10.0),
        };
        Rate { per_second, burst }
    }

    /// The bucket of machines that a call takes from besides its own.
    pub fn machines(self, call: &str) -> Option<Self> {
        match (self, call) {
            (Self::Ec2Starting, _) => Some(Self::InstancesStarted),
            (_, "ec2:StopInstances") => Some(Self::InstancesStopped),
            _ => None,
        }
    }
}
