//! restic on a local repository.

use std::{fs, path::Path, process::Command};

use runbook_linux::snapshots::{capture, discard};
use runbook_steps::ports::linux::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{TOKEN, done, revert, run, to_capture, to_revert};

pub(super) const PASSWORD: (&str, &str) = ("RESTIC_PASSWORD", "correct horse");

/// A folder with data, and a repository beside it.
pub(super) fn scene() -> (TempDir, String, String) {
    let folder = TempDir::new().expect("a folder");
    let (data, repository) = (folder.path().join("my data"), folder.path().join("repository"));
    fs::create_dir(&data).expect("made");
    fs::write(data.join("kept.txt"), "as it was\n").expect("written");
    fs::write(data.join("gone.txt"), "deleted later\n").expect("written");
    let made = Command::new("restic")
        .args(["init", "--repo"])
        .arg(&repository)
        .env(PASSWORD.0, PASSWORD.1)
        .output()
        .expect("restic is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = |path: &Path| path.to_str().expect("plain").to_owned();
    (folder, text(&data), text(&repository))
}

#[test]
fn what_was_backed_up_is_put_back_and_what_was_there_is_kept_and_told() {
    let (_folder, data, repository) = scene();
    let asked = to_capture(
        "restic",
        TOKEN,
        json!({
            "repository": repository, "paths": [format!("{data}/")],
            "before": format!("echo dump > '{data}/dump'"), "after": format!("rm '{data}/dump'"),
        }),
    );
    let script = capture(&asked, "r1").expect("known");
    let captured = done(&script, "", &[PASSWORD]);
    assert_eq!(captured["paths"], json!([data]));
    assert!(!Path::new(&data).join("dump").exists(), "the hook afterwards ran");

    // The same once more finds it, and makes no second one.
    assert_eq!(done(&script, "", &[PASSWORD]), captured);

    let read = |name: &str| fs::read_to_string(Path::new(&data).join(name)).ok();
    let written = |name: &str, text: &str| fs::write(Path::new(&data).join(name), text).expect("written");
    written("kept.txt", "changed\n");
    fs::remove_file(Path::new(&data).join("gone.txt")).expect("removed");
    written("since.txt", "new\n");
    // It says that it is old, and is not in the backup all the same.
    let old = fs::File::options().write(true).open(Path::new(&data).join("since.txt")).expect("there");
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("set");
    let given =
        json!({ "repository": repository, "losing": "echo \"row written after $RUNBOOK_BACKUP_AT\"" });
    let asked = to_revert("restic", TOKEN, &captured, given.clone());
    let told = done(&revert(&asked, 1), "", &[PASSWORD]);
    let at = captured["at"].as_str().expect("a time");
    assert_eq!(told["lost"], json!([format!("row written after {at}")]));
    assert_eq!(told["lost_file"], json!([format!("{data}/kept.txt"), format!("{data}/since.txt")]));
    assert_eq!(read("kept.txt").as_deref(), Some("as it was\n"));
    assert_eq!(read("gone.txt").as_deref(), Some("deleted later\n"));
    assert_eq!(read("dump").as_deref(), Some("dump\n"));
    assert_eq!(read("since.txt"), None, "a restore is exact");
    let former = told["former"][0].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(Path::new(&former).join("since.txt")).ok().as_deref(), Some("new\n"));
    let left = |name: &str| name.starts_with(".runbook");
    let beside = fs::read_dir(Path::new(&data).parent().expect("one")).expect("a folder");
    assert!(
        !beside.flatten().any(|entry| entry.file_name().to_str().is_some_and(left)),
        "nothing is left beside"
    );

    // The same job once more has done it; another one goes back once more, and what it puts aside is kept as well.
    written("after.txt", "written after the restore\n");
    assert_eq!(done(&revert(&asked, 1), "", &[PASSWORD])["former"], told["former"]);
    assert_eq!(read("after.txt").as_deref(), Some("written after the restore\n"));
    let again = done(&revert(&asked, 2), "", &[PASSWORD]);
    assert_eq!(again["lost_file"], json!([format!("{data}/after.txt")]));
    assert_eq!(read("after.txt"), None);
    let both = again["former"].as_array().expect("a list").clone();
    assert_eq!((both.len(), &both[0]), (2, &told["former"][0]));
    let second = both[1].as_str().expect("a path").to_owned();
    assert!(Path::new(&second).join("after.txt").exists() && Path::new(&former).join("since.txt").exists());

    let gone = discard(&to_revert("restic", TOKEN, &captured, given), "r1").expect("known");
    done(&gone, "", &[PASSWORD]);
    done(&gone, "", &[PASSWORD]);
    assert!(!Path::new(&former).exists() && !Path::new(&second).exists());
    let (verdict, cause, ..) = run(&revert(&asked, 3), "", &[PASSWORD]);
    assert_eq!((verdict, cause.as_str()), (Verdict::Missing, "the repository has no such backup any more"));
}

