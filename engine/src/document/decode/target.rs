//! `targets:` of the document.

use std::collections::BTreeMap;

use super::Decoder;
use crate::{
    diagnostic::Diagnostic,
    document::{
        model::{Spanned, TargetGroup, TargetSpec},
        tree::{Data, Entry},
    },
};

impl Decoder<'_, '_> {
    pub(super) fn targets(&mut self, entry: &Entry) -> Vec<TargetGroup> {
        self.named(entry, "target group")
            .iter()
            .filter_map(|entry| {
                let spec = self.group(entry)?;
                Some(TargetGroup { name: Spanned::new(entry.key.clone(), entry.place), spec })
            })
            .collect()
    }

    fn group(&mut self, entry: &Entry) -> Option<TargetSpec> {
        let fields =
            self.fields(&entry.value, entry.place, "a target group", &["aws", "hosts", "all_of", "minus"])?;
        let kinds: Vec<&Entry> = fields
            .entries()
            .filter(|entry| matches!(entry.key.as_str(), "aws" | "hosts" | "all_of"))
            .collect();
        if let [first, second, ..] = kinds[..] {
            let message = format!("`{}` cannot stand beside `{}`", second.key, first.key);
            self.report(
                Diagnostic::error("conflicting-keys", message, second.place)
                    .hint("give each a group of its own and combine them with `all_of` and `minus`"),
            );
        }
        if kinds.is_empty() {
            self.report(Diagnostic::error(
                "missing-key",
                "a target group must have `aws`, `hosts` or `all_of`",
                entry.place,
            ));
        }
        let base = match (fields.get("aws"), fields.get("hosts")) {
            (Some(aws), _) => self.aws(aws),
            (None, Some(hosts)) => self.hosts(hosts),
            (None, None) => None,
        };
        let all_of = fields.get("all_of").map(|entry| self.set(entry)).unwrap_or_default();
        let minus = fields.get("minus").map(|entry| self.set(entry)).unwrap_or_default();
        if all_of.is_empty() && minus.is_empty() {
            return Some(base.unwrap_or(TargetSpec::Combined { base: None, all_of, minus }));
        }
        Some(TargetSpec::Combined { base: base.map(Box::new), all_of, minus })
    }

    fn aws(&mut self, entry: &Entry) -> Option<TargetSpec> {
        let known = ["tags", "ids", "resource_group", "region", "role", "external_id"];
        let fields = self.fields(&entry.value, entry.place, "`aws`", &known)?;
        let selecting = ["tags", "ids", "resource_group"];
        if !selecting.iter().any(|key| fields.get(key).is_some()) {
            self.report(
                Diagnostic::error(
                    "missing-key",
                    "`aws` must have `tags`, `ids` or `resource_group`",
                    entry.place,
                )
                .hint("without one of them it would mean every instance of the account"),
            );
        }
        if let Some(entry) = fields.get("external_id")
            && fields.get("role").is_none()
        {
            let message = "`external_id` goes with a `role`";
            self.report(Diagnostic::error("conflict", message, entry.place).hint("write the role's ARN"));
        }
        let mut tags = BTreeMap::new();
        if let Some(entry) = fields.get("tags") {
            match &entry.value.data {
                Data::Map(entries) => {
                    if entries.is_empty() {
                        self.report(Diagnostic::error("empty", "`tags` names no tag", entry.place));
                    }
                    for tag in entries {
                        let values = match &tag.value.data {
                            Data::List(items) => {
                                if items.is_empty() {
                                    let message = format!("the tag `{}` allows no value", tag.key);
                                    self.report(Diagnostic::error("empty", message, tag.place));
                                }
                                items.iter().filter_map(|item| self.text_of(&tag.key, item)).collect()
                            }
                            _ => self.text(tag).into_iter().collect(),
                        };
                        tags.insert(tag.key.clone(), values);
                    }
                }
                _ => self.wrong("tags", "a mapping of values by tag", &entry.value),
            }
        }
        Some(TargetSpec::Aws {
            tags,
            ids: fields.get("ids").map(|entry| self.set(entry)).unwrap_or_default(),
            resource_group: fields.get("resource_group").and_then(|entry| self.text(entry)),
            region: fields.get("region").and_then(|entry| self.text(entry)),
            role: fields.get("role").and_then(|entry| self.text(entry)),
            external_id: fields.get("external_id").and_then(|entry| self.text(entry)),
        })
    }

    fn hosts(&mut self, entry: &Entry) -> Option<TargetSpec> {
        if let Data::Map(entries) = &entry.value.data
            && let Some(inventory) = entries.iter().find(|entry| entry.key == "inventory")
            && matches!(inventory.value.data, Data::Scalar { .. })
        {
            let fields = self.fields(&entry.value, entry.place, "`hosts`", &["inventory", "group"])?;
            let file = self.text(inventory)?;
            return Some(TargetSpec::HostInventory {
                file,
                group: fields.get("group").and_then(|entry| self.text(entry)),
            });
        }
        let hosts = self.named(entry, "host");
        Some(TargetSpec::Hosts(hosts.iter().filter_map(|entry| self.host(entry, true)).collect()))
    }
}
