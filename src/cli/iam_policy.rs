//! `runbook iam-policy`.

use std::{fs, path::PathBuf};

use clap::Args;
use runbook::policy::{
    document::{self, Document, MOST_CHARACTERS},
    used::{self, Identity},
};
use runbook_steps::catalog::Actions;
use serde_json::{Value, json};

use super::{
    Done, Session,
    exit::Exit,
    planning::{self, Values},
    problem::Problem,
    source,
};

/// Write the least IAM policy for exactly this runbook, one for each account
///
/// AWS is not asked, and nothing is changed. The identity that runs `runbook` gets a policy for the groups without a
/// role, and the right to assume the roles of the others; each role gets its own. Actions are limited to the groups'
/// machines by their tags or ids, to the documents that are used, and to what `runbook` made itself.
#[derive(Debug, Args)]
pub struct IamPolicy {
    /// The runbook
    file: PathBuf,
    #[command(flatten)]
    values: Values,
    /// What `runbook artifacts gc` needs too
    #[arg(long)]
    with_gc: bool,
    /// Write each policy into this folder: caller.json, ACCOUNT-ROLE.json
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl IamPolicy {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let catalog = Actions::standard();
        let (plan, machines) = planning::with_stand_ins(session, &self.file, &self.values)?;
        let documents = document::documents(&used::used(&plan, &catalog, &machines, self.with_gc));
        if let Some(folder) = &self.output {
            for document in &documents {
                write(folder, document)?;
            }
        }
        if session.screen.json {
            let list: Vec<Value> = documents.iter().map(json_of).collect();
            session.screen.json_page(&json!({ "runbook": plan.runbook, "documents": list }));
            return Ok(Exit::Succeeded);
        }
        for document in &documents {
            let groups: Vec<&str> = document.groups.iter().map(|group| group.as_str()).collect();
            let groups =
                if groups.is_empty() { String::new() } else { format!(", for {}", groups.join(", ")) };
            let size = document.characters;
            session
                .screen
                .note(&format!("policy of {}{groups}: {size} characters\n", who(&document.identity)));
            if size > MOST_CHARACTERS {
                session.screen.note(&format!(
                    "warning: a managed policy has at most {MOST_CHARACTERS} characters: split it by its statements, \
                     or the runbook by its groups\n"
                ));
            }
            if self.output.is_none() {
                session.screen.json_page(&document.policy);
            }
        }
        if documents.is_empty() {
            session.screen.note("this runbook calls nothing on AWS\n");
        } else {
            session.screen.note(
                "volumes that are encrypted with keys of your own need rights on these keys too: see docs/first-rollout.md\n",
            );
        }
        Ok(Exit::Succeeded)
    }
}

fn who(identity: &Identity) -> &str {
    match identity {
        Identity::Caller => "the identity that runs runbook",
        Identity::Role(role) => role,
    }
}

fn json_of(document: &Document) -> Value {
    let role = match &document.identity {
        Identity::Caller => None,
        Identity::Role(role) => Some(role),
    };
    json!({
        "role": role,
        "account": document.account,
        "groups": document.groups,
        "characters": document.characters,
        "fits": document.characters <= MOST_CHARACTERS,
        "policy": document.policy,
    })
}

fn write(folder: &PathBuf, document: &Document) -> Result<(), Problem> {
    let name = match &document.identity {
        Identity::Caller => "caller.json".to_owned(),
        Identity::Role(role) => {
            let name = role.rsplit('/').next().unwrap_or(role);
            format!("{}-{name}.json", document.account.as_deref().unwrap_or("account"))
        }
    };
    let file = folder.join(name);
    let written =
        fs::create_dir_all(folder).and_then(|()| fs::write(&file, format!("{:#}\n", document.policy)));
    written.map_err(|error| {
        Problem::new(Exit::Usage, format!("the policy cannot be written: {}", source::reason(&error)))
            .at(file.display().to_string())
    })
}