#[test]
fn a_mount_point_keeps_its_place_and_what_was_in_it() {
    let (folder, data, repository) = scene();
    let image = folder.path().join("image").display().to_string();
    let made = Command::new("mkfs.ext4").args(["-q", &image, "8M"]).status().expect("mkfs.ext4 runs");
    assert!(made.success());
    // It lives as long as the name space of one script, and the file that it is made of longer.
    let mounted = format!(
        "set -e; mount -o loop '{image}' '{data}'; [ -e '{data}/a' ] || {{ mkdir '{data}/a'; ln -s a '{data}/l'; echo old >'{data}/a/f'; }}; set +e"
    );
    let given = json!({ "repository": repository, "paths": [data] });
    let captured =
        done(&capture(&to_capture("restic", TOKEN, given), "r1").expect("known"), &mounted, &[PASSWORD]);
    let changed = format!("{mounted}; echo new >'{data}/a/f'; echo more >'{data}/more'");
    let look = format!("cd '{data}'; cat a/f; ls -A | grep -v '^.runbook'; cat .runbook-*/more");
    let given = json!({ "repository": repository, "after": format!("({look}) >'{image}.seen'") });
    let told = done(&revert(&to_revert("restic", TOKEN, &captured, given), 1), &changed, &[PASSWORD]);
    assert_eq!(told["lost_file"], json!([format!("{data}/a/f"), format!("{data}/more")]));
    assert!(told["former"][0].as_str().is_some_and(|former| former.starts_with(&data)), "{told}");
    assert_eq!(fs::read_to_string(format!("{image}.seen")).expect("seen"), "old\na\nl\nlost+found\nmore\n");
}

#[test]
fn what_could_not_be_put_back_is_not_taken_for_a_backup() {
    let (folder, data, repository) = scene();
    let at = folder.path().display();
    let link = format!("{at}/link");
    std::os::unix::fs::symlink(&data, &link).expect("a link");
    let tell = |paths: &[&str], before: &str| {
        let given = json!({ "repository": repository, "paths": paths });
        let script = capture(&to_capture("restic", TOKEN, given), "r1").expect("known");
        let (verdict, cause, told, _) = run(&script, before, &[PASSWORD]);
        assert_eq!(told, Value::Null);
        (verdict, cause)
    };
    let refused = |cause: String| (Verdict::Refused, cause);
    assert_eq!(
        tell(&[&link], ""),
        refused(format!("{link} is a link, which is all that would be kept of it: state {data}"))
    );
    for own in ["/", "/etc/", "//usr/./lib/", "/var/lib"] {
        let (verdict, cause) = tell(&[&data, own], "");
        assert_eq!(verdict, Verdict::Refused);
        assert!(cause.contains("is the system's"), "{cause}");
    }
    assert_eq!(tell(&["srv"], ""), refused("srv is no absolute path".to_owned()));
    assert_eq!(
        tell(&[&data, &format!("{at}")], ""),
        refused(format!("{data} lies in {at}: state one of them"))
    );
    assert_eq!(
        tell(&[&data], &format!("mkdir -p '{data}/below'; mount -t tmpfs below '{data}/below'")),
        refused(format!(
            "{data}/below is a file system of its own below {data}: state the folders beside it, and it, as paths of their own"
        ))
    );
    assert_eq!(tell(&[], ""), refused("no path is stated that is to be backed up".to_owned()));
}

