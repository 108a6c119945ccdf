//! A file system that finds itself damaged becomes read-only in the middle of a run.

use std::{fs, process::Command};

use super::{code, drive::Drive, left_out};
use crate::{
    holder::{lines, slow, until},
    program::Place,
};

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// The device that a folder is on.
fn device(path: &str) -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(path))?;
    Some(line.split(' ').next()?.trim_start_matches("/dev/").to_owned())
}

#[test]
fn a_drive_that_becomes_read_only_stops_the_run_and_a_sound_one_lets_it_go_on() {
    let place = Place::new();
    let (drive, image) = (Drive::unmounted(&place), place.path("image").display().to_string());
    let made = fs::File::create(&image).and_then(|file| file.set_len(16 << 20)).is_ok()
        && succeeds("mkfs.ext4", &["-q", "-F", &image]);
    let options = ["-o", "loop,errors=remount-ro", &image];
    if !made || !drive.mount(&options) {
        return left_out("mkfs.ext4, loop devices, and root, who may mount one");
    }
    let name = device(&drive.path).expect("a device");
    let file = slow(&place);
    let state = drive.state();
    let mut holder = place
        .command(&["run", &file, "--state", &state])
        .stdout(std::process::Stdio::null())
        .stderr(fs::File::create(place.path("stderr")).expect("a file"))
        .spawn()
        .expect("it starts");
    until("the first step", || !lines(&place.path("log")).is_empty());
    fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test").expect("an error");
    until("the remount", || fs::write(format!("{}/try", drive.path), "").is_err());
    fs::write(place.path("go"), "").expect("go");
    // What the program left cannot be written down: until that is possible, it counts as running. Other commands say why
    // they cannot help.
    super::signal(&holder, "-INT");
    let ended = code(&mut holder);
    let said = fs::read_to_string(place.path("stderr")).expect("what it said");
    assert_eq!(ended, Some(20), "{said}");
    assert!(said.contains(&format!("the state folder {state} cannot be")), "{said}");
    let refused = place.run(&["show", "--state", &state]).exits(20);
    assert!(refused.stderr.contains("remount its drive"), "{}", refused.stderr);
    assert!(drive.unmount());
    // Its exit code says that it mended something.
    succeeds("e2fsck", &["-fy", &image]);
    assert!(drive.mount(&options));
    place.run(&["resume", "--state", &state]).exits(0);
    assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
}
