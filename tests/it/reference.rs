//! The generated pages of the book are the ones that this binary writes.

use std::{fs, path::Path};

use crate::program::{Place, root};

/// Compares a page with what a command prints; `RUNBOOK_WRITE_PAGES=1` writes it anew.
#[track_caller]
fn is_current(page: &str, arguments: &[&str]) {
    let printed = Place::new().run(arguments).exits(0).stdout;
    let path = root().join(page);
    if std::env::var_os("RUNBOOK_WRITE_PAGES").is_some() {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("the folder of the page");
        fs::write(&path, &printed).expect("the page is written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == printed,
        "{page} is not current: write it anew with `RUNBOOK_WRITE_PAGES=1 cargo test --test it reference`"
    );
}

#[test]
fn of_the_command_line() {
    is_current("docs/reference/cli.md", &["reference", "cli"]);
}

#[test]
fn of_the_actions() {
    is_current("docs/reference/actions.md", &["reference", "actions"]);
}

#[test]
fn of_the_schema() {
    is_current("docs/schema.json", &["schema"]);
}

#[test]
fn of_the_schema_of_tests() {
    is_current("docs/test-schema.json", &["schema", "test"]);
}
