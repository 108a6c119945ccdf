//! `targets:` of the document.

use petgraph::graph::DiGraph;

use super::{Check, expression::Around, order::cycles_of, usage::Used};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::model::{HostSpec, Spanned, TargetSpec},
    expression::Expressions,
    inventory::Pattern,
};

impl<'r> Check<'r> {
    pub(super) fn groups(&mut self, used: &mut Used<'r>) {
        let entry = self.entry;
        let mut graph = DiGraph::<usize, Place>::new();
        let nodes: Vec<_> = (0..entry.targets.len()).map(|index| graph.add_node(index)).collect();
        for (index, group) in entry.targets.iter().enumerate() {
            let spec = match &group.spec {
                TargetSpec::Combined { base, all_of, minus } => {
                    for part in all_of.iter().chain(minus) {
                        if self.known_group(&part.value, part.place) {
                            self.used_groups.insert(&part.value);
                        }
                        let position = entry.targets.iter().position(|group| group.name.value == part.value);
                        if let Some(position) = position {
                            graph.add_edge(nodes[index], nodes[position], part.place);
                        }
                    }
                    base.as_deref()
                }
                spec => Some(spec),
            };
            if let Some(TargetSpec::HostInventory { group: Some(pattern), .. }) = spec
                && !Expressions::is_used_in(&pattern.value)
                && let Err(error) = Pattern::parse(&pattern.value)
            {
                self.report(Diagnostic::error("invalid-pattern", error.to_string(), pattern.place));
            }
            for text in spec.into_iter().flat_map(texts) {
                self.text(text, &Around::plan_time(entry, "a target group"), used);
            }
        }
        for (path, place) in cycles_of(&graph) {
            let names: Vec<&str> =
                path.iter().map(|node| entry.targets[graph[*node]].name.value.as_str()).collect();
            let message = format!("the target group is made of itself: {}", names.join(" → "));
            self.report(Diagnostic::error("group-cycle", message, place));
        }
    }
}

/// The texts of a group that may hold expressions.
fn texts(spec: &TargetSpec) -> Vec<&Spanned<String>> {
    let texts: Vec<&Spanned<String>> = match spec {
        TargetSpec::Aws { tags, ids, resource_group, region, role, external_id } => tags
            .values()
            .flatten()
            .chain(ids)
            .chain([resource_group, region, role, external_id].into_iter().flatten())
            .collect(),
        TargetSpec::Hosts(hosts) => hosts.iter().flat_map(HostSpec::texts).collect(),
        TargetSpec::HostInventory { file, group } => std::iter::once(file).chain(group).collect(),
        TargetSpec::Combined { .. } => Vec::new(),
    };
    texts.into_iter().filter(|text| Expressions::is_used_in(&text.value)).collect()
}
