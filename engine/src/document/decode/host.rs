//! One host, as runbooks and inventories write it down.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Decoder;
use crate::{
    connection::{Connection, Sudo},
    diagnostic::Diagnostic,
    document::{
        model::{ConnectionSpec, HostSpec, Spanned},
        tree::{Data, Entry},
    },
};

/// The keys of a host.
const HOST: [&str; 5] = ["address", "vars", "connection", "environment", "owner"];

impl Decoder<'_, '_> {
    /// `alone`: nothing but this says how it is reached; else it may have the rest from groups.
    pub(super) fn host(&mut self, entry: &Entry, alone: bool) -> Option<HostSpec> {
        let mut host = HostSpec {
            name: Spanned::new(entry.key.clone(), entry.place),
            address: None,
            vars: BTreeMap::new(),
            connection: ConnectionSpec::default(),
            environment: None,
            owner: None,
        };
        if entry.value.is_null() {
            return Some(host);
        }
        let fields = self.fields(&entry.value, entry.place, "a host", &HOST)?;
        host.address = fields.get("address").and_then(|entry| self.text(entry));
        host.vars = fields.get("vars").map(|entry| self.vars(entry)).unwrap_or_default();
        host.connection =
            fields.get("connection").map(|entry| self.connection(entry, alone)).unwrap_or_default();
        host.environment = fields.get("environment").and_then(|entry| self.text(entry));
        host.owner = fields.get("owner").and_then(|entry| self.text(entry));
        Some(host)
    }

    pub(super) fn vars(&mut self, entry: &Entry) -> BTreeMap<String, Value> {
        match &entry.value.data {
            Data::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.value())).collect()
            }
            _ => {
                self.wrong("vars", "a mapping", &entry.value);
                BTreeMap::new()
            }
        }
    }

    pub(super) fn connection(&mut self, entry: &Entry, alone: bool) -> ConnectionSpec {
        let Some(fields) = self.fields(&entry.value, entry.place, "`connection`", &Connection::KEYS) else {
            return ConnectionSpec::default();
        };
        let jump = fields.get("jump").map(|entry| match &entry.value.data {
            Data::List(_) => self.texts(entry),
            _ => self.text(entry).into_iter().collect(),
        });
        let spec = ConnectionSpec {
            port: fields.get("port").and_then(|entry| self.port(entry)),
            user: fields.get("user").and_then(|entry| self.text(entry)),
            identity: fields.get("identity").and_then(|entry| self.text(entry)),
            config: fields.get("config").and_then(|entry| self.text(entry)),
            jump: jump.unwrap_or_default(),
            sudo: fields.get("sudo").and_then(|entry| {
                let words = Sudo::ALL.map(|sudo| (sudo.as_str(), sudo));
                self.word("sudo", &entry.value, &words)
            }),
            sudo_password: fields.get("sudo_password").and_then(|entry| self.text(entry)),
        };
        if let Some(sudo) = &spec.sudo {
            let conflict = match (&spec.sudo_password, sudo.value) {
                (Some(_), Sudo::None | Sudo::Passwordless) => {
                    Some("`sudo_password` goes with `sudo: password`")
                }
                (None, Sudo::Password) if alone => {
                    Some("`sudo: password` goes with `sudo_password`, the name of a secret")
                }
                _ => None,
            };
            if let Some(message) = conflict {
                let problem = Diagnostic::error("conflict", message, sudo.place);
                self.report(problem.hint("sudo: password and sudo_password: NAME_OF_A_SECRET"));
            }
        }
        spec
    }

    fn port(&mut self, entry: &Entry) -> Option<Spanned<u16>> {
        let port =
            entry.value.value().as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if port.is_none() {
            self.wrong(&entry.key, "a number from 1 to 65535", &entry.value);
        }
        Some(Spanned::new(port?, entry.value.place))
    }
}
