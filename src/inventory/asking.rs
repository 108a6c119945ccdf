//! Asking a source.

use std::{collections::BTreeMap, path::Path, time::Duration};

use runbook_engine::{
    document,
    expression::{ExpressionError, Expressions, Scope},
    inventory::{From, Listing, Source},
};
use runbook_http::Network;
use serde_json::Value;

use super::{
    ansible,
    error::InventoryError,
    pages,
    program::{Failure, Program},
};
use crate::coordinator::secrets::{FOLDER, Secrets, VARIABLE};

/// How long a source may take where its file says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Ansible is told besides: no colours, no remarks, and that a source which it cannot read is an error (by itself it
/// only warns, and goes on with no hosts).
const ANSIBLE: [(&str, &str); 4] = [
    ("ANSIBLE_NOCOLOR", "1"),
    ("ANSIBLE_DEPRECATION_WARNINGS", "False"),
    ("ANSIBLE_LOCALHOST_WARNING", "False"),
    ("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "True"),
];

/// Asks sources.
pub(super) struct Asker {
    pub network: Network,
    secrets: Secrets,
    expressions: Expressions,
    /// Variables of our environment that no program gets.
    withheld: Vec<String>,
}

/// What a source said.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub listing: Listing,
    /// What was not taken over.
    pub notes: Vec<String>,
}

impl Asker {
    pub fn new(vars: &BTreeMap<String, String>, secrets: Secrets) -> Self {
        let withheld = vars.keys().filter(|name| name.starts_with(VARIABLE) || *name == FOLDER).cloned();
        Self {
            network: Network::new(),
            secrets,
            expressions: Expressions::new(),
            withheld: withheld.collect(),
        }
    }

    /// Asks a source of the inventory file at `path`, in the folder `beside`.
    pub fn ask(&self, source: &Source, beside: &Path, path: &str) -> Result<Told, InventoryError> {
        let timeout = source.timeout.map_or(PATIENCE, |span| span.get());
        let mut told = match &source.from {
            From::Ansible(inventories) => self.ansible(inventories, beside, timeout),
            From::Command { command, env } => self.command(command, env, beside, timeout),
            From::Http(asked) => pages::ask(self, asked, timeout),
        }
        .map_err(|refusal| {
            let Refusal { mut why, hint } = refusal;
            self.secrets.mask().text(&mut why);
            InventoryError::Refused { path: path.to_owned(), why, hint }
        })?;
        if let Some(wanted) = &source.vars {
            let keep = |vars: &mut BTreeMap<String, Value>| vars.retain(|name, _| wanted.contains(name));
            told.listing.hosts.values_mut().for_each(|host| keep(&mut host.traits.vars));
            told.listing.groups.values_mut().for_each(|group| keep(&mut group.traits.vars));
            keep(&mut told.listing.all.vars);
        }
        for note in &mut told.notes {
            self.secrets.mask().text(note);
        }
        Ok(told)
    }

    fn ansible(&self, inventories: &[String], beside: &Path, timeout: Duration) -> Result<Told, Refusal> {
        let mut arguments = Vec::new();
        for inventory in inventories {
            arguments.push("-i".to_owned());
            arguments.push(beside_of(beside, inventory));
        }
        arguments.push("--list".to_owned());
        let program = Program {
            name: "ansible-inventory",
            arguments: &arguments,
            env: ANSIBLE.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            withheld: &self.withheld,
            // Where the command was typed: the ansible.cfg there holds, as it does for Ansible.
            folder: None,
            timeout,
        };
        let printed = program.run().map_err(|failure| match failure {
            Failure::Missing => Refusal {
                why: "there is no program `ansible-inventory` to read it with (a file of our own notation has a line \
                      `inventory: NAME`)"
                    .to_owned(),
                hint: Some("python3 -m pip install ansible-core".to_owned()),
            },
            failure => {
                let typed: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let hint = Some(format!("ansible-inventory {}", typed.join(" ")));
                Refusal { why: failure.said_of("ansible-inventory"), hint }
            }
        })?;
        let value = json(&printed).map_err(|why| Refusal::of(format!("ansible-inventory printed {why}")))?;
        ansible::told(&value).map_err(|why| Refusal::of(format!("ansible-inventory printed {why}")))
    }

    fn command(
        &self,
        command: &[String],
        env: &BTreeMap<String, String>,
        beside: &Path,
        timeout: Duration,
    ) -> Result<Told, Refusal> {
        let Some((name, arguments)) = command.split_first() else {
            return Err(Refusal::of("`command` is empty".to_owned()));
        };
        let program = Program {
            name: &if name.contains('/') { beside_of(beside, name) } else { name.clone() },
            arguments,
            env: self.rendered(env)?,
            withheld: &self.withheld,
            folder: Some(beside),
            timeout,
        };
        let printed = program.run().map_err(|failure| Refusal::of(failure.said_of(name)))?;
        understood(name, &printed).map_err(Refusal::of)
    }

    /// Texts with their secrets.
    pub fn rendered(&self, texts: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal> {
        texts.iter().map(|(name, text)| Ok((name.clone(), self.text(text)?))).collect()
    }

    /// A text with its secrets.
    pub fn text(&self, text: &str) -> Result<String, Refusal> {
        if !Expressions::is_used_in(text) {
            return Ok(text.to_owned());
        }
        let scope = Scope::new().secrets(&self.secrets);
        let value = self.expressions.render(&Value::String(text.to_owned()), &scope).map_err(|error| {
            let hint = match &error {
                ExpressionError::MissingSecret { name } => {
                    Some(format!("export {VARIABLE}{name}=…, or put a file {name} into ${FOLDER}"))
                }
                _ => None,
            };
            Refusal { why: format!("an expression of its source cannot be filled in: {error}"), hint }
        })?;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// Why a source gave no answer that can be used.
#[derive(Debug)]
pub(super) struct Refusal {
    pub why: String,
    pub hint: Option<String>,
}

impl Refusal {
    pub fn of(why: String) -> Self {
        Self { why, hint: None }
    }
}

/// A path beside the inventory file; it never looks like an option.
fn beside_of(beside: &Path, path: &str) -> String {
    let joined = beside.join(path);
    let absolute = std::path::absolute(&joined).unwrap_or(joined);
    absolute.to_string_lossy().into_owned()
}

/// JSON that a program printed; warnings may stand before it.
fn json(printed: &[u8]) -> Result<Value, String> {
    let from = printed.iter().position(|byte| *byte == b'{').ok_or("no JSON object")?;
    serde_json::from_slice(&printed[from..]).map_err(|error| {
        format!("JSON that cannot be read (line {}, column {})", error.line(), error.column())
    })
}

/// What a program of an inventory printed: JSON like Ansible's, or in our own notation.
///
/// # Errors
/// What it is instead.
pub(super) fn understood(name: &str, printed: &[u8]) -> Result<Told, String> {
    let value = json(printed).map_err(|why| format!("`{name}` printed {why}"))?;
    if ansible::is_like(&value) {
        return ansible::told(&value).map_err(|why| format!("`{name}` printed {why}"));
    }
    let reading = document::read_listing(&format!("the output of `{name}`"), printed);
    match (reading.file, reading.diagnostics.first()) {
        (Some(file), None) => Ok(Told { listing: file.listing, notes: Vec::new() }),
        (_, Some(problem)) => {
            let place = problem.place;
            Err(format!(
                "what `{name}` printed is wrong at {}:{}: {}",
                place.line, place.column, problem.message
            ))
        }
        (_, None) => Err(format!("what `{name}` printed holds no hosts")),
    }
}
