//! restic on a local repository.

use std::{fs, path::Path, process::Command};

use runbook_linux::snapshots::{capture, discard, revert};
use runbook_steps::ports::linux::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{done, run, to_capture, to_revert};

const PASSWORD: (&str, &str) = ("RESTIC_PASSWORD", "correct horse");

/// A folder with data, and a repository beside it.
fn scene() -> (TempDir, String, String) {
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
    let (folder, data, repository) = scene();
    let asked = to_capture(
        "restic",
        "t-1",
        json!({
            "repository": repository, "paths": [data],
            "before": format!("echo dump > '{data}/dump'"), "after": format!("rm '{data}/dump'"),
        }),
    );
    let script = capture(&asked, "r1").expect("known");
    let captured = done(&script, "", &[PASSWORD]);
    assert_eq!(captured["paths"], json!([data]));
    assert!(!Path::new(&data).join("dump").exists(), "the hook afterwards ran");

    // The same once more finds it, and makes no second one.
    assert_eq!(done(&script, "", &[PASSWORD]), captured);

    // A whole second later: that is how exact the time of a backup is.
    let written = Path::new(&data).join("since.txt");
    fs::write(Path::new(&data).join("kept.txt"), "changed\n").expect("written");
    fs::remove_file(Path::new(&data).join("gone.txt")).expect("removed");
    fs::write(&written, "new\n").expect("written");
    for name in ["since.txt", "kept.txt"] {
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        let file = fs::File::options().write(true).open(Path::new(&data).join(name)).expect("there");
        file.set_modified(later).expect("set");
    }
    let given =
        json!({ "repository": repository, "losing": "echo \"row written after $RUNBOOK_BACKUP_AT\"" });
    let back = revert(&to_revert("restic", "t-1", &captured, given.clone()), "r1").expect("known");
    let told = done(&back, "", &[PASSWORD]);
    let at = captured["at"].as_str().expect("a time");
    assert_eq!(told["lost"], json!([format!("row written after {at}")]));
    let mut lost: Vec<_> =
        told["lost_file"].as_array().expect("files").iter().map(|file| file.to_string()).collect();
    lost.sort();
    assert_eq!(lost, [format!("\"{data}/kept.txt\""), format!("\"{data}/since.txt\"")]);
    let read = |name: &str| fs::read_to_string(Path::new(&data).join(name)).ok();
    assert_eq!(read("kept.txt").as_deref(), Some("as it was\n"));
    assert_eq!(read("gone.txt").as_deref(), Some("deleted later\n"));
    assert_eq!(read("dump").as_deref(), Some("dump\n"));
    assert_eq!(read("since.txt"), None, "a restore is exact");
    let former = told["former"][0].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(Path::new(&former).join("since.txt")).ok().as_deref(), Some("new\n"));

    // Repeated: the same as once; what was put aside is still what there was before the first time.
    fs::write(Path::new(&data).join("after.txt"), "written after the restore\n").expect("written");
    let again = done(&back, "", &[PASSWORD]);
    assert_eq!(again["former"], told["former"]);
    assert!(Path::new(&former).join("since.txt").exists());
    assert_eq!(read("after.txt").as_deref(), Some("written after the restore\n"));

    let gone = discard(&to_revert("restic", "t-1", &captured, given), "r1").expect("known");
    done(&gone, "", &[PASSWORD]);
    done(&gone, "", &[PASSWORD]);
    assert!(!Path::new(&former).exists());
    let (verdict, cause, ..) = run(&back, "", &[PASSWORD]);
    assert_eq!((verdict, cause.as_str()), (Verdict::Missing, "the repository has no such backup any more"));
    drop(folder);
}

#[test]
fn a_drill_restores_elsewhere_and_touches_nothing() {
    let (folder, data, repository) = scene();
    let asked = to_capture("restic", "t-2", json!({ "repository": repository, "paths": [data] }));
    let captured = done(&capture(&asked, "r1").expect("known"), "", &[PASSWORD]);
    fs::write(Path::new(&data).join("kept.txt"), "changed\n").expect("written");
    let into = folder.path().join("drill").to_str().expect("plain").to_owned();
    let given = json!({ "repository": repository, "into": into });
    let told =
        done(&revert(&to_revert("restic", "t-2", &captured, given), "r1").expect("known"), "", &[PASSWORD]);
    assert_eq!(told["into"], json!(into));
    assert_eq!(fs::read_to_string(format!("{into}{data}/kept.txt")).expect("there"), "as it was\n");
    assert_eq!(fs::read_to_string(Path::new(&data).join("kept.txt")).expect("there"), "changed\n");
}

#[test]
fn a_wrong_password_a_missing_repository_and_a_failing_hook_are_told_apart() {
    let (_folder, data, repository) = scene();
    let tell = |given: Value, env: &[(&str, &str)]| {
        let (verdict, cause, told, _) =
            run(&capture(&to_capture("restic", "t-3", given), "r1").expect("known"), "", env);
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
        (Verdict::Missing, "a path that is to be backed up does not exist")
    );
    let mut hooked = given;
    hooked["before"] = json!("exit 3");
    let (verdict, cause) = tell(hooked, &[PASSWORD]);
    assert_eq!((verdict, cause.as_str()), (Verdict::Failed, "the hook `before` exited with 3"));
    let (verdict, cause) = tell(json!({ "paths": [data] }), &[PASSWORD]);
    assert_eq!(verdict, Verdict::Refused, "{cause}");
}
