//! Failure branches: where they stand, their rungs, and their copies.

use super::fleet::{plan, scopes, shown};

const GROUPS: &str = "
runbook: naming
targets:
  web: { aws: { tags: { Role: web } } }
  db: { aws: { tags: { Role: db } } }
";

fn tasks(rest: &str) -> String {
    shown(&plan(&format!("{GROUPS}{rest}"), &[("web", 3), ("db", 2)]))
}

fn parts(rest: &str) -> String {
    scopes(&plan(&format!("{GROUPS}{rest}"), &[("web", 3), ("db", 2)]))
}

#[test]
fn a_branch_of_a_plain_step_runs_with_each_of_its_waves() {
    insta::assert_snapshot!(tasks("
steps:
  restore: { uses: aws/restore, with: { from: backup }, on_failure: [call] }
  call: { uses: gate/manual, with: { instructions: help }, timeout: 1h }
  backup: { uses: aws/snapshot, targets: web }
  patch:
    needs: [backup]
    uses: aws/patch
    with: { operation: Install }
    targets: web
    rollout: { waves: [1], max_failures: 1 }
    on_failure: [restore]
  healthy: { needs: [patch], uses: check/tcp, with: { host: x }, targets: web }
"), @"
    backup/wave-1 [web-1 web-2 web-3]
    patch/wave-1 [web-1] needs backup else patch/wave-1/restore
    patch/wave-1/restore [web-1] branch of patch/wave-1 failed_in patch/wave-1 else patch/wave-1/call
    patch/wave-1/restore/verify/healthy [web-1] needs patch/wave-1/restore verifies patch/wave-1/restore
    patch/wave-1/call branch of patch/wave-1/restore
    patch/wave-2 [web-2 web-3] needs backup else patch/wave-2/restore
    patch/wave-2/restore [web-2 web-3] branch of patch/wave-2 failed_in patch/wave-2 else patch/wave-2/call
    patch/wave-2/restore/verify/healthy [web-2 web-3] needs patch/wave-2/restore verifies patch/wave-2/restore
    patch/wave-2/call branch of patch/wave-2/restore
    healthy/wave-1 [web-1 web-2 web-3] needs patch
    patch/wave-2/rollback/restore [web-2 web-3] branch of  changed_in patch/wave-2 else patch/wave-2/rollback/call
    patch/wave-2/rollback/restore/verify/healthy [web-2 web-3] needs patch/wave-2/rollback/restore verifies patch/wave-2/rollback/restore
    patch/wave-2/rollback/call branch of patch/wave-2/rollback/restore
    patch/wave-1/rollback/restore [web-1] branch of  changed_in patch/wave-1 else patch/wave-1/rollback/call
    patch/wave-1/rollback/restore/verify/healthy [web-1] needs patch/wave-1/rollback/restore verifies patch/wave-1/rollback/restore
    patch/wave-1/rollback/call branch of patch/wave-1/rollback/restore
    ");
}

#[test]
fn a_branch_of_several_plain_steps_stands_in_the_root() {
    insta::assert_snapshot!(tasks("
steps:
  backup: { uses: aws/snapshot, targets: web }
  patch:
    needs: [backup]
    uses: aws/patch
    with: { operation: Install }
    targets: web
    on_failure: [restore]
  healthy: { needs: [patch], uses: check/tcp, with: { host: x }, targets: web, on_failure: [restore] }
  restore: { uses: aws/restore, with: { from: backup } }
"), @"
    backup/wave-1 [web-1 web-2 web-3]
    patch/wave-1 [web-1 web-2 web-3] needs backup else restore
    healthy/wave-1 [web-1 web-2 web-3] needs patch else restore
    restore [web-1 web-2 web-3] branch of patch/wave-1, healthy/wave-1 failed_in patch/wave-1, healthy/wave-1
    restore/verify/healthy [web-1 web-2 web-3] needs restore verifies restore
    patch/wave-1/rollback/restore [web-1 web-2 web-3] branch of  changed_in patch/wave-1
    patch/wave-1/rollback/restore/verify/healthy [web-1 web-2 web-3] needs patch/wave-1/rollback/restore verifies patch/wave-1/rollback/restore
    ");
}

#[test]
fn rungs_and_their_copies() {
    insta::assert_snapshot!(tasks("
blocks:
  work:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, with: { operation: Install }, on_failure: [restore, tell] }
    healthy: { needs: [patch], uses: check/tcp, with: { host: x }, on_failure: [restore] }
    restore: { uses: aws/restore, targets: { touched_by: [patch] }, with: { from: backup }, on_failure: [again] }
    again: { uses: aws/restore, with: { from: backup }, on_failure: [call] }
    call: { uses: gate/manual, with: { instructions: help }, timeout: 1h }
    tell: { uses: notify/webhook, with: { url: http://x } }
steps:
  web: { run: work, targets: web, rollout: { soak: 5m } }
"), @"
    web/wave-1/backup [web-1 web-2 web-3]
    web/wave-1/patch [web-1 web-2 web-3] needs web/wave-1/backup else web/wave-1/restore, web/wave-1/tell
    web/wave-1/healthy [web-1 web-2 web-3] needs web/wave-1/patch else web/wave-1/restore
    web/wave-1/restore [web-1 web-2 web-3] branch of web/wave-1/patch, web/wave-1/healthy touched_by web/wave-1/patch else web/wave-1/again
    web/wave-1/restore/verify/healthy [web-1 web-2 web-3] needs web/wave-1/restore verifies web/wave-1/restore
    web/wave-1/again [web-1 web-2 web-3] branch of web/wave-1/restore failed_in web/wave-1/restore else web/wave-1/call
    web/wave-1/again/verify/healthy [web-1 web-2 web-3] needs web/wave-1/again verifies web/wave-1/again
    web/wave-1/call branch of web/wave-1/again
    web/wave-1/tell branch of web/wave-1/patch
    web/wave-1/soak SoakWait
    web/wave-1/soak/healthy [web-1 web-2 web-3] needs web/wave-1/soak SoakCheck else web/wave-1/soak/restore
    web/wave-1/soak/restore [web-1 web-2 web-3] branch of web/wave-1/soak/healthy failed_in web/wave-1/soak/healthy else web/wave-1/soak/again
    web/wave-1/soak/restore/verify/healthy [web-1 web-2 web-3] needs web/wave-1/soak/restore verifies web/wave-1/soak/restore
    web/wave-1/soak/again [web-1 web-2 web-3] branch of web/wave-1/soak/restore failed_in web/wave-1/soak/restore else web/wave-1/soak/call
    web/wave-1/soak/again/verify/healthy [web-1 web-2 web-3] needs web/wave-1/soak/again verifies web/wave-1/soak/again
    web/wave-1/soak/call branch of web/wave-1/soak/again
    web/wave-1/rollback/restore [web-1 web-2 web-3] branch of  changed_in web/wave-1/patch else web/wave-1/rollback/again
    web/wave-1/rollback/restore/verify/healthy [web-1 web-2 web-3] needs web/wave-1/rollback/restore verifies web/wave-1/rollback/restore
    web/wave-1/rollback/again [web-1 web-2 web-3] branch of web/wave-1/rollback/restore failed_in web/wave-1/rollback/restore else web/wave-1/rollback/call
    web/wave-1/rollback/again/verify/healthy [web-1 web-2 web-3] needs web/wave-1/rollback/again verifies web/wave-1/rollback/again
    web/wave-1/rollback/call branch of web/wave-1/rollback/again
    ");
}

#[test]
fn two_ways_back_are_taken_one_after_the_other() {
    let text = "
blocks:
  work:
    dump: { uses: aws/snapshot }
    backup: { uses: aws/snapshot }
    migrate: { needs: [dump], uses: aws/patch, with: { operation: Install }, on_failure: [restore-data] }
    patch: { needs: [backup, migrate], uses: aws/patch, with: { operation: Install }, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/tcp, with: { host: x }, on_failure: [restore] }
    restore-data: { uses: aws/restore, with: { from: dump }, on_failure: [call] }
    restore: { uses: aws/restore, with: { from: backup }, on_failure: [call] }
    call: { uses: gate/manual, with: { instructions: help }, timeout: 1h }
steps:
  db: { run: work, targets: db }
";
    insta::assert_snapshot!(tasks(text), @"
    db/wave-1/dump [db-1 db-2]
    db/wave-1/backup [db-1 db-2]
    db/wave-1/migrate [db-1 db-2] needs db/wave-1/dump else db/wave-1/restore-data
    db/wave-1/patch [db-1 db-2] needs db/wave-1/backup, db/wave-1/migrate else db/wave-1/restore
    db/wave-1/healthy [db-1 db-2] needs db/wave-1/patch else db/wave-1/restore
    db/wave-1/restore-data [db-1 db-2] branch of db/wave-1/migrate failed_in db/wave-1/migrate else db/wave-1/call
    db/wave-1/restore-data/verify/healthy [db-1 db-2] needs db/wave-1/restore-data verifies db/wave-1/restore-data
    db/wave-1/restore [db-1 db-2] branch of db/wave-1/patch, db/wave-1/healthy failed_in db/wave-1/patch, db/wave-1/healthy else db/wave-1/call
    db/wave-1/restore/verify/healthy [db-1 db-2] needs db/wave-1/restore verifies db/wave-1/restore
    db/wave-1/call branch of db/wave-1/restore-data, db/wave-1/restore
    db/wave-1/rollback/restore [db-1 db-2] branch of  changed_in db/wave-1/patch else db/wave-1/rollback/call
    db/wave-1/rollback/restore/verify/healthy [db-1 db-2] needs db/wave-1/rollback/restore verifies db/wave-1/rollback/restore
    db/wave-1/rollback/call branch of db/wave-1/rollback/restore
    db/wave-1/rollback-2/restore-data [db-1 db-2] branch of  changed_in db/wave-1/migrate else db/wave-1/rollback-2/call
    db/wave-1/rollback-2/restore-data/verify/healthy [db-1 db-2] needs db/wave-1/rollback-2/restore-data verifies db/wave-1/rollback-2/restore-data
    db/wave-1/rollback-2/call branch of db/wave-1/rollback-2/restore-data
    ");
    insta::assert_snapshot!(parts(text), @"
    `` in -: root
    `db` in ``: rollout of db [db-1 db-2], 0 may fail
    `db/wave-1` in `db`: wave 1 of 1 [db-1 db-2]
    `db/wave-1/rollback` in ``: undoes db/wave-1
    `db/wave-1/rollback-2` in ``: undoes db/wave-1 after db/wave-1/rollback
    ");
}

#[test]
fn branches_of_composites() {
    insta::assert_snapshot!(tasks("
blocks:
  work:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, with: { operation: Install } }
    healthy: { needs: [patch], uses: check/tcp, with: { host: x } }
  clean-up:
    a: { uses: local/command }
    b: { needs: [a], uses: local/command }
steps:
  web: { run: work, targets: web, rollout: { waves: [1] }, on_failure: [restore, clean-up] }
  restore: { uses: aws/restore, targets: { touched_by: [web/patch] }, with: { from: web/backup } }
  clean-up: { run: clean-up }
"), @"
    web/wave-1/backup [web-1]
    web/wave-1/patch [web-1] needs web/wave-1/backup
    web/wave-1/healthy [web-1] needs web/wave-1/patch
    web/wave-2/backup [web-2 web-3]
    web/wave-2/patch [web-2 web-3] needs web/wave-2/backup
    web/wave-2/healthy [web-2 web-3] needs web/wave-2/patch
    restore [web-1 web-2 web-3] branch of web touched_by web/wave-1/patch, web/wave-2/patch
    restore/verify/web/healthy [web-1 web-2 web-3] needs restore verifies restore
    clean-up/a branch of web
    clean-up/b needs clean-up/a branch of web
    web/wave-2/rollback/restore [web-2 web-3] branch of  changed_in web/wave-2/patch
    web/wave-2/rollback/restore/verify/web/healthy [web-2 web-3] needs web/wave-2/rollback/restore verifies web/wave-2/rollback/restore
    web/wave-1/rollback/restore [web-1] branch of  changed_in web/wave-1/patch
    web/wave-1/rollback/restore/verify/web/healthy [web-1] needs web/wave-1/rollback/restore verifies web/wave-1/rollback/restore
    ");
}
