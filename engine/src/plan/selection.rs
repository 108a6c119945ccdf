//! Which groups a runbook uses, and what the inventories are asked for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Combination, Selection, problems::Problems, render::Rendering};
use crate::{
    diagnostic::Diagnostic,
    document::model::{HostSpec, Runbook, Spanned, Step, StepTargets, TargetSpec, What},
    expression::Scope,
    ids::{GroupName, TargetId},
    inventory::without_secrets,
    target::{HostEntry, TargetQuery},
};

/// What to ask the inventories: the queries of all groups that a step uses, directly or through `all_of` and `minus`,
/// in the order of the document.
///
/// # Errors
/// Unknown groups, and expressions that cannot be rendered.
pub fn queries(
    runbook: &Runbook,
    params: &BTreeMap<String, Value>,
    env: &BTreeMap<String, String>,
) -> Result<Vec<(GroupName, TargetQuery)>, Vec<Diagnostic>> {
    let mut selection = selection(runbook, params, env)?;
    let in_order = runbook.targets.iter().filter_map(|group| {
        selection
            .queries
            .remove(group.name.value.as_str())
            .map(|query| (group.name.value.clone().into(), query))
    });
    Ok(in_order.collect())
}

/// The groups that steps name, each with one place where it is named.
pub(super) fn used(runbook: &Runbook) -> Vec<&Spanned<StepTargets>> {
    let mut walk = Walk::default();
    walk.steps(runbook, &runbook.steps);
    walk.steps(runbook, &runbook.finally);
    walk.found
}

#[derive(Default)]
struct Walk<'a> {
    found: Vec<&'a Spanned<StepTargets>>,
    names: BTreeSet<&'a str>,
    /// Blocks that were walked, by the file that they stand in.
    blocks: BTreeSet<(usize, &'a str)>,
}

impl<'a> Walk<'a> {
    fn steps(&mut self, runbook: &'a Runbook, steps: &'a [Step]) {
        for step in steps {
            if let Some(targets) = &step.targets
                && let StepTargets::Group(name) = &targets.value
                && self.names.insert(name)
            {
                self.found.push(targets);
            }
            match &step.what {
                What::Uses(_) => {}
                What::Block(name) => {
                    let block = runbook.blocks.iter().find(|block| block.name.value == name.value);
                    if let Some(block) = block
                        && self.blocks.insert((block.name.place.source, &block.name.value))
                    {
                        self.steps(runbook, &block.steps);
                    }
                }
                What::File { runbook: Some(file), .. } => self.steps(file, &file.steps),
                What::File { runbook: None, .. } => {}
            }
        }
    }
}

/// The queries and combinations of all used groups; no limit.
pub(super) fn selection(
    runbook: &Runbook,
    params: &BTreeMap<String, Value>,
    env: &BTreeMap<String, String>,
) -> Result<Selection, Vec<Diagnostic>> {
    let rendering = Rendering::new(env.clone());
    let mut asking = Asking {
        runbook,
        scope: rendering.scope(params),
        rendering: &rendering,
        selection: Selection::default(),
        problems: Problems::default(),
    };
    for group in used(runbook) {
        if let StepTargets::Group(name) = &group.value {
            asking.group(&Spanned::new(name.clone(), group.place));
        }
    }
    if asking.problems.is_empty() { Ok(asking.selection) } else { Err(asking.problems.into_sorted()) }
}

struct Asking<'a> {
    runbook: &'a Runbook,
    rendering: &'a Rendering,
    scope: Scope<'a>,
    selection: Selection,
    problems: Problems,
}

