//! Cutting a rollout's machines into waves, and waves into parts.

use serde_json::Value;

use super::selection::plain;
use crate::{
    document::model::{Amount, Rollout},
    ids::TargetId,
    target::Target,
};

/// The waves of a rollout: together they hold each of its machines once. Never empty; only a rollout without machines
/// has a wave without machines, and then it is the only one.
///
/// `machines` are in wave order; `look` gives what is known of one.
pub(super) fn cut<'t>(
    machines: &[TargetId],
    rollout: Option<&Rollout>,
    look: impl Fn(&TargetId) -> Option<&'t Target>,
) -> Vec<Vec<TargetId>> {
    let Some(rollout) = rollout else { return vec![machines.to_vec()] };
    let ordered = canaries_first(machines, rollout, &look);
    let mut waves = Vec::new();
    let mut from = 0;
    for end in ends(machines.len(), rollout.waves.iter().map(|amount| amount.value)) {
        let wave = &ordered[from..end];
        from = end;
        match &rollout.spread {
            Some(tag) => waves.extend(by_value(wave, &tag.value, &look)),
            None => waves.push(wave.to_vec()),
        }
    }
    if waves.is_empty() {
        waves.push(Vec::new());
    }
    waves
}

/// Where each wave ends, as a number of machines counted from the first wave on. Entries are capped, those that add no
/// machine are dropped, and what is left after the last is one more wave.
fn ends(total: usize, entries: impl Iterator<Item = Amount>) -> Vec<usize> {
    let mut ends: Vec<usize> = Vec::new();
    for end in entries.map(|entry| entry.of_rounded_up(total)).chain([total]) {
        let end = end.min(total);
        if end > ends.last().copied().unwrap_or(0) {
            ends.push(end);
        }
    }
    ends
}

/// The machines that `first:` names (by name or id), in the order written, then the others.
fn canaries_first<'t>(
    machines: &[TargetId],
    rollout: &Rollout,
    look: impl Fn(&TargetId) -> Option<&'t Target>,
) -> Vec<TargetId> {
    let rank = |id: &TargetId| {
        let name = look(id).map_or(id.as_str(), |target| &target.name);
        let first = |canary: &str| canary == name || canary == id.as_str();
        rollout.first.iter().position(|canary| first(&canary.value)).unwrap_or(rollout.first.len())
    };
    let mut ordered = machines.to_vec();
    if !rollout.first.is_empty() {
        ordered.sort_by_cached_key(rank);
    }
    ordered
}

/// A wave cut by the value of a tag (or variable), values sorted; machines without it come last.
fn by_value<'t>(
    wave: &[TargetId],
    tag: &str,
    look: impl Fn(&TargetId) -> Option<&'t Target>,
) -> Vec<Vec<TargetId>> {
    let mut pieces: std::collections::BTreeMap<(bool, String), Vec<TargetId>> = Default::default();
    for id in wave {
        let value = look(id).and_then(|target| {
            let said = match tag {
                "environment" => &target.environment,
                "owner" => &target.owner,
                _ => &None,
            };
            let var = || target.vars.get(tag).map(|value: &Value| plain(value));
            target.tags.get(tag).cloned().or_else(var).or_else(|| said.clone())
        });
        pieces.entry((value.is_none(), value.unwrap_or_default())).or_default().push(id.clone());
    }
    pieces.into_values().collect()
}

/// The parts of a wave: consecutive, of at most the size that `max_in_flight` comes to (a share counts of the whole
/// rollout's `total` machines, rounded down, but not to nothing).
pub(super) fn parts(wave: &[TargetId], max_in_flight: Option<Amount>, total: usize) -> Vec<&[TargetId]> {
    let size = max_in_flight.map_or(wave.len(), |amount| amount.of_rounded_down(total)).max(1);
    if wave.is_empty() { vec![wave] } else { wave.chunks(size).collect() }
}
