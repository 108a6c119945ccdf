//! LVM and libvirt by contract: stand-ins that answer as the manuals say, and write down what they were asked.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use runbook_linux::snapshots::{capture, discard};
use runbook_steps::ports::linux::Verdict;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{done, revert, run, to_capture, to_revert};

/// Commands in place of real ones, first in the PATH; what they were asked, line by line.
struct StandIns {
    folder: TempDir,
}

impl StandIns {
    fn new(commands: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (name, body) in commands {
            let path = folder.path().join("bin").join(name);
            fs::create_dir_all(path.parent().expect("one")).expect("made");
            let state = folder.path().display();
            fs::write(
                &path,
                format!("#!/bin/sh\nstate={state}\necho \"{name} $*\" >>$state/asked\n{body}\n"),
            )
            .expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        Self { folder }
    }

    fn before(&self) -> String {
        format!("mount --bind '{}/bin' /usr/local/sbin", self.folder.path().display())
    }

    fn asked(&self, of: &str) -> Vec<String> {
        let asked = fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        asked.lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect()
    }

    fn set(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).expect("written");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// LVM with one volume vg0/root, and the snapshot that `lvcreate` makes of it.
fn lvm() -> StandIns {
    StandIns::new(&[
        ("findmnt", "echo /dev/mapper/vg0-root"),
        (
            "lvs",
            "for last; do :; done\n\
             case \"$*\" in\n\
             *'vg_name,lv_name'*) cat $state/volumes 2>/dev/null || echo '  vg0 root'\n\
               [ ! -e $state/made ] || sed -n 's/^lvcreate .*--name \\([^ ]*\\) .*/  vg0 \\1/p' $state/asked ;;\n\
             *vg0/runbook-*) [ -e $state/made ] || exit 5\n\
               case \"$*\" in *lv_attr*) cat $state/attr 2>/dev/null || echo '  swi-a-s---' ;; *snap_percent*) cat $state/percent 2>/dev/null || echo '  1.50' ;; *) echo '  there' ;; esac ;;\n\
             *lv_attr*) cat $state/origin 2>/dev/null || echo '  owi-aos---' ;;\n\
             esac",
        ),
        (
            "lvcreate",
            "[ ! -e $state/full ] || { echo '  Volume group \"vg0\" has insufficient free space (12 extents): 1280 required.' >&2; exit 5; }\ntouch $state/made",
        ),
        (
            "lvconvert",
            "echo '  Can'\"'\"'t merge until origin volume is closed.'; echo '  Merging of snapshot vg0/x will occur on next activation of vg0/root.'; echo '  Owi-aos---' >$state/origin",
        ),
        ("lvremove", "rm -f $state/made"),
    ])
}

#[test]
fn a_classic_lvm_snapshot_is_made_once_and_merged_at_the_next_boot() {
    let tools = lvm();
    let script =
        capture(&to_capture("lvm", "0f9e8d7c-0000-5000-8000-000000000000", json!({ "size": "8G" })), "r1")
            .expect("known");
    let captured = done(&script, &tools.before(), &[]);
    assert_eq!(done(&script, &tools.before(), &[]), captured);
    let name = "runbook-0f9e8d7c00005000";
    assert_eq!(captured, json!({ "snapshot": format!("vg0/{name}"), "origin": "vg0/root" }));
    assert_eq!(
        tools.asked("lvcreate"),
        [format!("lvcreate --yes --snapshot --name {name} --size 8G vg0/root")]
    );
    let asked = to_revert("lvm", "0f9e8d7c-0000-5000-8000-000000000000", &captured, Value::Null);
    let back = revert(&asked, 1);
    assert_eq!(done(&back, &tools.before(), &[])["reboot"], "yes");
    assert_eq!(
        done(&back, &tools.before(), &[])["reboot"],
        "yes",
        "a merge that waits is not asked for again"
    );
    assert_eq!(tools.asked("lvconvert"), [format!("lvconvert --yes --mergesnapshot vg0/{name}")]);
    done(&discard(&asked, "r1").expect("known"), &tools.before(), &[]);
    assert_eq!(tools.asked("lvremove"), [format!("lvremove --yes vg0/{name}")]);
}

#[test]
fn a_snapshot_of_a_volume_that_is_not_there_is_not_said_to_be_gone() {
    let tools = lvm();
    let token = "0f9e8d7c-0000-5000-8000-000000000000";
    let captured = done(
        &capture(&to_capture("lvm", token, json!({ "path": "/data" })), "r1").expect("known"),
        &tools.before(),
        &[],
    );
    let script = discard(&to_revert("lvm", token, &captured, Value::Null), "r1").expect("known");
    // Something else is mounted at its path.
    tools.set("volumes", "  vg1 other\n");
    done(&script, &tools.before(), &[]);
    assert_eq!(tools.asked("lvremove"), ["lvremove --yes vg0/runbook-0f9e8d7c00005000"]);
    // Its disks are not there.
    let (verdict, cause, told, _) = run(&script, &tools.before(), &[]);
    assert_eq!((verdict, &told["found"]), (Verdict::Missing, &Value::Null), "{cause}");
    tools.set("volumes", "  vg0 root\n");
    assert_eq!(done(&script, &tools.before(), &[])["found"], "no");
}

#[test]
fn a_thin_snapshot_is_activated_and_merged_as_one() {
    let tools = lvm();
    let captured = done(
        &capture(&to_capture("lvm-thin", "t-1", Value::Null), "r1").expect("known"),
        &tools.before(),
        &[],
    );
    done(&revert(&to_revert("lvm-thin", "t-1", &captured, Value::Null), 1), &tools.before(), &[]);
    assert_eq!(
        tools.asked("lvcreate"),
        ["lvcreate --yes --snapshot --name runbook-t1 --setactivationskip n vg0/root"]
    );
    assert_eq!(tools.asked("lvconvert"), ["lvconvert --yes --mergethin vg0/runbook-t1"]);
}

#[test]
fn a_snapshot_that_was_full_is_no_way_back() {
    let tools = lvm();
    let script = capture(&to_capture("lvm", "t-1", Value::Null), "r1").expect("known");
    let captured = done(&script, &tools.before(), &[]);
    let back = revert(&to_revert("lvm", "t-1", &captured, Value::Null), 1);
    tools.set("attr", "  swi-I-s---\n");
    let (verdict, cause, ..) = run(&back, &tools.before(), &[]);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Missing, "the snapshot vg0/runbook-t1 is invalid: it was full")
    );
    assert!(tools.asked("lvconvert").is_empty());
    fs::remove_file(tools.path().join("made")).expect("there");
    tools.set("full", "");
    let (verdict, cause, ..) = run(&script, &tools.before(), &[]);
    assert_eq!(verdict, Verdict::DiskFull, "{cause}");
}

