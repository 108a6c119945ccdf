//! A small drive of its own. It takes root to make one; without, the tests that need one are left out.

use std::process::Command;

use super::left_out;
use crate::program::Place;

pub(super) struct Drive {
    pub(super) path: String,
}

impl Drive {
    /// In memory, of this size; none where the test is left out.
    #[track_caller]
    pub(super) fn in_memory(place: &Place, size: &str) -> Option<Self> {
        let drive = Self::unmounted(place);
        if drive.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]) {
            return Some(drive);
        }
        left_out("root, who may mount a drive in memory (tmpfs)");
        None
    }

    /// A folder to mount something on.
    pub(super) fn unmounted(place: &Place) -> Self {
        let path = place.path("drive").display().to_string();
        std::fs::create_dir(&path).expect("a folder");
        Self { path }
    }

    pub(super) fn mount(&self, arguments: &[&str]) -> bool {
        let mounted = Command::new("mount").args(arguments).arg(&self.path).output();
        mounted.is_ok_and(|output| output.status.success())
    }

    pub(super) fn unmount(&self) -> bool {
        Command::new("umount").arg(&self.path).output().is_ok_and(|output| output.status.success())
    }

    /// Gives it room.
    pub(super) fn grow(&self) {
        assert!(self.mount(&["-o", "remount,size=64m"]));
    }

    pub(super) fn state(&self) -> String {
        format!("{}/state", self.path)
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) {
        let mut file = std::fs::File::create(self.ballast()).expect("a file");
        let block = vec![0_u8; 64 * 1024];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    /// Gives that back.
    pub(super) fn drain(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast");
    }

    fn ballast(&self) -> String {
        format!("{}/ballast", self.path)
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        // What stays mounted is seen by whoever cleans up.
        let _ = Command::new("umount").args(["-l", &self.path]).output();
    }
}
