//! What tasks and scopes are called, and what ids mean where they stand.

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
fn a_plain_step_is_called_by_its_waves() {
    let text = "
steps:
  look: { uses: aws/compliance, targets: web, rollout: { waves: [1], soak: 5m } }
  report: { needs: [look], uses: notify/webhook, with: { url: http://x } }
  once: { needs: [report], uses: local/command }
";
    insta::assert_snapshot!(tasks(text), @"
    look/wave-1 [web-1]
    look/wave-1/soak SoakWait
    look/wave-2 [web-2 web-3]
    look/wave-2/soak SoakWait
    report needs look
    once needs report
    ");
    insta::assert_snapshot!(parts(text), @"
    `` in -: root
    `look` in ``: rollout of look [web-1 web-2 web-3], 0 may fail
    `look/wave-1` in `look`: wave 1 of 2 [web-1]
    `look/wave-1/soak` in `look`: soak of wave 1 after look/wave-1
    `look/wave-2` in `look`: wave 2 of 2 [web-2 web-3] after look/wave-1/soak
    `look/wave-2/soak` in `look`: soak of wave 2 after look/wave-2
    ");
}

#[test]
fn composites_inside_composites() {
    let text = "
blocks:
  outer:
    before: { uses: aws/compliance }
    inner: { needs: [before], run: inner }
    divided: { needs: [inner], run: inner, rollout: { waves: [1] } }
    after: { needs: [divided, inner/b], uses: aws/compliance }
  inner:
    a: { uses: aws/compliance }
    b: { needs: [a], uses: aws/compliance }
steps:
  all: { run: outer, targets: web, rollout: { waves: [1] } }
  later: { needs: [all/before], uses: local/command }
";
    insta::assert_snapshot!(tasks(text), @"
    all/wave-1/before [web-1]
    all/wave-1/inner/a [web-1] needs all/wave-1/before
    all/wave-1/inner/b [web-1] needs all/wave-1/inner/a
    all/wave-1/divided/wave-1/a [web-1] needs all/wave-1/inner/a, all/wave-1/inner/b
    all/wave-1/divided/wave-1/b [web-1] needs all/wave-1/divided/wave-1/a
    all/wave-1/after [web-1] needs all/wave-1/divided, all/wave-1/inner/b
    all/wave-2/before [web-2 web-3]
    all/wave-2/inner/a [web-2 web-3] needs all/wave-2/before
    all/wave-2/inner/b [web-2 web-3] needs all/wave-2/inner/a
    all/wave-2/divided/wave-1/a [web-2] needs all/wave-2/inner/a, all/wave-2/inner/b
    all/wave-2/divided/wave-1/b [web-2] needs all/wave-2/divided/wave-1/a
    all/wave-2/divided/wave-2/a [web-3] needs all/wave-2/inner/a, all/wave-2/inner/b
    all/wave-2/divided/wave-2/b [web-3] needs all/wave-2/divided/wave-2/a
    all/wave-2/after [web-2 web-3] needs all/wave-2/divided, all/wave-2/inner/b
    later needs all/wave-1/before, all/wave-2/before
    ");
    insta::assert_snapshot!(parts(text), @"
    `` in -: root
    `all` in ``: rollout of all [web-1 web-2 web-3], 0 may fail
    `all/wave-1` in `all`: wave 1 of 2 [web-1]
    `all/wave-1/divided` in `all/wave-1`: rollout of all/divided [web-1], 0 may fail
    `all/wave-1/divided/wave-1` in `all/wave-1/divided`: wave 1 of 1 [web-1]
    `all/wave-2` in `all`: wave 2 of 2 [web-2 web-3] after all/wave-1
    `all/wave-2/divided` in `all/wave-2`: rollout of all/divided [web-2 web-3], 0 may fail
    `all/wave-2/divided/wave-1` in `all/wave-2/divided`: wave 1 of 2 [web-2]
    `all/wave-2/divided/wave-2` in `all/wave-2/divided`: wave 2 of 2 [web-3] after all/wave-2/divided/wave-1
    ");
}

#[test]
fn a_composite_without_targets() {
    let text = "
blocks:
  prepare:
    tell: { uses: notify/webhook, with: { url: http://x } }
    dump: { needs: [tell], uses: local/command, on_failure: [undo] }
    undo: { uses: local/command }
    scan: { needs: [dump], uses: aws/compliance, targets: db }
steps:
  prepare: { run: prepare }
  then: { needs: [prepare], uses: local/command }
  also: { needs: [prepare/scan], uses: local/command }
";
    insta::assert_snapshot!(tasks(text), @"
    prepare/tell
    prepare/dump needs prepare/tell else prepare/undo
    prepare/scan/wave-1 [db-1 db-2] needs prepare/dump
    prepare/undo branch of prepare/dump
    then needs prepare
    also needs prepare/scan
    ");
    insta::assert_snapshot!(parts(text), @"
    `` in -: root
    `prepare` in ``: rollout of prepare [], 0 may fail
    `prepare/scan` in `prepare`: rollout of prepare/scan [db-1 db-2], 0 may fail
    `prepare/scan/wave-1` in `prepare/scan`: wave 1 of 1 [db-1 db-2]
    ");
}

#[test]
fn machines_of_steps_inside_a_wave() {
    insta::assert_snapshot!(tasks("
blocks:
  work:
    tell: { uses: notify/webhook, with: { url: http://x } }
    only-web: { needs: [tell], uses: aws/compliance, targets: web }
    only-db: { needs: [tell], run: sub, targets: db }
  sub:
    a: { uses: aws/compliance }
  both-groups:
    a: { uses: aws/compliance }
steps:
  web: { run: work, targets: web }
"), @"
    web/wave-1/tell
    web/wave-1/only-web [web-1 web-2 web-3] needs web/wave-1/tell
    web/wave-1/only-db/a [] needs web/wave-1/tell skipped: no machine of `db` here
    ");
}

#[test]
fn the_needs_of_a_composite_are_those_of_its_first_steps() {
    insta::assert_snapshot!(tasks("
blocks:
  work:
    a: { uses: aws/compliance }
    b: { uses: aws/compliance }
    c: { needs: [a, b], uses: aws/compliance }
steps:
  first: { uses: local/command }
  second: { uses: local/command }
  all: { needs: [first, second], run: work, targets: web, rollout: { waves: [2] } }
"), @"
    first
    second
    all/wave-1/a [web-1 web-2] needs first, second
    all/wave-1/b [web-1 web-2] needs first, second
    all/wave-1/c [web-1 web-2] needs all/wave-1/a, all/wave-1/b
    all/wave-2/a [web-3] needs first, second
    all/wave-2/b [web-3] needs first, second
    all/wave-2/c [web-3] needs all/wave-2/a, all/wave-2/b
    ");
}

#[test]
fn parts_of_waves() {
    let text = "
blocks:
  work:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, with: { operation: Install }, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/tcp, with: { host: x } }
    restore: { uses: aws/restore, with: { from: backup } }
steps:
  window: { uses: gate/window, with: { cron: '0 22 * * SAT', duration: 6h } }
  web: { run: work, targets: web, rollout: { waves: [1], max_in_flight: 1, soak: 5m, window: window } }
";
    insta::assert_snapshot!(tasks(text), @"
    window
    web/wave-1/window Window
    web/wave-1/backup [web-1] needs web/wave-1/window
    web/wave-1/patch [web-1] needs web/wave-1/backup else web/wave-1/restore
    web/wave-1/healthy [web-1] needs web/wave-1/patch
    web/wave-1/restore [web-1] branch of web/wave-1/patch failed_in web/wave-1/patch
    web/wave-1/restore/verify/healthy [web-1] needs web/wave-1/restore verifies web/wave-1/restore
    web/wave-1/soak SoakWait
    web/wave-1/soak/healthy [web-1] needs web/wave-1/soak SoakCheck
    web/wave-2/window Window
    web/wave-2/part-1/backup [web-2] needs web/wave-2/window
    web/wave-2/part-1/patch [web-2] needs web/wave-2/part-1/backup else web/wave-2/part-1/restore
    web/wave-2/part-1/healthy [web-2] needs web/wave-2/part-1/patch
    web/wave-2/part-1/restore [web-2] branch of web/wave-2/part-1/patch failed_in web/wave-2/part-1/patch
    web/wave-2/part-1/restore/verify/healthy [web-2] needs web/wave-2/part-1/restore verifies web/wave-2/part-1/restore
    web/wave-2/part-2/backup [web-3] needs web/wave-2/window
    web/wave-2/part-2/patch [web-3] needs web/wave-2/part-2/backup else web/wave-2/part-2/restore
    web/wave-2/part-2/healthy [web-3] needs web/wave-2/part-2/patch
    web/wave-2/part-2/restore [web-3] branch of web/wave-2/part-2/patch failed_in web/wave-2/part-2/patch
    web/wave-2/part-2/restore/verify/healthy [web-3] needs web/wave-2/part-2/restore verifies web/wave-2/part-2/restore
    web/wave-2/soak SoakWait
    web/wave-2/soak/healthy [web-1 web-2 web-3] needs web/wave-2/soak SoakCheck
    web/wave-2/part-2/rollback/restore [web-3] branch of  changed_in web/wave-2/part-2/patch
    web/wave-2/part-2/rollback/restore/verify/healthy [web-3] needs web/wave-2/part-2/rollback/restore verifies web/wave-2/part-2/rollback/restore
    web/wave-2/part-1/rollback/restore [web-2] branch of  changed_in web/wave-2/part-1/patch
    web/wave-2/part-1/rollback/restore/verify/healthy [web-2] needs web/wave-2/part-1/rollback/restore verifies web/wave-2/part-1/rollback/restore
    web/wave-1/rollback/restore [web-1] branch of  changed_in web/wave-1/patch
    web/wave-1/rollback/restore/verify/healthy [web-1] needs web/wave-1/rollback/restore verifies web/wave-1/rollback/restore
    ");
    insta::assert_snapshot!(parts(text), @"
    `` in -: root
    `web` in ``: rollout of web [web-1 web-2 web-3], 0 may fail
    `web/wave-1` in `web`: wave 1 of 2 [web-1]
    `web/wave-1/soak` in `web`: soak of wave 1 after web/wave-1
    `web/wave-2` in `web`: wave 2 of 2 [web-2 web-3] after web/wave-1/soak
    `web/wave-2/part-1` in `web/wave-2`: part 1 [web-2]
    `web/wave-2/part-2` in `web/wave-2`: part 2 [web-3] after web/wave-2/part-1
    `web/wave-2/soak` in `web`: soak of wave 2 after web/wave-2
    `web/wave-2/part-2/rollback` in ``: undoes web/wave-2/part-2
    `web/wave-2/part-1/rollback` in ``: undoes web/wave-2/part-1 after web/wave-2/part-2/rollback
    `web/wave-1/rollback` in ``: undoes web/wave-1 after web/wave-2/part-1/rollback
    ");
}

#[test]
fn finally_comes_last() {
    let text = "
blocks:
  tidy:
    a: { uses: local/command }
    b: { needs: [a], uses: aws/compliance, targets: db }
finally:
  tell: { needs: [tidy], uses: notify/webhook, with: { url: http://x } }
  tidy: { run: tidy }
steps:
  web: { uses: check/tcp, targets: web, with: { host: x }, rollout: { soak: 5m } }
";
    insta::assert_snapshot!(tasks(text), @"
    web/wave-1 [web-1 web-2 web-3]
    web/wave-1/soak SoakWait
    web/wave-1/soak/web [web-1 web-2 web-3] needs web/wave-1/soak SoakCheck
    finally/tidy/a Finally
    finally/tidy/b [db-1 db-2] needs finally/tidy/a Finally
    finally/tell needs finally/tidy/a, finally/tidy/b Finally
    ");
    insta::assert_snapshot!(parts(text), @"
    `` in -: root
    `web` in ``: rollout of web [web-1 web-2 web-3], 0 may fail
    `web/wave-1` in `web`: wave 1 of 1 [web-1 web-2 web-3]
    `web/wave-1/soak` in `web`: soak of wave 1 after web/wave-1
    `finally` in ``: finally
    ");
}

#[test]
fn stages_stand_in_the_order_in_which_they_run() {
    insta::assert_snapshot!(tasks("
steps:
  last: { needs: [middle], uses: aws/compliance, targets: web }
  first: { uses: aws/compliance, targets: db }
  middle: { needs: [first], uses: local/command }
"), @"
    first/wave-1 [db-1 db-2]
    middle needs first
    last/wave-1 [web-1 web-2 web-3] needs middle
    ");
}