#[test]
fn a_folder_of_any_name_is_put_back_and_paths_that_are_missing_are_no_backup() {
    let (folder, _, repository) = scene();
    let odd = folder.path().join("a[1]* \\x").to_str().expect("plain").to_owned();
    fs::create_dir(&odd).expect("made");
    fs::write(format!("{odd}/f"), "old\n").expect("written");
    let given = |before: String| json!({ "repository": repository, "paths": [odd, format!("{odd}.dump")], "before": before });
    let missing = capture(&to_capture("restic", TOKEN, given("true".to_owned())), "r1").expect("known");
    let (verdict, cause, ..) = run(&missing, "", &[PASSWORD]);
    assert_eq!(
        (verdict, cause),
        (Verdict::Missing, format!("{odd}.dump, which is to be backed up, does not exist"))
    );
    let whole =
        capture(&to_capture("restic", TOKEN, given(format!("echo 1 >'{odd}.dump'"))), "r1").expect("known");
    let captured = done(&whole, "", &[PASSWORD]);
    fs::write(format!("{odd}/f"), "new\n").expect("written");
    fs::write(format!("{odd}.dump"), "2\n").expect("written");
    let asked = to_revert("restic", TOKEN, &captured, json!({ "repository": repository }));
    let told = done(&revert(&asked, 1), "", &[PASSWORD]);
    assert_eq!(fs::read_to_string(format!("{odd}/f")).expect("there"), "old\n");
    assert_eq!(fs::read_to_string(format!("{odd}.dump")).expect("there"), "1\n");
    assert_eq!(told["lost_file"], json!([format!("{odd}/f"), format!("{odd}.dump")]));
}

#[test]
fn hooks_run_also_where_it_fails_and_what_cannot_be_told_holds_nothing_up() {
    let (folder, data, repository) = scene();
    let log = folder.path().join("log");
    let say = |words: &str| format!("echo {words} >>'{}'", log.display());
    // The hook reads what would otherwise be the rest of the script.
    let given = json!({
        "repository": repository, "paths": [data], "before": format!("cat\n{}; exit 3", say("stopped")),
        "after": say("started"),
    });
    let (verdict, cause, ..) =
        run(&capture(&to_capture("restic", TOKEN, given), "r1").expect("known"), "", &[PASSWORD]);
    assert_eq!((verdict, cause.as_str()), (Verdict::Failed, "the hook `before` exited with 3"));
    assert_eq!(fs::read_to_string(&log).expect("they ran"), "stopped\nstarted\n");

    let given = json!({ "repository": repository, "paths": [data] });
    let captured = done(&capture(&to_capture("restic", TOKEN, given), "r1").expect("known"), "", &[PASSWORD]);
    fs::remove_file(&log).expect("there");
    fs::write(format!("{data}/kept.txt"), "changed\n").expect("written");
    let given = json!({
        "repository": repository, "losing": "echo row 1; exit 4", "before": say("stopped"), "after": say("started"),
    });
    let told = done(&revert(&to_revert("restic", TOKEN, &captured, given.clone()), 1), "", &[PASSWORD]);
    let untold =
        "what else was written since could not be told: the script `losing` exited with 4 after: row 1";
    assert_eq!(told["lost"], json!([untold]));
    assert_eq!(fs::read_to_string(&log).expect("they ran"), "stopped\nstarted\n");

    // What cannot be fetched stops nothing.
    fs::remove_file(&log).expect("there");
    let full = format!("mount -t tmpfs -o size=4k small '{}'", folder.path().display());
    let bound = format!(
        "cp -a '{0}' /tmp/.restic-{1}; {full}; cp -a /tmp/.restic-{1} '{0}'",
        repository,
        std::process::id()
    );
    let (verdict, ..) = run(&revert(&to_revert("restic", TOKEN, &captured, given), 2), &bound, &[PASSWORD]);
    let _ = fs::remove_dir_all(format!("/tmp/.restic-{}", std::process::id()));
    assert_ne!(verdict, Verdict::Done);
    assert!(!log.exists(), "no hook ran");
}

