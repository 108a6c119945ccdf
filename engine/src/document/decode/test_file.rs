//! Test files: their cases, and the worlds of each.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Decoder, fields::Fields};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::{
        expectation::{Dying, Seeds, Setting, TestCase, TestFile, Written},
        model::Spanned,
        tree::{Data, Entry, Node},
    },
};

const FILE: &[&str] = &["tests", "description", "defaults", "cases"];
const SETTING: [&str; 9] =
    ["fleet", "machines", "params", "limit", "faults", "crash", "seeds", "people", "start"];
const CASE: [&str; 12] = [
    "description",
    "fleet",
    "machines",
    "params",
    "limit",
    "faults",
    "crash",
    "seeds",
    "people",
    "start",
    "expect",
    "never",
];

/// More worlds than a case needs; a rehearsal has no such limit.
const MOST_SEEDS: u32 = 100_000;

impl Decoder<'_, '_> {
    pub(in crate::document) fn test_file(&mut self, root: &Node) -> Option<TestFile> {
        let whole = Place::whole(self.source);
        let fields = self.fields(root, whole, "a test file", FILE)?;
        let runbook =
            self.required(&fields, "tests").and_then(|node| self.text_of("tests", node)).or_else(|| {
                // Something to go on with: the cases may be wrong too.
                Some(Spanned::new(String::new(), whole))
            })?;
        if let Some(entry) = fields.get("description") {
            self.text(entry);
        }
        let defaults = match fields.get("defaults") {
            Some(entry) => self
                .fields(&entry.value, entry.place, "`defaults`", &SETTING)
                .map(|fields| self.setting(&fields, &Setting::default())),
            None => None,
        };
        let defaults = defaults.unwrap_or_default();
        self.required(&fields, "cases");
        let mut cases = Vec::new();
        if let Some(entry) = fields.get("cases") {
            for entry in self.named(entry, "case") {
                cases.extend(self.test_case(entry, &defaults));
            }
        }
        Some(TestFile { runbook, cases })
    }

    fn test_case(&mut self, entry: &Entry, defaults: &Setting) -> Option<TestCase> {
        let fields = self.fields(&entry.value, entry.place, "a case", &CASE)?;
        let before = self.problems.len();
        let setting = self.setting(&fields, defaults);
        let mut claims = Vec::new();
        if let Some(entry) = fields.get("expect") {
            self.expectations(entry, &mut claims);
        }
        if let Some(entry) = fields.get("never") {
            self.nevers(entry, &mut claims);
        }
        if claims.is_empty() && self.problems.len() == before {
            let message = format!("`{}` expects nothing, so it cannot fail", entry.key);
            self.report(
                Diagnostic::error("expects-nothing", message, entry.place)
                    .hint("say what must hold with `expect:` or `never:`"),
            );
        }
        Some(TestCase {
            name: Spanned::new(entry.key.clone(), entry.place),
            description: fields.get("description").and_then(|entry| self.text(entry)).map(|text| text.value),
            setting,
            claims,
        })
    }

    /// What is not said holds as before.
    fn setting(&mut self, fields: &Fields<'_>, before: &Setting) -> Setting {
        let mut setting = before.clone();
        if let Some(entry) = fields.get("fleet") {
            if matches!(entry.value.data, Data::List(_)) || entry.value.is_null() {
                self.wrong("fleet", "a file's name or a fleet", &entry.value);
            }
            (setting.fleet, setting.machines) = (Some(written(&entry.value)), None);
        }
        if let Some(entry) = fields.get("machines") {
            if let Some(fleet) = fields.get("fleet") {
                let message = "`machines` are made up where there is no `fleet`";
                let problem = Diagnostic::error("conflicting-keys", message, entry.place);
                self.report(problem.hint(format!("the fleet stands on line {}", fleet.place.line)));
            }
            let machines = self.whole(entry);
            if let Some(none) = machines.as_ref().filter(|machines| machines.value == 0) {
                let problem = Diagnostic::error("wrong-value", "`machines` must be at least 1", none.place);
                self.report(problem);
            }
            (setting.fleet, setting.machines) = (None, machines);
        }
        if let Some(entry) = fields.get("params") {
            match &entry.value.data {
                Data::Map(entries) => {
                    let params = entries.iter().map(|entry| (entry.key.clone(), entry.value.value()));
                    setting.params.extend(params.collect::<BTreeMap<_, _>>());
                }
                _ => self.wrong("params", "a mapping of parameters", &entry.value),
            }
        }
        if let Some(entry) = fields.get("limit") {
            setting.limit = self.set(entry);
        }
        if let Some(entry) = fields.get("faults") {
            if entry.value.is_null() {
                self.wrong("faults", "a profile or a list of faults", &entry.value);
            }
            setting.faults = Some(written(&entry.value));
        }
        if let Some(entry) = fields.get("crash") {
            let known =
                [("none", Dying::Never), ("random", Dying::Random), ("every-append", Dying::EveryAppend)];
            setting.crash = self.word("crash", &entry.value, &known).map(|word| word.value);
        }
        if let Some(entry) = fields.get("seeds") {
            setting.seeds = self.seeds(entry);
        }
        if let Some(entry) = fields.get("people") {
            if !matches!(entry.value.data, Data::List(_)) {
                self.wrong("people", "a list of people, as in a fleet file", &entry.value);
            }
            setting.people = Some(written(&entry.value));
        }
        if let Some(entry) = fields.get("start") {
            let start = entry.value.value().as_str().and_then(|text| text.parse::<Timestamp>().ok());
            if start.is_none() {
                self.wrong("start", "a moment like 2026-11-21T16:00:00Z", &entry.value);
            }
            setting.start = start;
        }
        setting
    }

    fn seeds(&mut self, entry: &Entry) -> Option<Seeds> {
        let number = |node: &Node| {
            node.value().as_u64().and_then(|number| u32::try_from(number).ok()).filter(|seed| *seed > 0)
        };
        let seeds = match &entry.value.data {
            Data::List(items) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    let seed = number(item);
                    if seed.is_some() && items[..at].iter().any(|before| number(before) == seed) {
                        let message = format!("seed {} is one world, and named twice", seed.unwrap_or(0));
                        let problem = Diagnostic::error("duplicate", message, item.place);
                        self.report(problem.hint("leave it out"));
                    }
                }
                items.iter().map(number).collect::<Option<Vec<u32>>>().map(Seeds::These)
            }
            _ => number(&entry.value).filter(|many| *many <= MOST_SEEDS).map(Seeds::First),
        };
        if seeds.is_none() {
            self.wrong("seeds", "how many worlds, or a list like [3, 17], from 1", &entry.value);
        }
        seeds
    }
}

fn written(node: &Node) -> Written {
    let mut keys = Vec::new();
    collect(node, &mut keys);
    let items = match &node.data {
        Data::List(items) => items.iter().map(|item| item.place).collect(),
        _ => Vec::new(),
    };
    Written { value: node.value(), place: node.place, items, keys }
}

fn collect(node: &Node, keys: &mut Vec<Spanned<String>>) {
    match &node.data {
        Data::Scalar { .. } => {}
        Data::List(items) => items.iter().for_each(|item| collect(item, keys)),
        Data::Map(entries) => {
            for entry in entries {
                keys.push(Spanned::new(entry.key.clone(), entry.place));
                collect(&entry.value, keys);
            }
        }
    }
}
