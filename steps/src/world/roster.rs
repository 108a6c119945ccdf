//! The machines of a fleet file, with their names, ids and addresses, and the rules that concern each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::Ipv4Addr,
    time::Duration,
};

use runbook_engine::{duration::Span, ids::TargetId};
use thiserror::Error;
use uuid::Uuid;

use super::{
    chance,
    durations::Lasting,
    fault_rule::{FaultRule, Label, RuleKind},
    fleet::{FleetFile, MachineGroup, MachineKind},
    linux,
    place::{FIRST_ACCOUNT, Place},
};

/// More machines than this are a slip of the pen.
const MOST_MACHINES: u64 = 200_000;

/// Why a fleet file, or the state beside it, cannot be used.
#[derive(Debug, Error)]
pub enum FleetError {
    /// It is not YAML, or has other keys.
    #[error("the fleet file cannot be read: {0}")]
    Syntax(String),
    /// It contradicts itself.
    #[error("the fleet file makes no sense: {0}")]
    Sense(String),
    /// The world's state cannot be read or written.
    #[error("the world's state {path} cannot be used")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The world's state is damaged, or of another version.
    #[error("the world's state {path} is damaged at line {line}: {cause}")]
    Damaged {
        /// The file.
        path: String,
        /// From 1.
        line: u64,
        /// Why.
        cause: String,
    },
}

/// A fleet file with all its machines.
#[derive(Debug)]
pub(super) struct Roster {
    pub file: FleetFile,
    pub machines: Vec<Card>,
    /// Where each group is.
    places: Vec<Place>,
    /// By id, name and address.
    index: HashMap<String, usize>,
    /// The rules that concern each machine.
    rules: Vec<Vec<u32>>,
    /// The rules about calls.
    call_rules: Vec<u32>,
}

/// What does not change about a machine.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub id: TargetId,
    pub name: String,
    /// Number of its group in the file.
    pub group: usize,
    pub private_ip: String,
    pub tags: BTreeMap<String, String>,
    /// What it was made from, where that is not what every machine of a fleet is made from.
    pub image: Option<String>,
}

impl Roster {
    pub fn of(file: FleetFile, seed: u64) -> Result<Self, FleetError> {
        check(&file).map_err(FleetError::Sense)?;
        let mut machines = Vec::new();
        let mut index = HashMap::new();
        for (number, group) in file.groups.iter().enumerate() {
            for name in names(group) {
                let card = card(number, group, name, machines.len());
                let place = machines.len();
                for key in [card.name.clone(), card.id.to_string()] {
                    if index.insert(key, place).is_some_and(|other| other != place) {
                        return Err(FleetError::Sense(format!("two machines are called `{}`", card.name)));
                    }
                }
                machines.push(card);
            }
        }
        // Hosts that are reached through one address, by their ports, share it: it means the first of them.
        for (place, card) in machines.iter().enumerate() {
            index.entry(card.private_ip.clone()).or_insert(place);
        }
        let places = file.groups.iter().map(place_of).collect();
        let rules = vec![Vec::new(); machines.len()];
        let mut roster = Self { rules, file, machines, places, index, call_rules: Vec::new() };
        roster.place_rules(seed).map_err(FleetError::Sense)?;
        Ok(roster)
    }

    /// The machine with this id, name or address.
    pub fn find(&self, host: &str) -> Option<usize> {
        self.index.get(host).copied()
    }

    /// The machine with this id.
    pub fn by_id(&self, id: &TargetId) -> Option<usize> {
        self.find(id.as_str()).filter(|place| self.machines[*place].id == *id)
    }

    pub fn group(&self, machine: usize) -> &MachineGroup {
        &self.file.groups[self.machines[machine].group]
    }

    /// Where a machine is.
    pub fn place(&self, machine: usize) -> &Place {
        &self.places[self.machines[machine].group]
    }

    /// The account of who brings no role.
    pub fn first_account(&self) -> &str {
        self.places.iter().find_map(|place| place.account.as_deref()).unwrap_or(FIRST_ACCOUNT)
    }

    /// A new machine, like another one: the same things go wrong with it that do not by themselves.
    pub fn add(&mut self, like: usize, id: TargetId, image: String, tags: BTreeMap<String, String>) -> usize {
        let machine = self.machines.len();
        let card = Card {
            name: id.to_string(),
            group: self.machines[like].group,
            private_ip: address(machine),
            tags,
            image: Some(image),
            id,
        };
        for key in [card.id.to_string(), card.private_ip.clone()] {
            self.index.insert(key, machine);
        }
        let rules = self.rules[like].iter().copied();
        let rules = rules.filter(|number| !self.file.faults[*number as usize].kind.is_standing());
        self.rules.push(rules.collect());
        self.machines.push(card);
        machine
    }

