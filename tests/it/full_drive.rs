//! A drive that gets full loses nothing that was acknowledged. It takes root to make a small one.

use std::process::Command;

use crate::program::Place;

/// A small drive of its own.
struct Drive {
    path: String,
}

impl Drive {
    fn new(place: &Place) -> Option<Self> {
        let path = place.path("drive").display().to_string();
        std::fs::create_dir(&path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=400k", "tmpfs", &path]).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { path })
    }

    fn grow(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=64m", &self.path]).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        // What stays mounted is seen by whoever cleans up.
        let _ = Command::new("umount").args(["-l", &self.path]).status();
    }
}

#[test]
fn a_full_drive_stops_the_run_and_room_lets_it_go_on() {
    let place = Place::new();
    let Some(drive) = Drive::new(&place) else { return };
    let state = format!("{}/state", drive.path);
    let fleet = "runbooks/fleets/contained.yaml";
    let full =
        place.run(&["run", "runbooks/patch-linux.yaml", "--fleet", fleet, "--state", &state]).exits(20);
    assert!(full.stderr.contains("no space is left"), "{}", full.stderr);
    place.run(&["resume", "--state", &state]).exits(20);
    drive.grow();
    place.run(&["resume", "--state", &state]).exits(0);
}