#[test]
fn a_drill_restores_elsewhere_and_touches_nothing() {
    let (folder, data, repository) = scene();
    let asked = to_capture("restic", TOKEN, json!({ "repository": repository, "paths": [data] }));
    let captured = done(&capture(&asked, "r1").expect("known"), "", &[PASSWORD]);
    fs::write(Path::new(&data).join("kept.txt"), "changed\n").expect("written");
    let into = folder.path().join("drill").to_str().expect("plain").to_owned();
    let given = json!({ "repository": repository, "into": into });
    let told = done(&revert(&to_revert("restic", TOKEN, &captured, given), 1), "", &[PASSWORD]);
    assert_eq!(told["into"], json!(into));
    assert_eq!(fs::read_to_string(format!("{into}{data}/kept.txt")).expect("there"), "as it was\n");
    assert_eq!(fs::read_to_string(Path::new(&data).join("kept.txt")).expect("there"), "changed\n");
}

#[test]
fn a_wrong_password_a_missing_repository_and_a_failing_hook_are_told_apart() {
    let (_folder, data, repository) = scene();
    let tell = |given: Value, env: &[(&str, &str)]| {
        let (verdict, cause, told, _) =
            run(&capture(&to_capture("restic", TOKEN, given), "r1").expect("known"), "", env);
        assert_eq!(told, Value::Null);
        (verdict, cause)
    };
    let given = json!({ "repository": repository, "paths": [data] });
    let (verdict, cause) = tell(given.clone(), &[("RESTIC_PASSWORD", "wrong")]);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Refused, "the repository does not open with this password")
    );
    let (verdict, cause) =
        tell(json!({ "repository": format!("{repository}-not"), "paths": [data] }), &[PASSWORD]);
    assert_eq!(verdict, Verdict::Missing);
    assert!(
        cause.starts_with("there is no repository that can be opened; create one with `restic init`"),
        "{cause}"
    );
    let (verdict, cause) =
        tell(json!({ "repository": repository, "paths": [format!("{data}/not")] }), &[PASSWORD]);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Missing, format!("{data}/not, which is to be backed up, does not exist").as_str())
    );
    let mut hooked = given;
    hooked["before"] = json!("exit 3");
    let (verdict, cause) = tell(hooked, &[PASSWORD]);
    assert_eq!((verdict, cause.as_str()), (Verdict::Failed, "the hook `before` exited with 3"));
    let (verdict, cause) = tell(json!({ "paths": [data] }), &[PASSWORD]);
    assert_eq!(verdict, Verdict::Refused, "{cause}");
}

/// Somebody else who uses the repository, until this is dropped; then nobody is there any more, and the lock is.
struct Other(std::process::Child);

