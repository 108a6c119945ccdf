//! btrfs and snapper, on a file system in a file.

use std::{fs, path::Path, process::Command};

use runbook_linux::snapshots::{capture, discard, revert};
use runbook_steps::ports::linux::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{done, run, to_capture, to_revert};

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
    let script = capture(&to_capture("btrfs", "t-1", json!({ "path": path })), "r1").expect("known");
    let captured = done(&script, "", &[]);
    assert_eq!(done(&script, "", &[]), captured);
    fs::write(&file, "new\n").expect("written");
    let back = revert(&to_revert("btrfs", "t-1", &captured, Value::Null), "r1").expect("known");
    let told = done(&back, "", &[]);
    assert_eq!(told["reboot"], "no");
    assert_eq!(fs::read_to_string(&file).expect("there"), "old\n");
    let former = told["former"][0].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(Path::new(&former).join("state")).expect("there"), "new\n");
    fs::write(&file, "after the restore\n").expect("written");
    assert_eq!(done(&back, "", &[]), told);
    assert_eq!(
        fs::read_to_string(&file).expect("there"),
        "after the restore\n",
        "a repeated restore is none"
    );
    let gone = discard(&to_revert("btrfs", "t-1", &captured, Value::Null), "r1").expect("known");
    done(&gone, "", &[]);
    assert!(!Path::new(&former).exists());
    assert_eq!(fs::read_to_string(&file).expect("there"), "after the restore\n");
}

#[test]
fn a_path_that_is_no_subvolume_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().to_str().expect("plain");
    let script = capture(&to_capture("btrfs", "t-1", json!({ "path": path })), "r1").expect("known");
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
    let asked = to_capture("snapper", "t-1", json!({ "config": "test" }));
    let script = capture(&asked, "r1").expect("known");
    let captured = done(&script, &before, &[]);
    assert_eq!(done(&script, &before, &[]), captured, "found by its userdata");
    fs::write(&file, "new\n").expect("written");
    fs::write(Path::new(&path).join("more"), "came newly\n").expect("written");
    let back = revert(&to_revert("snapper", "t-1", &captured, Value::Null), "r1").expect("known");
    assert_eq!(done(&back, &before, &[])["reboot"], "no");
    assert_eq!(fs::read_to_string(&file).expect("there"), "old\n");
    assert!(!Path::new(&path).join("more").exists());
    done(&back, &before, &[]);
    done(&discard(&to_revert("snapper", "t-1", &captured, Value::Null), "r1").expect("known"), &before, &[]);
    let (verdict, cause, ..) = run(&back, &before, &[]);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Missing, "snapper has no snapshot of ours in `test`: it was deleted")
    );
}
