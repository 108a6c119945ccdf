//! One account and Region of the world: what stands behind a door that speaks AWS.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{ids::TargetId, target::Home};

use super::{World, fault_rule::Label, place::Place};
use crate::ports::ssm::Invocation;

/// A cheap handle on one account and Region of a world. It implements the ports `Ssm`, `Ec2` and `Backup`; beside them
/// it has what only a server of AWS's protocols needs. Every method is one call: faults strike it once.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) world: Arc<World>,
    pub(super) label: Option<Label>,
    pub(super) place: Place,
}

impl Account {
    pub(super) fn new(world: &Arc<World>, label: Option<Label>, place: Place) -> Self {
        Self { world: Arc::clone(world), label, place }
    }

    pub(super) fn of_home(world: &Arc<World>, label: Option<Label>, home: &Home) -> Self {
        let place = match home {
            Home::Aws { account, region, .. } => Place { account: account.clone(), region: region.clone() },
            Home::Host { .. } => Place::default(),
        };
        Self::new(world, label, place)
    }

    pub(super) fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }
}

/// `SendCommand`, with everything that the wire can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRequest {
    /// Document name.
    pub document: String,
    /// At most 50 instances, …
    pub instances: Vec<TargetId>,
    /// … or what chooses them: `tag:NAME`, `InstanceIds` or `resource-groups:Name`, with its values. Keys are anded,
    /// values ored.
    pub targets: Vec<(String, Vec<String>)>,
    /// Parameters: lists of texts.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// At most 100 characters.
    pub comment: String,
    /// Delivery time-out: 30 s to 30 days; AWS's default is an hour.
    pub delivery_timeout: Duration,
    /// `1` and up, or `1%` to `100%`; AWS's default is `50`.
    pub max_concurrency: String,
    /// `0` and up, or `0%` to `100%`; AWS's default is `0`.
    pub max_errors: String,
}

/// A command, with everything that Systems Manager tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCommand {
    /// Its id.
    pub id: String,
    /// As it was asked for.
    pub request: SendRequest,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When the service gives it up.
    pub expires_at: Timestamp,
    /// `Pending`, `InProgress`, `Success`, `Cancelled`, `Failed`, `TimedOut`, `Cancelling`.
    pub status: String,
    /// `StatusDetails`.
    pub details: String,
    /// How many machines it was sent to.
    pub target_count: u32,
    /// How many of them are done, in whatever way.
    pub completed_count: u32,
    /// How many of them failed or ran into the execution time-out.
    pub error_count: u32,
    /// How many of them ended as `DeliveryTimedOut`.
    pub delivery_timed_out_count: u32,
    /// Every machine's part that is visible, with its output.
    pub parts: Vec<SentPart>,
}

/// A machine's part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// What became of it, output included.
    pub invocation: Invocation,
    /// `Status`: `Pending`, `InProgress`, `Delayed`, `Success`, `Cancelled`, `TimedOut`, `Failed`, `Cancelling`.
    pub status: String,
    /// When the agent began, once it did.
    pub started_at: Option<Timestamp>,
}

/// A registered node (`DescribeInstanceInformation`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The machine.
    pub instance: TargetId,
    /// `Online` or `ConnectionLost`.
    pub ping_status: String,
    /// The last ping.
    pub last_ping: Timestamp,
    /// `Linux` or `Windows`.
    pub platform_type: String,
    /// Its private address.
    pub ip_address: String,
    /// Its host name.
    pub computer_name: String,
    /// The tags of the instance.
    pub tags: BTreeMap<String, String>,
}

/// A CloudWatch alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// A composite alarm, else one of a metric.
    pub composite: bool,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub updated_at: Timestamp,
}
