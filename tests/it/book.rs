//! The commands in the pages of the book that say so are run.

use std::process::Command;

use crate::program::{Done, Place, root};

/// What stands above a block whose commands are run.
const MARK: &str = "<!-- run by a test -->";

/// The commands of the marked blocks of a page, each with the exit code that it ends with.
fn commands(page: &str) -> Vec<(String, i32)> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("the page");
    let mut commands = Vec::new();
    for block in text.split(MARK).skip(1) {
        let block = block.trim_start().strip_prefix("```console\n").expect("a block of commands");
        let block = block.split("```").next().unwrap_or_default();
        for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let (command, code) = match line.split_once(" # exit ") {
                Some((command, code)) => (command, code.parse().expect("an exit code")),
                None => (line, 0),
            };
            commands.push((command.to_owned(), code));
        }
    }
    commands
}

#[track_caller]
fn works(page: &str) {
    let place = Place::new();
    for name in ["runbooks", "docs"] {
        std::os::unix::fs::symlink(root().join(name), place.path(name)).expect("a link");
    }
    let like = place.command(&[]);
    let program =
        std::path::Path::new(like.get_program()).parent().expect("its folder").display().to_string();
    let commands = commands(page);
    assert!(!commands.is_empty());
    for (line, code) in commands {
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env_clear().current_dir(place.path(""));
        for (name, value) in like.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{program}:{path}")).stdin(std::process::Stdio::null());
        let done = Done::from(command.output().expect("it runs"));
        assert_eq!(done.code, code, "{line}\n{}\n{}", done.stdout, done.stderr);
    }
}

#[test]
fn the_first_rollout() {
    works("first-rollout.md");
}

#[test]
fn choosing_a_strategy() {
    works("restore-strategies.md");
}

#[test]
fn accounts_and_regions() {
    works("accounts-and-regions.md");
}

#[test]
fn artifacts() {
    works("artifacts.md");
}