    /// The rules that concern a machine.
    pub fn rules_of(&self, machine: usize) -> impl Iterator<Item = &FaultRule> {
        self.rules[machine].iter().map(|number| &self.file.faults[*number as usize])
    }

    /// The rules of one kind that concern a machine in this step and attempt, by number.
    pub fn rules_for<'a>(
        &'a self,
        machine: usize,
        kind: RuleKind,
        label: Option<&Label>,
    ) -> impl Iterator<Item = (u32, &'a FaultRule)> {
        self.rules[machine]
            .iter()
            .map(|number| (*number, &self.file.faults[*number as usize]))
            .filter(move |(_, rule)| rule.kind == kind && rule.fits(label))
    }

    /// The rules about calls that concern a call on one of these machines (none: on nothing in particular).
    pub fn call_rules<'a>(
        &'a self,
        machines: &[usize],
        label: Option<&Label>,
    ) -> impl Iterator<Item = (u32, &'a FaultRule)> {
        self.call_rules.iter().map(|number| (*number, &self.file.faults[*number as usize])).filter(
            move |(number, rule)| {
                rule.fits(label)
                    && (rule.targets.is_empty() && rule.count.is_none()
                        || machines.iter().any(|machine| self.rules[*machine].contains(number)))
            },
        )
    }

    /// How long something takes on a machine, the `nth` time that anything is done to it.
    pub fn lasting(&self, seed: u64, machine: usize, what: Lasting, nth: u32) -> Duration {
        let range = self.group(machine).durations.of(&self.file.durations, what);
        range.pick(chance::draw(seed, &[self.machines[machine].id.as_str(), what.as_str(), &nth.to_string()]))
    }

    fn place_rules(&mut self, seed: u64) -> Result<(), String> {
        for number in 0..self.file.faults.len() {
            let rule = self.file.faults[number].clone();
            let mut concerned = Vec::new();
            for target in &rule.targets {
                concerned.extend(self.named(target).map_err(|why| format!("a fault names {why}"))?);
            }
            if rule.targets.is_empty() {
                concerned = (0..self.machines.len()).collect();
            }
            concerned.sort_unstable();
            concerned.dedup();
            if let Some(count) = rule.count {
                let draw = |place: &usize| {
                    chance::draw(seed, &["rule", &number.to_string(), self.machines[*place].id.as_str()])
                };
                concerned.sort_by_key(draw);
                concerned.truncate(count as usize);
            }
            let number = number as u32;
            if rule.kind.is_about_calls() {
                self.call_rules.push(number);
                if rule.targets.is_empty() && rule.count.is_none() {
                    continue;
                }
            }
            for machine in concerned {
                self.rules[machine].push(number);
            }
        }
        Ok(())
    }

    /// The machines that this names: a name, an id, an address, a group, or `group/3`. The error goes on a sentence.
    pub fn named(&self, target: &str) -> Result<Vec<usize>, String> {
        if let Some(place) = self.find(target) {
            return Ok(vec![place]);
        }
        let (group, nth) = match target.rsplit_once('/') {
            Some((group, nth)) => (group, Some(nth)),
            None => (target, None),
        };
        let of_it = |known: &MachineGroup| known.name == group || known.groups().any(|name| name == group);
        let numbers: Vec<_> = self.file.groups.iter().map(of_it).collect();
        let members: Vec<_> =
            (0..self.machines.len()).filter(|place| numbers[self.machines[*place].group]).collect();
        if members.is_empty() {
            let names = self
                .file
                .groups
                .iter()
                .flat_map(|group| [group.name.as_str()].into_iter().chain(group.groups()));
            let names: Vec<_> = names.collect::<BTreeSet<_>>().into_iter().collect();
            return Err(format!(
                "`{target}`, which is no machine and no group (groups: {})",
                names.join(", ")
            ));
        }
        match nth {
            None => Ok(members),
            Some(nth) => nth
                .parse::<usize>()
                .ok()
                .and_then(|nth| members.get(nth.checked_sub(1)?).copied())
                .map(|place| vec![place])
                .ok_or_else(|| format!("`{target}`, but `{group}` has no such machine (they count from 1)")),
        }
    }
}

