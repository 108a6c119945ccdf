//! `ansible/playbook` with the real ansible-core, on hosts that are this machine.

mod outcomes;
mod shipped;

use std::process::Command;

use crate::program::{Done, Place, root};

/// A place with the runbooks and examples, and Ansible on the PATH.
pub struct Playing {
    pub place: Place,
    programs: std::path::PathBuf,
}

impl Playing {
    pub fn new() -> Self {
        let place = Place::new();
        for name in ["runbooks", "docs"] {
            std::os::unix::fs::symlink(root().join(name), place.path(name)).expect("a link");
        }
        Self { place, programs: runbook_test_servers::programs() }
    }

    /// `runbook`, in the place itself.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.place.path(""))
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("PWD", self.place.path(""))
            // Discovery could choose a Python that is too old for this Ansible.
            .env("ANSIBLE_PYTHON_INTERPRETER", self.programs.join("python"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().expect("the binary runs"))
    }

    /// The lines of a file, sorted.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.place.path(name)).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}
