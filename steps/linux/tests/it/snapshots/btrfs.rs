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
    assert_eq!(done(&gone, "", &[])["found"], "no");
    let (verdict, cause, told, _) = run(&gone, &format!("umount '{}'", volume.at), &[]);
    assert_eq!((verdict, told), (Verdict::Missing, Value::Null), "it is not mounted: {cause}");
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

    // What is there cannot be put aside.
    let busy =
        to_revert("btrfs", TOKEN, &captured, json!({ "before": say("b"), "after": say("a") + "; exit 3" }));
    let stuck = "mount -t tmpfs tools /usr/local/sbin; cp /bin/false /usr/local/sbin/mv";
    let (verdict, cause, ..) = run(&revert(&busy, 2), stuck, &[]);
    assert_eq!(verdict, Verdict::Failed);
    assert!(
        cause.contains("cannot be moved") && cause.ends_with("; the hook `after` exited with 3"),
        "{cause}"
    );
    assert_eq!(fs::read_to_string(&log).expect("they ran"), "before\nafter\nb\na\n");

    // Somebody mounted something there since: that is known before anything is stopped.
    let mounted = "mount --bind '{}' '{}'".replace("{}", &path);
    let (verdict, cause, ..) = run(&revert(&busy, 3), &mounted, &[]);
    assert_eq!(verdict, Verdict::Refused, "{cause}");
    assert!(cause.starts_with(&format!("{path} is where a file system is mounted")), "{cause}");
    assert_eq!(fs::read_to_string(&log).expect("they ran"), "before\nafter\nb\na\n");
}

#[test]
fn what_cannot_be_put_aside_or_would_not_come_back_is_refused_at_the_backup() {
    let volume = Volume::new();
    let tell = |path: &str, before: &str| {
        let script = capture(&to_capture("btrfs", TOKEN, json!({ "path": path })), "r1").expect("known");
        let (verdict, cause, ..) = run(&script, before, &[]);
        assert_eq!(verdict, Verdict::Refused, "{cause}");
        cause
    };
    let cause = tell(&volume.at, "");
    assert!(cause.starts_with(&format!("{} is where a file system is mounted", volume.at)), "{cause}");
    let path = format!("{}/srv", volume.at);
    let cause = tell(&path, &format!("mkdir '{path}/below'; mount -t tmpfs below '{path}/below'"));
    assert!(cause.starts_with(&format!("{path}/below is a file system of its own below {path}")), "{cause}");
    let cause = tell(&path, &format!("btrfs -q subvolume create '{path}/nested'"));
    assert!(cause.starts_with(&format!("srv/nested is a subvolume of its own below {path}")), "{cause}");
    assert!(!Path::new(&path).join(".runbook").exists(), "nothing was made");
}

#[test]
fn backups_of_one_subvolume_outlive_the_ways_back_to_each_other() {
    let volume = Volume::new();
    let path = format!("{}/srv", volume.at);
    let file = Path::new(&path).join("state");
    let captured = |token: &str, state: &str| {
        fs::write(&file, state).expect("written");
        done(&capture(&to_capture("btrfs", token, json!({ "path": path })), "r1").expect("known"), "", &[])
    };
    let later = "1a2b3c4d-0000-5000-8000-000000000000";
    let (first, second) = (captured(TOKEN, "first"), captured(later, "second"));
    fs::write(&file, "now").expect("written");
    let asked = |state: &str| match state {
        "first" => to_revert("btrfs", TOKEN, &first, Value::Null),
        _ => to_revert("btrfs", later, &second, Value::Null),
    };
    let back = |state: &str, job: u8| {
        done(&revert(&asked(state), job), "", &[]);
        assert_eq!(fs::read_to_string(&file).expect("there"), state, "job {job}");
    };
    for (state, job) in [("second", 1), ("first", 2), ("second", 3)] {
        back(state, job);
    }
    let gone = |state: &str| {
        let told = done(&discard(&asked(state), "r1").expect("known"), "", &[]);
        assert_eq!((&told["gone"], &told["found"]), (&json!("yes"), &Value::Null));
    };
    gone("first");
    back("second", 4);
    gone("second");
    let left = Command::new("btrfs").args(["subvolume", "list", &volume.at]).output().expect("btrfs runs");
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    assert_eq!(left.lines().count(), 1, "{left}");
    assert_eq!(fs::read_to_string(&file).expect("there"), "second");
}

