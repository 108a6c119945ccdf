//! Inventory files.

use std::collections::BTreeMap;

use super::{Decoder, fields::Fields};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::{
        inventory::InventoryFile,
        model::{ConnectionSpec, HostSpec, Spanned},
        tree::{Data, Entry, Node},
    },
    inventory::{From, ListedGroup, ListedHost, Pages, Source, Traits},
};

const TOLD: &[&str] =
    &["inventory", "description", "vars", "connection", "environment", "owner", "groups", "hosts"];
const FILE: &[&str] =
    &["inventory", "description", "source", "vars", "connection", "environment", "owner", "groups", "hosts"];
const GROUP: &[&str] = &["hosts", "children", "vars", "connection", "environment", "owner"];
const PAGES: &[&str] =
    &["url", "headers", "items", "next", "name", "address", "environment", "owner", "groups", "vars"];

impl Decoder<'_, '_> {
    /// A file; or what a source told, which has no source of its own.
    pub(in crate::document) fn inventory(&mut self, root: &Node, whole: bool) -> Option<InventoryFile> {
        let place = Place::whole(self.source);
        let (what, keys) = if whole { ("an inventory", FILE) } else { ("what the source told", TOLD) };
        let fields = self.fields(root, place, what, keys)?;
        let mut file = InventoryFile::default();
        if whole && let Some(node) = self.required(&fields, "inventory") {
            file.name = self.name(node, "inventory").map(|name| name.value).unwrap_or_default();
        }
        file.listing.all = self.traits(&fields);
        if let Some(entry) = fields.get("hosts") {
            for entry in self.named(entry, "host") {
                self.listed_host(entry, &mut file);
            }
        }
        if let Some(entry) = fields.get("groups") {
            for entry in self.named(entry, "group") {
                self.listed_group(entry, &mut file);
            }
        }
        file.source = fields.get("source").and_then(|entry| self.inventory_source(entry));
        if whole && ["source", "hosts", "groups"].iter().all(|key| fields.get(key).is_none()) {
            let message = "an inventory must have `hosts`, `groups` or `source`";
            self.report(Diagnostic::error("missing-key", message, place));
        }
        Some(file)
    }

    fn listed_host(&mut self, entry: &Entry, file: &mut InventoryFile) {
        let Some(host) = self.host(entry, false) else { return };
        if let Some(first) = file.hosts.get(&entry.key) {
            let message = format!("the host `{}` is written down twice", entry.key);
            let problem = Diagnostic::error("duplicate-host", message, entry.place);
            self.report(problem.hint(format!("the first one is on line {}", first.line)));
            return;
        }
        file.hosts.insert(entry.key.clone(), entry.place);
        let HostSpec { name: _, address, vars, connection, environment, owner } = host;
        let traits = traits(vars, &connection, environment, owner);
        let host = ListedHost { address: address.map(|text| text.value), unfit: None, traits };
        file.listing.hosts.insert(entry.key.clone(), host);
    }

    fn listed_group(&mut self, entry: &Entry, file: &mut InventoryFile) {
        if entry.key == "all" {
            let problem = Diagnostic::error("reserved-name", "no group can be named `all`", entry.place);
            self.report(problem.hint("what holds for all hosts stands at the outermost level"));
            return;
        }
        file.groups.insert(entry.key.clone(), entry.place);
        let mut group = ListedGroup::default();
        if !entry.value.is_null() {
            let Some(fields) = self.fields(&entry.value, entry.place, "a group", GROUP) else { return };
            group.traits = self.traits(&fields);
            if let Some(entry) = fields.get("children") {
                group.children = self.set(entry).into_iter().map(|name| name.value).collect();
            }
            match fields.get("hosts") {
                Some(hosts) if matches!(hosts.value.data, Data::Map(_)) => {
                    for host in self.named(hosts, "host") {
                        group.hosts.insert(host.key.clone());
                        self.listed_host(host, file);
                    }
                }
                Some(hosts) => group.hosts = self.set(hosts).into_iter().map(|name| name.value).collect(),
                None => {}
            }
        }
        file.listing.groups.insert(entry.key.clone(), group);
    }

