//! A drive that takes its time for every sync.

use super::{Chain, below_program};
use crate::{
    holder::{lines, until},
    program::Place,
};

#[test]
fn a_slow_drive_makes_a_run_slow_and_nothing_else() {
    let chain = Chain { steps: 2, hosts: 3 };
    let place = Place::new();
    let file = chain.write(&place);
    let calls = "fsync,fdatasync";
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:delay_enter=200000"));
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", &trace, "-e", &inject];
    let mut run = below_program(&place, &strace, &["run", &file])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    until("the first program", || !lines(&place.path("log")).is_empty());
    // Whoever asks meanwhile is answered.
    place.run(&["show"]).exits(0);
    assert_eq!(super::code(&mut run), Some(0));
    chain.ran_once(&place, "a slow drive");
}