#[test]
fn a_root_that_is_booted_by_the_name_of_its_subvolume_is_refused() {
    let root = Root::new();
    let script = capture(&to_capture("btrfs", TOKEN, Value::Null), "r1").expect("known");
    let booted = |flags: &str| {
        let said = format!("echo 'root=/dev/vda2 ro {flags}' >tmp/said; mount --bind tmp/said proc/cmdline");
        let (verdict, cause, ..) = run(&script, &root.before(&said), &[]);
        (verdict, cause.contains("mounted by the name of its subvolume"))
    };
    for flags in ["rootflags=subvol=@", "rootflags=compress=zstd,subvol=@ quiet", "rootflags=subvolid=256"] {
        assert_eq!(booted(flags), (Verdict::Refused, true), "{flags}");
    }
    assert_eq!(booted("rootflags=compress=zstd quiet"), (Verdict::Done, false));
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

/// A host in a btrfs, whose root is its default subvolume: what follows runs in it, with the programs of this machine.
struct Root {
    volume: Volume,
}

impl Root {
    fn new() -> Self {
        let volume = Volume::new();
        let root = Self { volume };
        let lay = "btrfs -q subvolume create \"$1/root\"
            btrfs subvolume set-default \"$1/root\"
            cd \"$1/root\"
            mkdir -p usr/bin usr/sbin usr/lib usr/lib64 usr/share usr/local/sbin etc/default dev proc sys var/lib/dpkg run tmp boot mnt
            for each in bin sbin lib lib64; do ln -s usr/$each $each; done
            cp -a /etc/snapper /etc/passwd /etc/group /etc/alternatives etc/
            : >etc/default/snapper
            echo old >state";
        let made = Command::new("sh").args(["-euc", lay, "sh", &root.volume.at]).output().expect("sh runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        root
    }

    /// What makes a script run in it: it boots the default subvolume. `more` is run first, at its root.
    fn before(&self, more: &str) -> String {
        format!(
            "set -e; mkdir -p '{0}.boot'; mount -o loop '{0}.img' '{0}.boot'; cd '{0}.boot'
            for each in bin sbin lib lib64 share; do [ ! -d /usr/$each ] || mount --bind /usr/$each usr/$each; done
            mount --bind /dev dev; mount -t proc proc proc; mount -t tmpfs tmp tmp; {more}
            exec chroot . sh -s",
            self.volume.at
        )
    }

    /// What a file of it holds, by what it boots.
    fn reads(&self, file: &str) -> String {
        let boot = self.before("").replace("sh -s", &format!("cat {file}"));
        let seen =
            Command::new("unshare").args(["--mount", "sh", "-c", &boot]).output().expect("unshare runs");
        String::from_utf8_lossy(&seen.stdout).into_owned()
    }
}

#[test]
fn a_root_goes_back_with_the_next_boot_and_once_more_with_the_one_after() {
    let root = Root::new();
    let script = capture(&to_capture("btrfs", TOKEN, Value::Null), "r1").expect("known");
    let captured = done(&script, &root.before(""), &[]);
    for job in [1, 2] {
        let asked = to_revert("btrfs", TOKEN, &captured, Value::Null);
        let told = done(&revert(&asked, job), &root.before("echo new >state"), &[]);
        assert_eq!(told["reboot"], "yes");
        assert_eq!(root.reads("/state"), "old\n", "the {job}. time");
    }
    let gone = discard(&to_revert("btrfs", TOKEN, &captured, Value::Null), "r1").expect("known");
    done(&gone, &root.before(""), &[]);
    assert_eq!(root.reads("/state"), "old\n");
    let asked = to_revert("btrfs", TOKEN, &captured, Value::Null);
    let (verdict, cause, ..) = run(&revert(&asked, 3), &root.before(""), &[]);
    assert_eq!(verdict, Verdict::Missing, "{cause}");
}

#[test]
fn snapper_rolls_a_root_back_with_the_next_boot() {
    let root = Root::new();
    let configured =
        "[ -e etc/snapper/configs/root ] || chroot . snapper --no-dbus -c root create-config -f btrfs /";
    let script = capture(&to_capture("snapper", TOKEN, Value::Null), "r1").expect("known");
    let captured = done(&script, &root.before(configured), &[]);
    assert_eq!(captured["mode"], "rollback");
    let asked = to_revert("snapper", TOKEN, &captured, Value::Null);
    let told = done(&revert(&asked, 1), &root.before("echo new >state"), &[]);
    assert_eq!(told["reboot"], "yes");
    assert_eq!(root.reads("/state"), "old\n");
}

#[test]
fn a_root_without_its_packages_or_without_its_kernel_is_no_way_back() {
    let root = Root::new();
    let script = capture(&to_capture("btrfs", TOKEN, Value::Null), "r1").expect("known");
    let (verdict, cause, ..) =
        run(&script, &root.before("mount -t tmpfs var var; mkdir -p var/lib/dpkg"), &[]);
    assert_eq!(verdict, Verdict::Refused);
    assert!(cause.starts_with("/var/lib/dpkg is no part of the root's file system"), "{cause}");

    // A /boot of its own outlives the boots, in a folder of the test.
    let boot = root.volume.folder.path().join("boot");
    let image = |kernel: &str| boot.join(format!("vmlinuz-{kernel}"));
    let mounted = |more: &str| {
        root.before(&format!(
            "mount --bind '{}' boot; printf '#!/bin/sh\\necho \"$0 $*\" >>/boot/asked\\n' >tmp/update-grub; cp tmp/update-grub tmp/grubby; chmod 755 tmp/*; {more}",
            boot.display()
        ))
    };
    fs::create_dir(&boot).expect("made");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("there").trim().to_owned();
    fs::write(image(&kernel), "").expect("written");
    let tools =
        |tool: &str| mounted(&format!("mount -t tmpfs local usr/local/sbin; cp tmp/{tool} usr/local/sbin/"));
    let captured = done(&script, &tools("update-grub"), &[]);
    assert_eq!(captured["kernel"], kernel.as_str());
    fs::write(image("9.9.9"), "").expect("written");
    let asked = to_revert("btrfs", TOKEN, &captured, Value::Null);
    done(&revert(&asked, 1), &tools("update-grub"), &[]);
    assert!(
        image(&kernel).exists() && !image("9.9.9").exists(),
        "the boot loader takes the newest that it sees"
    );
    assert_eq!(fs::read_to_string(boot.join("asked")).expect("asked"), "/usr/local/sbin/update-grub \n");
    fs::remove_file(boot.join("asked")).expect("there");
    done(&revert(&asked, 2), &tools("grubby"), &[]);
    let said = fs::read_to_string(boot.join("asked")).expect("asked");
    assert_eq!(said, format!("/usr/local/sbin/grubby --set-default /boot/vmlinuz-{kernel}\n"));
    fs::remove_file(image(&kernel)).expect("there");
    let (verdict, cause, ..) = run(&revert(&asked, 3), &tools("grubby"), &[]);
    assert_eq!(verdict, Verdict::Refused);
    assert!(cause.contains(&format!("has the kernel {kernel} no more")), "{cause}");
}