impl Asking<'_> {
    fn group(&mut self, name: &Spanned<String>) {
        let known: GroupName = name.value.as_str().into();
        if self.selection.queries.contains_key(&known) || self.selection.combined.contains_key(&known) {
            return;
        }
        let Some(group) = self.runbook.targets.iter().find(|group| group.name.value == name.value) else {
            let message = format!("there is no target group `{}`", name.value);
            self.problems.add(Diagnostic::error("unknown-group", message, name.place));
            return;
        };
        let base = match &group.spec {
            TargetSpec::Combined { base, all_of, minus } => {
                let names =
                    |list: &[Spanned<String>]| list.iter().map(|name| name.value.as_str().into()).collect();
                let combination = Combination { all_of: names(all_of), minus: names(minus) };
                // Known before its parts are looked at, so that a group made of itself ends.
                self.selection.combined.insert(known.clone(), combination);
                for part in all_of.iter().chain(minus) {
                    self.group(part);
                }
                base.as_deref()
            }
            spec => Some(spec),
        };
        if let Some(query) = base.and_then(|spec| self.query(spec)) {
            self.selection.queries.insert(known, query);
        }
    }

    fn query(&mut self, spec: &TargetSpec) -> Option<TargetQuery> {
        Some(match spec {
            TargetSpec::Aws { tags, ids, resource_group, region, role, external_id } => TargetQuery::Aws {
                tags: tags.iter().map(|(tag, values)| (tag.clone(), self.texts(values))).collect(),
                ids: self.texts(ids).into_iter().map(TargetId::from).collect(),
                resource_group: resource_group.as_ref().map(|text| self.text(text)),
                region: region.as_ref().map(|text| self.text(text)),
                role: role.as_ref().map(|text| self.text(text)),
                external_id: external_id.as_ref().map(|text| self.text(text)),
            },
            TargetSpec::Hosts(hosts) => TargetQuery::Hosts {
                hosts: hosts.iter().map(|host| (host.name.value.clone(), self.host(host))).collect(),
            },
            TargetSpec::HostInventory { file, group } => TargetQuery::HostInventory {
                file: self.text(file),
                group: group.as_ref().map(|text| self.text(text)),
            },
            // `base` is never a combination itself.
            TargetSpec::Combined { .. } => return None,
        })
    }

    fn host(&mut self, host: &HostSpec) -> HostEntry {
        let address = host.address.as_ref().unwrap_or(&host.name);
        let vars = host.vars.iter().map(|(name, value)| {
            let value = Spanned::new(value.clone(), host.name.place);
            (name.clone(), self.rendering.value(&value, &self.scope, &mut self.problems))
        });
        let (vars, secrets) = without_secrets(vars.collect());
        if !secrets.is_empty() {
            let names: Vec<_> = secrets.iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "the host `{}` has variables that may hold a secret: {}",
                host.name.value,
                names.join(", ")
            );
            self.problems.add(Diagnostic::error("secret-in-variable", message, host.name.place).hint(
                "a plan is read by many: let the step that needs it say `secret('NAME')`, or give it another name if it is none",
            ));
        }
        let entry = HostEntry {
            address: self.text(address),
            vars,
            connection: host.connection.rendered(|text| self.text(text)).settled(),
            environment: host.environment.as_ref().map(|text| self.text(text)),
            owner: host.owner.as_ref().map(|text| self.text(text)),
        };
        if let Some(defect) = entry.defect() {
            let message = format!("the host `{}` cannot be reached: {defect}", host.name.value);
            self.problems.add(Diagnostic::error("invalid-host", message, address.place));
        }
        entry
    }

    fn text(&mut self, text: &Spanned<String>) -> String {
        self.rendering.text(text, &self.scope, &mut self.problems)
    }

    /// An expression that comes to a list stands for each of its texts.
    fn texts(&mut self, texts: &[Spanned<String>]) -> Vec<String> {
        let mut list = Vec::new();
        for text in texts {
            let value = Spanned::new(Value::String(text.value.clone()), text.place);
            match self.rendering.value(&value, &self.scope, &mut self.problems) {
                Value::Array(items) => list.extend(items.iter().map(plain)),
                value => list.push(plain(&value)),
            }
        }
        list
    }
}

/// A value as text, without quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