    fn traits(&mut self, fields: &Fields<'_>) -> Traits {
        let vars = fields.get("vars").map(|entry| self.vars(entry)).unwrap_or_default();
        let connection = fields.get("connection").map(|entry| self.connection(entry, false));
        let environment = fields.get("environment").and_then(|entry| self.text(entry));
        let owner = fields.get("owner").and_then(|entry| self.text(entry));
        traits(vars, &connection.unwrap_or_default(), environment, owner)
    }

    fn inventory_source(&mut self, entry: &Entry) -> Option<Source> {
        let kinds = ["ansible", "command", "http"];
        let keys = ["ansible", "command", "http", "env", "timeout", "vars"];
        let fields = self.fields(&entry.value, entry.place, "`source`", &keys)?;
        let said: Vec<&Entry> =
            fields.entries().filter(|entry| kinds.contains(&entry.key.as_str())).collect();
        let kind = match said[..] {
            [kind] => kind,
            [] => {
                let message = "`source` must have `ansible`, `command` or `http`";
                self.report(Diagnostic::error("missing-key", message, entry.place));
                return None;
            }
            [first, second, ..] => {
                let message = format!("`{}` cannot stand beside `{}`", second.key, first.key);
                self.report(Diagnostic::error("conflicting-keys", message, second.place));
                return None;
            }
        };
        let env = fields.get("env").map(|entry| self.by_key(entry)).unwrap_or_default();
        if let Some(entry) = fields.get("env").filter(|_| kind.key != "command") {
            let message = "`env` goes with `command`";
            self.report(Diagnostic::error("conflicting-keys", message, entry.place));
        }
        let from = match kind.key.as_str() {
            "ansible" => From::Ansible(self.words(kind)),
            "command" => From::Command { command: self.words(kind), env },
            _ => From::Http(Box::new(self.pages(kind)?)),
        };
        Some(Source {
            from,
            timeout: fields.get("timeout").and_then(|entry| self.span(entry)).map(|span| span.value),
            vars: fields
                .get("vars")
                .map(|entry| self.set(entry).into_iter().map(|name| name.value).collect()),
        })
    }

    /// A text, or a list of texts that is not empty.
    fn words(&mut self, entry: &Entry) -> Vec<String> {
        let words: Vec<_> = match &entry.value.data {
            Data::List(_) => self.texts(entry),
            _ => self.text(entry).into_iter().collect(),
        };
        if words.is_empty() && matches!(entry.value.data, Data::List(_)) {
            self.report(Diagnostic::error("empty", format!("`{}` is empty", entry.key), entry.place));
        }
        words.into_iter().map(|word| word.value).collect()
    }

    fn by_key(&mut self, entry: &Entry) -> BTreeMap<String, String> {
        let Data::Map(entries) = &entry.value.data else {
            self.wrong(&entry.key, "a mapping of texts", &entry.value);
            return BTreeMap::new();
        };
        let texts = entries.iter().filter_map(|entry| Some((entry.key.clone(), self.text(entry)?.value)));
        texts.collect()
    }

    fn pages(&mut self, entry: &Entry) -> Option<Pages> {
        let fields = self.fields(&entry.value, entry.place, "`http`", PAGES)?;
        let mut required = |key: &str| {
            self.required(&fields, key)?;
            self.text(fields.get(key)?).map(|text| text.value)
        };
        let (url, name) = (required("url"), required("name"));
        let mut optional = |key: &str| self.text(fields.get(key)?).map(|text| text.value);
        let (items, next) = (optional("items"), optional("next"));
        let (address, environment, owner) = (optional("address"), optional("environment"), optional("owner"));
        Some(Pages {
            url: url?,
            headers: fields.get("headers").map(|entry| self.by_key(entry)).unwrap_or_default(),
            items,
            next,
            name: name?,
            address,
            environment,
            owner,
            groups: fields.get("groups").map(|entry| self.words(entry)).unwrap_or_default(),
            vars: fields.get("vars").map(|entry| self.by_key(entry)).unwrap_or_default(),
        })
    }
}

fn traits(
    vars: BTreeMap<String, serde_json::Value>,
    connection: &ConnectionSpec,
    environment: Option<Spanned<String>>,
    owner: Option<Spanned<String>>,
) -> Traits {
    Traits {
        vars,
        connection: connection.rendered(|text| text.value.clone()),
        environment: environment.map(|text| text.value),
        owner: owner.map(|text| text.value),
    }
}
