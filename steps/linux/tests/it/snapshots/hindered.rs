//! restic where something is in the way: what cannot be moved, and a repository that is not free.

use std::fs;

use runbook_linux::snapshots::capture;
use runbook_steps::ports::linux::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    TOKEN, done,
    restic::{PASSWORD, scene, tool},
    revert, run, to_capture, to_revert,
};

/// A file system that is mounted at the data, was backed up, and has changed since.
struct Mounted {
    folder: TempDir,
    data: String,
    repository: String,
    captured: Value,
    changed: String,
}

impl Mounted {
    fn new() -> Self {
        let (folder, data, repository) = scene();
        let image = folder.path().join("image").display().to_string();
        let made = std::process::Command::new("mkfs.ext4").args(["-q", &image, "8M"]).status();
        assert!(made.expect("mkfs.ext4 runs").success());
        let mounted =
            format!("set -e; mount -o loop '{image}' '{data}'; cd '{data}'; [ -e a ] || echo old >a; set +e");
        let given = json!({ "repository": repository, "paths": [data] });
        let script = capture(&to_capture("restic", TOKEN, given), "r1").expect("known");
        let captured = done(&script, &mounted, &[PASSWORD]);
        let changed = format!("{mounted}; echo new >a; echo more >more; cd /");
        Self { folder, data, repository, captured, changed }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A way back with `before` run first; also what the hook `after` saw: whether it was put back, the files, and the copy.
    fn back(&self, job: u8, before: &str) -> (Verdict, String, String) {
        let data = &self.data;
        let look = format!(
            "(echo $RUNBOOK_RESTORED; cd '{data}'; ls; cat a more .runbook-*-stage'{data}/a' 2>/dev/null || :) >'{}'",
            self.at("seen")
        );
        let given = json!({ "repository": self.repository, "after": look });
        let asked = to_revert("restic", TOKEN, &self.captured, given);
        let (verdict, cause, ..) =
            run(&revert(&asked, job), &format!("{}; {before}", self.changed), &[PASSWORD]);
        (verdict, cause, fs::read_to_string(self.at("seen")).unwrap_or_default())
    }
}

#[test]
fn a_mount_point_with_something_that_cannot_be_moved_stays_as_it_is_and_the_copy_too() {
    let mounted = Mounted::new();
    let (verdict, cause, seen) = mounted.back(1, &format!("chattr +i '{}/more'", mounted.data));
    assert_eq!(verdict, Verdict::Failed, "{cause}");
    assert!(cause.contains("cannot be moved: ") && cause.contains("not permitted"), "{cause}");
    assert_eq!(seen, "no\na\nlost+found\nmore\nnew\nmore\nold\n");

    // Once nothing is in the way it goes back.
    let free = format!("chattr -i '{}/more'", mounted.data);
    let freed = mounted.changed.replace("echo new", &format!("{free}; echo new"));
    let (verdict, cause, seen) = Mounted { changed: freed, ..mounted }.back(2, "");
    assert_eq!((verdict, seen.as_str()), (Verdict::Done, "yes\na\nlost+found\nold\n"), "{cause}");
}

#[test]
fn where_the_backup_cannot_take_its_place_what_was_there_has_it_again() {
    let mounted = Mounted::new();
    let broken =
        "case $5 in *-stage/*) echo 'mv: it is broken' >&2; exit 1 ;; esac\nexec /usr/bin/mv \"$@\"\n";
    let (verdict, cause, seen) = mounted.back(1, &tool(&mounted.folder, "mv", broken));
    assert_eq!(
        (verdict, cause),
        (Verdict::Failed, format!("{} cannot be put back: mv: it is broken", mounted.data))
    );
    assert_eq!(seen, "no\na\nlost+found\nmore\nnew\nmore\nold\n");
    let (verdict, cause, seen) = mounted.back(2, "");
    assert_eq!((verdict, seen.as_str()), (Verdict::Done, "yes\na\nlost+found\nold\n"), "{cause}");
}

#[test]
fn what_was_mounted_below_since_is_told_before_anything_is_stopped() {
    let mounted = Mounted::new();
    let below = format!("{}/below", mounted.data);
    let (verdict, cause, seen) = mounted.back(1, &format!("mkdir '{below}'; mount -t tmpfs below '{below}'"));
    assert_eq!(verdict, Verdict::Refused, "{cause}");
    assert!(cause.starts_with(&format!("{below} is a file system of its own")), "{cause}");
    assert_eq!(seen, "", "no hook ran");
}

#[test]
fn a_repository_that_is_not_free_is_waited_for_while_the_service_runs() {
    let (folder, data, repository) = scene();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // Somebody has it to himself from when `locked` is there. Time does not pass here, it is counted.
    let restic = format!(
        "case $* in *--no-lock*) ;; *) [ ! -e '{}' ] || {{ echo 'Fatal: unable to create lock: repository is already locked exclusively' >&2; exit 1; }} ;; esac\n\
         exec /usr/bin/restic \"$@\"\n",
        at("locked")
    );
    let tools = tool(&folder, "restic", &restic);
    fs::write(at("tools/sleep"), format!("#!/bin/sh\necho >>'{}'\n", at("slept"))).expect("written");
    fs::set_permissions(at("tools/sleep"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("a program");
    let slept = || fs::read_to_string(at("slept")).unwrap_or_default().len();
    let given = json!({
        "repository": repository, "paths": [data], "before": format!("echo stopped >>'{0}'; : >'{1}'", at("log"), at("locked")),
        "after": format!("echo started >>'{}'", at("log")),
    });
    let whole = capture(&to_capture("restic", TOKEN, given), "r1").expect("known");
    fs::write(at("locked"), "").expect("written");
    let (verdict, cause, ..) = run(&whole, &tools, &[PASSWORD]);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert!(fs::metadata(at("log")).is_err(), "nothing was stopped");
    assert!(slept() > 60, "it was waited for");

    // Somebody takes it at the last moment: the service does not stand still for that.
    fs::remove_file(at("locked")).expect("there");
    fs::remove_file(at("slept")).expect("there");
    let (verdict, cause, ..) = run(&whole, &tools, &[PASSWORD]);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert_eq!(fs::read_to_string(at("log")).expect("they ran"), "stopped\nstarted\n");
    assert_eq!(slept(), 2);
}

#[test]
fn where_the_files_do_not_go_back_the_shipped_runbook_starts_the_service_and_leaves_the_database() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/change-database.yaml");
    let shipped = fs::read_to_string(shipped).expect("it is shipped");
    let (_, after) = shipped.rsplit_once("      after: |\n").expect("it has a hook");
    let after =
        after.replace("{{ params.service | sh }}", "shop").replace("{{ params.database | sh }}", "shop");
    assert!(!after.contains("{{"), "{after}");
    let after: String =
        after.lines().map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line))).collect();

    let (folder, data, repository) = scene();
    let given = json!({ "repository": repository, "paths": [data] });
    let captured = done(&capture(&to_capture("restic", TOKEN, given), "r1").expect("known"), "", &[PASSWORD]);
    let log = folder.path().join("log");
    let tools = tool(&folder, "mv", "[ ! -e \"${0%/*}/stuck\" ] || exit 1\nexec /usr/bin/mv \"$@\"\n");
    for name in ["service", "runuser"] {
        let program = folder.path().join("tools").join(name);
        fs::write(&program, format!("#!/bin/sh\necho {name} $1 $2 >>'{}'\n", log.display()))
            .expect("written");
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("a program");
    }
    let stuck = folder.path().join("tools/stuck");
    fs::write(&stuck, "").expect("written");
    let asked = to_revert("restic", TOKEN, &captured, json!({ "repository": repository, "after": after }));
    let (verdict, cause, ..) = run(&revert(&asked, 1), &tools, &[PASSWORD]);
    assert_eq!((verdict, cause), (Verdict::Failed, format!("{data} cannot be moved")));
    assert_eq!(fs::read_to_string(&log).expect("it ran"), "service shop start\n");

    fs::remove_file(&stuck).expect("there");
    done(&revert(&asked, 2), &tools, &[PASSWORD]);
    let asked = fs::read_to_string(&log).expect("it ran");
    assert_eq!(
        asked.lines().collect::<Vec<_>>(),
        ["service shop start", "runuser -u postgres", "runuser -u postgres", "service shop start"]
    );
}