/// What the machines of a group are called.
fn names(group: &MachineGroup) -> Vec<String> {
    if !group.hosts.is_empty() {
        return group.hosts.keys().cloned().collect();
    }
    let width = group.count.to_string().len();
    let pattern = match &group.names {
        Some(names) => names.clone(),
        None if group.count == 1 => group.name.clone(),
        None => format!("{}-{{n}}", group.name),
    };
    (1..=group.count).map(|n| pattern.replace("{n}", &format!("{n:0width$}"))).collect()
}

fn card(number: usize, group: &MachineGroup, name: String, place: usize) -> Card {
    let id = match group.kind {
        MachineKind::Host => TargetId::new(&name),
        MachineKind::Ec2 => {
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes()).simple().to_string();
            TargetId::new(format!("i-0{}", &hash[..16]))
        }
    };
    let mut tags = group.tags.clone();
    if group.kind == MachineKind::Ec2 {
        tags.entry("Name".into()).or_insert_with(|| name.clone());
        if let Some(scaling) = &group.auto_scaling_group {
            tags.entry("aws:autoscaling:groupName".into()).or_insert_with(|| scaling.clone());
        }
    }
    let stated = group.host(&name).and_then(|host| host.address.clone());
    let private_ip = stated.unwrap_or_else(|| address(place));
    Card { id, name, group: number, private_ip, tags, image: None }
}

/// The address of a machine by its number: 10.64.0.1 and up, far from what anybody's own network is likely to hold at
/// 10.0.
fn address(machine: usize) -> String {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 64, 0, 1)) + machine as u32).to_string()
}

fn place_of(group: &MachineGroup) -> Place {
    Place { account: group.account.clone(), region: group.region.clone() }
}

fn check(file: &FleetFile) -> Result<(), String> {
    if file.groups.is_empty() {
        return Err("it has no groups".into());
    }
    let machines: u64 = file.groups.iter().map(|group| u64::from(group.size())).sum();
    if machines > MOST_MACHINES {
        return Err(format!("it has {machines} machines; {MOST_MACHINES} are the most"));
    }
    if file.speed == Some(0) {
        return Err("`speed` is how many seconds of the world one real second is: at least 1".into());
    }
    if file.lag >= file.settle {
        let (lag, settle) = (file.lag, file.settle);
        return Err(format!(
            "`lag` ({lag}) must be shorter than `settle` ({settle}), or searches miss what is there"
        ));
    }
    for (number, group) in file.groups.iter().enumerate() {
        let name = &group.name;
        if group.count == 0 {
            return Err(format!("group `{name}` has no machine (`count` is 0)"));
        }
        if !(1..=20).contains(&group.volumes) {
            return Err(format!("group `{name}` has {} volumes; 1 to 20 are possible", group.volumes));
        }
        if let Some(os) = group.os.as_deref().filter(|os| linux::manager(os).is_none()) {
            return Err(format!("`os` of group `{name}` is `{os}`, which no package manager is known for"));
        }
        let digits = |account: &String| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if group.account.as_ref().is_some_and(|account| !digits(account)) {
            return Err(format!("`account` of group `{name}` is not twelve digits (in quotes)"));
        }
        if !group.hosts.is_empty()
            && (group.kind != MachineKind::Host || group.count > 1 || group.names.is_some())
        {
            return Err(format!(
                "`hosts` of group `{name}` go with `kind: host`, and stand in place of `count` and `names`"
            ));
        }
        if group.count > 1 && group.names.as_ref().is_some_and(|names| !names.contains("{n}")) {
            return Err(format!(
                "`names` of group `{name}` needs `{{n}}`, or its machines are all called the same"
            ));
        }
        if file.groups[..number].iter().any(|other| other.name == *name) {
            return Err(format!("two groups are called `{name}`"));
        }
    }
    for rule in &file.faults {
        if let Some(field) = rule.misplaced_field() {
            return Err(format!("`{field}` does not go with the fault `{}`", word(rule.kind)));
        }
        if rule.times == Some(0) || rule.attempt == Some(0) || rule.count == Some(0) {
            return Err(format!(
                "a fault `{}` that never strikes (0 in `times`, `attempt` or `count`)",
                word(rule.kind)
            ));
        }
        if rule.kind == RuleKind::LateResult && rule.after == Some(Span::ZERO) {
            return Err("a fault `late_result` with `after: 0s` is none".into());
        }
    }
    Ok(())
}

/// The word of a kind, as the file has it.
fn word(kind: RuleKind) -> String {
    let mut word = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}
