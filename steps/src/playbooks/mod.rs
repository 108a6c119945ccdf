//! Ansible on this machine, for real: the adapter of [`Ansible`].
//!
//! A playbook is a program like any other (see [`crate::programs`]): it has a session of its own, survives our death, and
//! is found again by its token. What it is given (inventory, limit, variables) and what it tells lie in a folder of its
//! own beside the outputs of programs, which only the user can read and which is gone after a reboot: messages of tasks
//! may contain secrets, and only the journal masks them.
//!
//! Ansible's exit code says little of a host, and its output is for people. So a callback plugin of ours writes a line
//! for each thing that happens (`callback.py`); it needs nothing but Ansible itself.

pub mod events;
mod fingerprint;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{
    ports::{
        ansible::{Ansible, Described, Play, Told},
        hindrance::{Hindrance, is_ours},
        process::{Process, Program, Progress},
    },
    programs::private_folder,
};

const CALLBACK: &str = include_str!("callback.py");

/// The ending of a playbook's folder.
const ENDING: &str = "play";

/// Playbooks of this machine.
#[derive(Clone)]
pub struct Playbooks {
    process: Arc<dyn Process>,
    folder: PathBuf,
}

impl Playbooks {
    /// Runs playbooks as programs of this port, and keeps what they are given and tell in `folder`, the one where the
    /// programs' outputs are.
    pub fn new(process: Arc<dyn Process>, folder: impl Into<PathBuf>) -> Self {
        Self { process, folder: folder.into() }
    }

    fn folder_of(&self, token: &str) -> Result<PathBuf, String> {
        // A token becomes a file name.
        let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain || token.is_empty() {
            return Err(format!("`{token}` cannot be the token of a playbook"));
        }
        Ok(self.folder.join(token).with_extension(ENDING))
    }
}

#[async_trait]
impl Ansible for Playbooks {
    async fn start(&self, play: Play) -> Result<(), Hindrance> {
        if self.process.progress(&play.token).await.map_err(Hindrance::ours)? != Progress::Absent {
            return Ok(());
        }
        let folder = self.folder_of(&play.token)?;
        // Nothing of the playbook stands in the way of that.
        let kept = prepare(&folder, &play);
        kept.map_err(|error| Hindrance::ours(format!("cannot keep what it is given ({error})")))?;
        self.process.start(program(&folder, play)).await
    }

    async fn fingerprint(&self, playbook: &str) -> Result<Option<String>, Hindrance> {
        let playbook = PathBuf::from(playbook);
        let found = tokio::task::spawn_blocking(move || fingerprint::of(&playbook)).await;
        let found = found.map_err(io::Error::other).and_then(|found| found);
        found.map(Some).map_err(|error| Hindrance { why: error.to_string(), ours: is_ours(&error) })
    }

    async fn told(&self, token: &str) -> Result<Told, String> {
        match fs::read(self.folder_of(token)?.join("events")) {
            Ok(lines) => Ok(events::read(&lines)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Told::default()),
            Err(error) => Err(format!("cannot read what it told ({error})")),
        }
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        if self.process.progress(token).await? == Progress::Running {
            return Err("it still runs".to_owned());
        }
        match fs::remove_dir_all(self.folder_of(token)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(format!("cannot delete what it told ({error})"));
            }
            _ => {}
        }
        self.process.forget(token).await
    }
}

/// Writes down what a playbook is given.
fn prepare(folder: &Path, play: &Play) -> io::Result<()> {
    private_folder(&folder.join("callbacks"))?;
    write(&folder.join("callbacks/runbook_events.py"), CALLBACK)?;
    let hosts: String = play.hosts.iter().map(|host| format!("{host}\n")).collect();
    write(&folder.join("hosts"), &hosts)?;
    write(&folder.join("vars.json"), &play.vars.to_string())?;
    if let Described::Here(inventory) = &play.inventory {
        write(&folder.join("inventory.json"), &inventory.to_string())?;
    }
    write(&folder.join("places.json"), &serde_json::to_string(&play.places)?)?;
    Ok(())
}

/// Whole or not at all; a second start finds what the first one has written.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&fresh, path)
}

/// The program that runs a playbook.
fn program(folder: &Path, play: Play) -> Program {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = vec![play.program];
    match play.inventory {
        Described::Sources(sources) => {
            for source in sources {
                command.extend(["-i".to_owned(), source]);
            }
        }
        Described::Here(_) => command.extend(["-i".to_owned(), path("inventory.json")]),
    }
    command.extend(["--limit".to_owned(), format!("@{}", path("hosts"))]);
    command.extend(["--extra-vars".to_owned(), format!("@{}", path("vars.json"))]);
    command.extend(["--forks".to_owned(), play.forks.to_string()]);
    for (option, tags) in [("--tags", play.tags), ("--skip-tags", play.skip_tags)] {
        if !tags.is_empty() {
            command.extend([option.to_owned(), tags.join(",")]);
        }
    }
    if play.check {
        command.push("--check".to_owned());
    }
    command.extend(["--".to_owned(), play.playbook]);
    let mut env = BTreeMap::from([
        ("ANSIBLE_NOCOLOR".to_owned(), "1".to_owned()),
        ("ANSIBLE_FORCE_COLOR".to_owned(), "0".to_owned()),
        ("ANSIBLE_DEPRECATION_WARNINGS".to_owned(), "False".to_owned()),
        ("ANSIBLE_RETRY_FILES_ENABLED".to_owned(), "False".to_owned()),
    ]);
    env.extend(play.env);
    env.insert("ANSIBLE_CALLBACK_PLUGINS".to_owned(), path("callbacks"));
    env.insert("RUNBOOK_PLAY_EVENTS".to_owned(), path("events"));
    env.insert("RUNBOOK_PLAY_PLACES".to_owned(), path("places.json"));
    Program { token: play.token, command, env, looks_for: None }
}
