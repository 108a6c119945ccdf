//! btrfs and snapper, on a file system in a file.

use std::{fs, path::Path, process::Command};

use runbook_linux::snapshots::{capture, discard};
use runbook_steps::ports::linux::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{TOKEN, done, revert, run, to_capture, to_revert};

/// A btrfs in a file, mounted for as long as this lives; below it a subvolume `srv`.
struct Volume {
    folder: TempDir,
    at: String,
}

impl Volume {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path().join("at").to_str().expect("plain").to_owned();
        let made = Command::new("sh")
            .args(["-euc", "truncate -s 128M \"$1.img\"; mkfs.btrfs -q \"$1.img\"; mkdir \"$1\"; mount -o loop \"$1.img\" \"$1\"; btrfs -q subvolume create \"$1/srv\"", "sh", &at])
            .output()
            .expect("sh runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder, at }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

#[test]
fn a_subvolume_comes_back_as_it_was_and_what_was_there_lies_beside_it() {
    let volume = Volume::new();
    let path = format!("{}/srv", volume.at);
    let file = Path::new(&path).join("state");
    fs::write(&file, "old\n").expect("written");
    let script = capture(&to_capture("btrfs", TOKEN, json!({ "path": path })), "r1").expect("known");
    let captured = done(&script, "", &[]);
    assert_eq!(done(&script, "", &[]), captured);
    fs::write(&file, "new\n").expect("written");
    let back = revert(&to_revert("btrfs", TOKEN, &captured, Value::Null), 1);
    let told = done(&back, "", &[]);
    assert_eq!(told["reboot"], "no");
    assert_eq!(fs::read_to_string(&file).expect("there"), "old\n");
    let former = told["former"][0].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(Path::new(&former).join("state")).expect("there"), "new\n");
    fs::write(&file, "after the restore\n").expect("written");
    assert_eq!(done(&back, "", &[]), told);
    assert_eq!(fs::read_to_string(&file).expect("there"), "after the restore\n", "one job goes back once");

    // Whoever goes back once more wants it to be as it was, once more.
    let again = done(&revert(&to_revert("btrfs", TOKEN, &captured, Value::Null), 2), "", &[]);
    assert_eq!(fs::read_to_string(&file).expect("there"), "old\n");
    assert_eq!(again["former"].as_array().map(Vec::len), Some(2), "{again}");
    let put_aside = again["former"][1].as_str().expect("a path");
    assert_eq!(fs::read_to_string(Path::new(put_aside).join("state")).expect("there"), "after the restore\n");

    let gone = discard(&to_revert("btrfs", TOKEN, &captured, Value::Null), "r1").expect("known");
    done(&gone, "", &[]);
    assert!(!Path::new(&former).exists() && !Path::new(put_aside).exists());
    assert_eq!(fs::read_to_string(&file).expect("there"), "old\n");
}

#[test]
fn hooks_run_around_the_way_back_and_also_where_it_fails() {
    let volume = Volume::new();
    let path = format!("{}/srv", volume.at);
    let script = capture(&to_capture("btrfs", TOKEN, json!({ "path": path })), "r1").expect("known");
    let captured = done(&script, "", &[]);
    let log = volume.folder.path().join("log");
    let say = |words: &str| format!("echo {words} >>'{}'", log.display());
    let hooks = json!({ "before": say("before"), "after": say("after") });
    let asked = to_revert("btrfs", TOKEN, &captured, hooks);
    done(&revert(&asked, 1), "", &[]);
    assert_eq!(fs::read_to_string(&log).expect("they ran"), "before\nafter\n");

    // Something holds the name that what is there would get.
    let busy =
        to_revert("btrfs", TOKEN, &captured, json!({ "before": say("b"), "after": say("a") + "; exit 3" }));
    let (verdict, cause, ..) =
        run(&revert(&busy, 2), "mount --bind '{}' '{}'".replace("{}", &path).as_str(), &[]);
    assert_eq!(verdict, Verdict::Failed);
    assert!(
        cause.contains("cannot be moved") && cause.ends_with("; the hook `after` exited with 3"),
        "{cause}"
    );
    assert_eq!(fs::read_to_string(&log).expect("they ran"), "before\nafter\nb\na\n");
}

#[test]
fn a_path_that_is_no_subvolume_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().to_str().expect("plain");
    let script = capture(&to_capture("btrfs", TOKEN, json!({ "path": path })), "r1").expect("known");
    let (verdict, cause, ..) = run(&script, "", &[]);
    assert_eq!((verdict, cause), (Verdict::Missing, format!("{path} is no btrfs subvolume")));
}

#[test]
fn snapper_undoes_file_by_file_what_happened_since() {
    let volume = Volume::new();
    let path = format!("{}/srv", volume.at);
    let kept = volume.folder.path().join("snapper").to_str().expect("plain").to_owned();
    // Its configurations stay in the test's own folder.
    let before = format!(
        "set -e; mkdir -p '{kept}'; [ -e '{kept}/configs' ] || cp -a /etc/snapper/. '{kept}/'; mount --bind '{kept}' /etc/snapper; \
         touch '{kept}/defaults'; mount --bind '{kept}/defaults' /etc/default/snapper; \
         [ -e /etc/snapper/configs/test ] || snapper --no-dbus -c test create-config -f btrfs '{path}'; set +e"
    );
    let file = Path::new(&path).join("state");
    fs::write(&file, "old\n").expect("written");
    let asked = to_capture("snapper", TOKEN, json!({ "config": "test" }));
    let script = capture(&asked, "r1").expect("known");
    let captured = done(&script, &before, &[]);
    assert_eq!(done(&script, &before, &[]), captured, "found by its userdata");
    fs::write(&file, "new\n").expect("written");
    fs::write(Path::new(&path).join("more"), "came newly\n").expect("written");
    let back = revert(&to_revert("snapper", TOKEN, &captured, Value::Null), 1);
    assert_eq!(done(&back, &before, &[])["reboot"], "no");
    assert_eq!(fs::read_to_string(&file).expect("there"), "old\n");
    assert!(!Path::new(&path).join("more").exists());
    done(&back, &before, &[]);
    done(&discard(&to_revert("snapper", TOKEN, &captured, Value::Null), "r1").expect("known"), &before, &[]);
    let (verdict, cause, ..) = run(&back, &before, &[]);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Missing, "snapper has no snapshot of ours in `test`: it was deleted")
    );
}