#[test]
fn a_virtual_machine_has_one_snapshot_and_goes_back_to_it() {
    let tools = StandIns::new(&[(
        "virsh",
        "case \"$*\" in\n\
         *domstate*web2*) echo \"error: failed to get domain 'web2'\" >&2; exit 1 ;;\n\
         *domstate*) echo running ;;\n\
         *snapshot-list*) cat $state/list 2>/dev/null ;;\n\
         *snapshot-create-as*) echo runbook-t-1 >$state/list ;;\n\
         *snapshot-delete*) rm -f $state/list ;;\n\
         esac",
    )]);
    let given = json!({ "domain": "web1", "uri": "qemu:///system" });
    let script = capture(&to_capture("libvirt", "t-1", given), "r1").expect("known");
    let captured = done(&script, &tools.before(), &[]);
    assert_eq!(done(&script, &tools.before(), &[]), captured);
    let begin = "virsh --quiet --connect qemu:///system";
    let made: Vec<_> = tools.asked("virsh").into_iter().filter(|line| line.contains("create")).collect();
    let description = "--description runbook r1 dev/wave-1/backup";
    assert_eq!(made, [format!("{begin} snapshot-create-as web1 --name runbook-t-1 {description} --atomic")]);
    let asked = to_revert("libvirt", "t-1", &captured, Value::Null);
    done(&revert(&asked, 1), &tools.before(), &[]);
    let back: Vec<_> = tools.asked("virsh").into_iter().filter(|line| line.contains("revert")).collect();
    assert_eq!(back, [format!("{begin} snapshot-revert web1 --snapshotname runbook-t-1 --running")]);
    done(&discard(&asked, "r1").expect("known"), &tools.before(), &[]);
    let (verdict, cause, ..) = run(&revert(&asked, 1), &tools.before(), &[]);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Missing, "the domain `web1` has no snapshot runbook-t-1 any more")
    );
    let other = to_capture("libvirt", "t-1", json!({ "domain": "web2" }));
    let (verdict, cause, ..) = run(&capture(&other, "r1").expect("known"), &tools.before(), &[]);
    assert_eq!(verdict, Verdict::Missing, "{cause}");
}