impl Other {
    /// `restic`, with these arguments: it waits for what nobody tells it.
    fn with(repository: &str, arguments: &[&str]) -> Self {
        let child = Command::new("restic")
            .args(["--repo", repository])
            .args(arguments)
            .env(PASSWORD.0, PASSWORD.1)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("restic starts");
        while fs::read_dir(format!("{repository}/locks")).expect("there").count() == 0 {
            std::thread::yield_now();
        }
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What puts a program of ours, which runs this, before the system's.
pub(super) fn tool(folder: &TempDir, name: &str, script: &str) -> String {
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).expect("made");
    fs::write(tools.join(name), format!("#!/bin/sh\n{script}")).expect("written");
    fs::set_permissions(tools.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("a program");
    format!("mount --bind '{}' /usr/local/sbin", tools.display())
}

#[test]
fn a_repository_that_somebody_else_uses_is_waited_for_and_then_told_to_be_locked() {
    let (folder, data, repository) = scene();
    // Time does not pass here.
    let timeless = tool(&folder, "sleep", "");
    let env = [PASSWORD];
    let given = json!({ "repository": repository, "paths": [data] });
    let whole = capture(&to_capture("restic", TOKEN, given), "r1").expect("known");
    let captured = done(&whole, &timeless, &env);
    fs::write(format!("{data}/kept.txt"), "changed\n").expect("written");
    let asked = to_revert("restic", TOKEN, &captured, json!({ "repository": repository }));
    let gone = discard(&asked, "r1").expect("known");

    // A backup of another host holds what deletes up, and nothing else.
    let other = Other::with(&repository, &["backup", "--stdin"]);
    let (verdict, cause, ..) = run(&gone, &timeless, &env);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert!(cause.contains("already locked"), "{cause}");
    assert_eq!(done(&whole, &timeless, &env), captured, "it is found without a lock");
    done(&revert(&asked, 1), &timeless, &env);
    assert_eq!(fs::read_to_string(format!("{data}/kept.txt")).expect("there"), "as it was\n");

    // That host went down: nobody waits for the dead.
    drop(other);
    assert_eq!(done(&gone, &timeless, &env)["gone"], "yes");
    assert_eq!(done(&gone, &timeless, &env)["found"], "no");
}

#[test]
fn a_repository_without_room_is_told_and_the_service_runs_again() {
    let (folder, data, repository) = scene();
    let at = folder.path().display();
    let small = format!(
        "set -e; cp -a '{repository}' '{at}/copy'; mount -t tmpfs -o size=300k small '{repository}'; cp -a '{at}/copy/.' '{repository}'; \
         head -c 3000000 /dev/urandom >'{data}/big'; set +e"
    );
    let given = json!({
        "repository": repository, "paths": [data], "before": format!("echo stopped >>'{at}/log'"),
        "after": format!("echo started >>'{at}/log'"),
    });
    let whole = capture(&to_capture("restic", TOKEN, given), "r1").expect("known");
    let (verdict, cause, told, _) = run(&whole, &small, &[PASSWORD]);
    assert_eq!(verdict, Verdict::DiskFull, "{cause}");
    assert_eq!(told, Value::Null);
    assert_eq!(fs::read_to_string(format!("{at}/log")).expect("they ran"), "stopped\nstarted\n");
}

#[test]
fn a_way_back_that_was_killed_between_its_two_moves_is_gone_by_the_next_one() {
    let (folder, data, repository) = scene();
    let given = json!({ "repository": repository, "paths": [data] });
    let captured = done(&capture(&to_capture("restic", TOKEN, given), "r1").expect("known"), "", &[PASSWORD]);
    fs::write(format!("{data}/kept.txt"), "changed\n").expect("written");
    let asked = to_revert("restic", TOKEN, &captured, json!({ "repository": repository }));
    // The second move is never made.
    let once = folder.path().join("once").display().to_string();
    let cut =
        format!("[ ! -e '{once}' ] || {{ kill -9 $PPID; exit 1; }}\n: >'{once}'\nexec /usr/bin/mv \"$@\"\n");
    let (verdict, ..) = run(&revert(&asked, 1), &tool(&folder, "mv", &cut), &[PASSWORD]);
    assert_ne!(verdict, Verdict::Done);
    assert!(!Path::new(&data).exists(), "it was cut where it hurts");
    let told = done(&revert(&asked, 2), "", &[PASSWORD]);
    assert_eq!(fs::read_to_string(format!("{data}/kept.txt")).expect("there"), "as it was\n");
    let former = told["former"][0].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(format!("{former}/kept.txt")).expect("there"), "changed\n");
}
