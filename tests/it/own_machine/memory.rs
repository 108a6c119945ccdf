//! A process that gets no more memory, or no more threads.

use std::{fs, path::PathBuf, process::Command};

use super::{Chain, below, done, left_out};
use crate::program::Place;

#[test]
fn whatever_an_address_space_that_is_too_small_ends_a_resume_takes_it_up() {
    let chain = Chain { steps: 2, hosts: 8 };
    for megabytes in [40, 90, 120, 160, 240, 320, 400, 480, 560, 640, 800] {
        let place = Place::new();
        let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
        let limited = done(below(&place, &format!("ulimit -v {}", megabytes * 1024), &["run", &file]));
        let when = format!("{megabytes} MB: exit {}: {}{}", limited.code, limited.stdout, limited.stderr);
        if limited.code == 0 {
            chain.ran_once(&place, &when);
        } else {
            chain.goes_on(&place, &state, &when);
        }
    }
}

/// A memory cgroup.
struct Group(PathBuf);

impl Group {
    /// None where the test is left out.
    #[track_caller]
    fn new(name: &str, kilobytes: u64) -> Option<Self> {
        let roots = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        let made = roots.iter().find_map(|(root, limit)| {
            let path = PathBuf::from(root).join(format!("runbook-test-{}-{name}", std::process::id()));
            fs::create_dir(&path).ok()?;
            let group = Self(path);
            fs::write(group.0.join(limit), (kilobytes * 1024).to_string()).ok()?;
            // Else the kernel swaps where it should kill; not every kernel has it.
            let _ = fs::write(group.0.join("memory.swap.max"), "0");
            Some(group)
        });
        if made.is_none() {
            left_out("a memory cgroup, which root may make below /sys/fs/cgroup where that is writable");
        }
        made
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Programs that were started in it end by themselves; a group with members cannot be removed.
        for _ in 0..100 {
            if Command::new("rmdir").arg(&self.0).output().is_ok_and(|output| output.status.success()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn killed_for_its_memory_a_run_is_taken_up() {
    let chain = Chain { steps: 2, hosts: 8 };
    let mut killed = 0;
    for kilobytes in [3_000, 4_000, 5_000, 6_000, 8_000, 12_000] {
        let place = Place::new();
        let Some(group) = Group::new(&kilobytes.to_string(), kilobytes) else { return };
        let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
        let enter = format!("echo $$ > {}/cgroup.procs", group.0.display());
        let limited = done(below(&place, &enter, &["run", &file]));
        let when = format!("{kilobytes} KiB: exit {}: {}{}", limited.code, limited.stdout, limited.stderr);
        if limited.code == 0 {
            chain.ran_once(&place, &when);
        } else {
            killed += 1;
            chain.goes_on(&place, &state, &when);
        }
    }
    assert!(killed > 0);
}
