//! `runbook inventory`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;
use runbook::{
    coordinator::{refused::Refused, secrets::Secrets},
    inventory::{Inventories, InventoryError, gather},
    view::{fleet_page, inventory_page::Roll, paint::Paint},
    world::{self, Choice, Environment},
};
use runbook_engine::{
    ids::{GroupName, TargetId},
    inventory::{PatternError, Register},
    target::{HostEntry, Target},
};

use super::{
    Done, Session,
    exit::Exit,
    planning::{self, Values},
    problem::Problem,
};

/// Show which hosts there are, their groups, environment, owner and address, without changing anything
///
/// Of an inventory (a file in runbook's notation, or whatever Ansible reads), or of the target groups that a runbook uses.
/// With `--gather` the hosts are asked how they are; one that gives no answer is shown with the cause, and the exit code is
/// 4. With `--as-fleet` their answers become a fleet file: the same names, groups, systems and pending packages, to
/// rehearse on.
#[derive(Debug, Args)]
pub struct Inventory {
    /// The runbook whose groups are shown
    #[arg(value_name = "RUNBOOK", required_unless_present = "inventory", conflicts_with = "inventory")]
    file: Option<PathBuf>,
    /// The inventory that is shown: a file of runbook's, or whatever `ansible-inventory -i` takes
    #[arg(short, long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Only these hosts: a pattern of groups and hosts, `web:!canary`
    #[arg(short, long, value_name = "PATTERN")]
    group: Option<String>,
    /// Ask the hosts: system, kernel, packages that wait, whether a reboot is needed, when they were patched last
    #[arg(long)]
    gather: bool,
    /// Have the hosts bring their package lists up to date before they are asked
    #[arg(long, requires = "gather")]
    refresh: bool,
    /// Print a simulated fleet of these hosts, as they are now, for `run --fleet`
    #[arg(long, requires_all = ["inventory", "gather"])]
    as_fleet: bool,
    #[command(flatten)]
    values: Values,
    /// A simulated fleet, in place of the real world
    #[arg(long, value_name = "FILE", conflicts_with = "inventory")]
    fleet: Option<PathBuf>,
}

impl Inventory {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let (environment, mut roll) = match (&self.inventory, &self.file) {
            (Some(file), _) => self.of_inventory(session, file)?,
            (None, Some(file)) => self.of_runbook(session, file)?,
            (None, None) => {
                return Err(Problem::new(Exit::Usage, "there is neither a runbook nor an inventory")
                    .next("runbook inventory --inventory FILE"));
            }
        };
        if self.gather {
            let machines: Vec<Target> = roll.machines.values().cloned().collect();
            let asked = gather::gather(environment.ports(), &machines, self.refresh);
            roll.gathered = Some(environment.block_on(asked));
        }
        if let (true, Some(file)) = (self.as_fleet, &self.inventory) {
            let name = file.file_stem().map_or_else(|| "hosts".into(), |name| name.to_string_lossy());
            let text = fleet_page::page(&roll, &name, Timestamp::now());
            if session.screen.json {
                session.screen.json_page(&fleet_page::to_json(&text));
            } else {
                session.screen.data(&text);
                session.screen.note(&roll.silence(Paint(false)));
            }
        } else if session.screen.json {
            session.screen.json_page(&roll.to_json());
        } else {
            session.screen.data(&roll.page(Paint(session.screen.color)));
        }
        Ok(if roll.silent() == 0 { Exit::Succeeded } else { Exit::Refused })
    }

    fn of_inventory(&self, session: &Session, file: &Path) -> Result<(Environment, Roll), Problem> {
        let setup = session.setup()?;
        let secrets = Secrets::from_vars(&setup.vars).map_err(Refused::from)?;
        let environment = world::planning(&Choice::Real, &setup, Path::new("."))?;
        let inventories = Inventories::new(Path::new("."), &setup, secrets);
        let name = file.to_string_lossy();
        let opened = environment.block_on(inventories.open(&name)).map_err(|error| unopened(file, error))?;
        let register = &opened.register;
        let chosen = match &self.group {
            None => register.hosts.iter().map(|(name, entry)| (name.as_str(), entry)).collect(),
            Some(_) => register.select(self.group.as_deref()).map_err(|error| unmatched(file, &error))?,
        };
        let mut roll =
            Roll { withheld: register.withheld.clone(), notes: opened.notes.clone(), ..Roll::default() };
        for (name, entry) in chosen {
            let groups: Vec<String> = register.groups_of(name).map(str::to_owned).collect();
            let id = TargetId::new(name);
            // The group of a target is a word of runbooks: here it is none of them.
            let target = entry.clone().into_target(name, "linux", &GroupName::from("all"));
            roll.groups.insert(id.clone(), groups);
            roll.machines.insert(id, target);
        }
        let unfit = register.unfit.iter().filter(|(host, _)| roll.machines.contains_key(host.as_str()));
        roll.notes.extend(unfit.map(|(host, why)| format!("`{host}` cannot be a target: {why}")));
        Ok((environment, roll))
    }

    fn of_runbook(&self, session: &Session, file: &Path) -> Result<(Environment, Roll), Problem> {
        let choice = self.fleet.clone().map_or(Choice::Real, Choice::Fleet);
        let (environment, resolved) = planning::machines(session, file, &self.values, &choice)?;
        let mut roll = Roll::default();
        let mut register = Register::default();
        for (group, targets) in resolved {
            let members = register.groups.entry(group.to_string()).or_default();
            for target in targets {
                let entry = HostEntry { address: target.name.clone(), ..HostEntry::default() };
                members.insert(target.id.to_string());
                register.hosts.insert(target.id.to_string(), entry);
                roll.groups.entry(target.id.clone()).or_default().push(group.to_string());
                roll.machines.insert(target.id.clone(), target);
            }
        }
        if self.group.is_some() {
            let chosen = register.select(self.group.as_deref()).map_err(|error| unmatched(file, &error))?;
            let chosen: BTreeMap<&str, _> = chosen.into_iter().collect();
            roll.machines.retain(|id, _| chosen.contains_key(id.as_str()));
            roll.groups.retain(|id, _| chosen.contains_key(id.as_str()));
        }
        Ok((environment, roll))
    }
}

fn unopened(file: &Path, error: InventoryError) -> Problem {
    let place = file.display().to_string();
    match error {
        InventoryError::Invalid { path: _, sources, diagnostics } => {
            Problem::invalid("the inventory cannot be used", diagnostics, sources)
                .at(place.as_str())
                .next(format!("runbook inventory --inventory {place}"))
        }
        InventoryError::Unreadable { path: _, why } => Problem::new(Exit::Invalid, why).at(place),
        InventoryError::Refused { path: _, why, hint } => {
            let problem = Problem::new(Exit::Refused, why).at(place);
            match hint {
                Some(hint) => problem.next(hint),
                None => problem,
            }
        }
    }
}

fn unmatched(file: &Path, error: &PatternError) -> Problem {
    let exit = match error {
        PatternError::Empty { .. } | PatternError::Foreign { .. } => Exit::Usage,
        PatternError::Unknown { .. } | PatternError::Unfit { .. } => Exit::Refused,
    };
    Problem::from_error(exit, error).at(file.display().to_string())
}
