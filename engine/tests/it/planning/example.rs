//! The runbook of the documentation, planned.

use super::fleet::{EXAMPLE, plan, scopes, shown};

const GROUPS: &[(&str, usize)] = &[("dev", 2), ("staging", 3), ("production", 40)];

#[test]
fn tasks() {
    insta::assert_snapshot!(shown(&plan(EXAMPLE, GROUPS)));
}

#[test]
fn parts_of_the_plan() {
    insta::assert_snapshot!(scopes(&plan(EXAMPLE, GROUPS)));
}
