//! How long things take in rehearsed worlds: as the fleet says, else as experience says, else as is usual.

use std::collections::BTreeMap;

use runbook_engine::{
    duration::Span,
    experience::Known,
    ids::ActionName,
    plan::{Plan, Work},
};
use runbook_steps::world::{Durations, FleetFile, Lasting, MachineGroup, MachineKind, SpanRange};

/// How long something takes on machines of one kind and platform: drawn from this range for each machine and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// What: the word of fleet files.
    pub what: &'static str,
    /// On what: `linux`, `windows`.
    pub platform: &'static str,
    /// Hosts of one's own, or EC2 instances.
    pub hosts: bool,
    /// At least.
    pub from: Span,
    /// At most.
    pub to: Span,
    /// How that is known.
    pub source: Source,
}

/// How a length is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The fleet file says so.
    Fleet,
    /// From the median to the 95th percentile of an action in earlier runs.
    Experience {
        /// The action.
        action: ActionName,
        /// How many machines' tasks it rests on.
        times: u64,
        /// In how many runs.
        runs: u32,
    },
    /// It is usual: nobody measured it.
    Usual,
}

/// What an action mostly consists of in the simulated world, and what else takes time in it.
struct Composition {
    main: Lasting,
    rest: &'static [Lasting],
}

/// What an action on machines of this kind consists of, best known first; nothing of what the world does not draw.
fn compositions(action: &str, kind: MachineKind) -> &'static [Composition] {
    use Lasting::{Backup, Boot, Command, Patch, Rebuild, Restore, Scan, Snapshot, Start};
    match (kind, action) {
        (MachineKind::Ec2, "aws/snapshot") => &[Composition { main: Snapshot, rest: &[] }],
        (MachineKind::Ec2, "aws/backup") => &[Composition { main: Backup, rest: &[] }],
        (MachineKind::Ec2, "aws/reboot") => &[Composition { main: Boot, rest: &[] }],
        (MachineKind::Ec2, "aws/command") => &[Composition { main: Command, rest: &[] }],
        (MachineKind::Ec2, "aws/patch") => &[Composition { main: Patch, rest: &[Boot, Scan] }],
        (MachineKind::Ec2, "aws/restore") => &[
            Composition { main: Restore, rest: &[Boot] },
            Composition { main: Rebuild, rest: &[Start, Boot] },
        ],
        (MachineKind::Host, "linux/backup") => &[Composition { main: Snapshot, rest: &[] }],
        (MachineKind::Host, "linux/reboot") => &[Composition { main: Boot, rest: &[] }],
        (MachineKind::Host, "linux/script") => &[Composition { main: Command, rest: &[] }],
        (MachineKind::Host, "linux/patch") => &[Composition { main: Patch, rest: &[Scan] }],
        (MachineKind::Host, "linux/restore") => &[Composition { main: Restore, rest: &[] }],
        _ => &[],
    }
}

/// Says in the fleet what the plan's experience tells and the fleet does not; everything that the plan's actions draw,
/// with how it is known.
pub fn settle(fleet: &mut FleetFile, plan: &Plan) -> Vec<Length> {
    let all = plan.tasks.iter().chain(&plan.rollback);
    let mut actions: Vec<&ActionName> =
        all.filter(|task| matches!(task.work, Work::Action(_))).map(|task| &task.action).collect();
    actions.sort_unstable();
    actions.dedup();
    let mut lengths: Vec<Length> = Vec::new();
    let of_all = fleet.durations;
    for group in &mut fleet.groups {
        for length in settled(group, &of_all, plan, &actions) {
            if !lengths.contains(&length) {
                lengths.push(length);
            }
        }
    }
    lengths.sort_by_key(|length| (length.hosts, length.platform, length.what));
    lengths
}

fn settled(
    group: &mut MachineGroup,
    of_all: &Durations,
    plan: &Plan,
    actions: &[&ActionName],
) -> Vec<Length> {
    let platform = group.platform.as_str();
    let mut told: BTreeMap<Lasting, Source> = BTreeMap::new();
    // What stands alone first: it says how much of the others is left.
    for alone in [true, false] {
        for action in actions {
            let known = plan.experience.of(action, Some(platform));
            let mine = compositions(action.as_str(), group.kind).iter();
            for part in mine.filter(|part| part.rest.is_empty() == alone) {
                for rest in part.rest {
                    told.entry(*rest).or_insert_with(|| unmeasured(group, of_all, *rest));
                }
                let said = told.entry(part.main).or_insert_with(|| unmeasured(group, of_all, part.main));
                let better = |known: &&Known| match said {
                    Source::Fleet => false,
                    Source::Usual => true,
                    Source::Experience { times, .. } => known.times > *times,
                };
                if let Some(known) = known.filter(better) {
                    let (action, times, runs) = (known.action.clone(), known.times, known.runs);
                    *said = Source::Experience { action, times, runs };
                    let rest: u64 =
                        part.rest.iter().map(|rest| middle(group.durations.of(of_all, *rest))).sum();
                    group.durations.state(part.main, less(known, rest));
                }
            }
        }
    }
    let length = |(what, source): (Lasting, Source)| {
        let SpanRange { from, to } = group.durations.of(of_all, what);
        let hosts = group.kind == MachineKind::Host;
        Length { what: what.as_str(), platform, hosts, from, to, source }
    };
    told.into_iter().map(length).collect()
}

fn unmeasured(group: &MachineGroup, of_all: &Durations, what: Lasting) -> Source {
    let stated = group.durations.stated(what).or_else(|| of_all.stated(what));
    if stated.is_some() { Source::Fleet } else { Source::Usual }
}

fn middle(range: SpanRange) -> u64 {
    (range.from.as_secs() + range.to.as_secs()) / 2
}

/// From the median to the 95th percentile of the whole, without the rest.
fn less(known: &Known, rest: u64) -> SpanRange {
    let from = known.median.as_secs().saturating_sub(rest).max(1);
    let to = known.p95.as_secs().saturating_sub(rest).max(from);
    SpanRange { from: Span::from_secs(from), to: Span::from_secs(to) }
}
