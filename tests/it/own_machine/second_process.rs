//! Many processes on one state folder.

use std::{fs, process::Stdio};

use super::{Chain, code};
use crate::{
    holder::{lines, slow, until},
    program::{Done, Place},
};

#[test]
fn many_runs_begun_at_once_all_run_once() {
    let place = Place::new();
    let log = place.path("log");
    let begun: Vec<_> = (0..6)
        .map(|number| {
            let text = format!(
                "runbook: run-{number}\nsteps:\n  only: {{ uses: local/command, effect: reads, with: {{ script: \"echo \
                 {number} >> {}\" }} }}\n",
                log.display()
            );
            let file = place.write(&format!("{number}.yaml"), &text).display().to_string();
            let mut command = place.command(&["run", &file]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    for child in begun {
        Done::from(child.wait_with_output().expect("an end")).exits(0);
    }
    let mut ran = lines(&log);
    ran.sort();
    assert_eq!(ran, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(place.run(&["list", "--json"]).exits(0).lines().len(), 6);
}

#[test]
fn many_who_resume_at_once_do_nothing_twice() {
    let place = Place::new();
    let file = slow(&place);
    let mut first = place.start(&["run", &file]);
    until("the first step", || !lines(&place.path("log")).is_empty());
    first.kill().expect("killed");
    first.wait().expect("gone");
    let resumed: Vec<_> = (0..6)
        .map(|_| {
            let mut command = place.command(&["resume"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    fs::write(place.path("go"), "").expect("go");
    for child in resumed {
        Done::from(child.wait_with_output().expect("an end")).exits(0);
    }
    assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
}

#[test]
fn whatever_others_ask_meanwhile_a_run_goes_on() {
    let place = Place::new();
    let chain = Chain { steps: 2, hosts: 2 };
    chain.write(&place);
    let text = fs::read_to_string(place.path("chain.yaml")).expect("the runbook").replacen(
        "echo s1",
        &format!("while [ ! -e {} ]; do sleep 0.05; done; echo s1", place.path("go").display()),
        1,
    );
    let file = place.write("chain.yaml", &text).display().to_string();
    let mut holder = place.start(&["run", &file]);
    until("the run", || !place.run(&["list", "--json"]).stdout.is_empty());
    let ask = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let others = [
        (ask(&["artifacts", "gc"]), &[0, 20][..]),
        (ask(&["retry"]), &[2, 4, 20]),
        (ask(&["rollback"]), &[2, 3, 4, 20]),
        (ask(&["show"]), &[0]),
        (ask(&["events"]), &[0]),
        (ask(&["exclude", "nobody"]), &[2, 4]),
        (ask(&["reject"]), &[2]),
        (ask(&["resolve", "--target", "w1", "--applied"]), &[2]),
    ];
    for (number, (child, codes)) in others.into_iter().enumerate() {
        let said = Done::from(child.wait_with_output().expect("an end"));
        assert!(codes.contains(&said.code), "{number}: {said:?}");
    }
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(&mut holder), Some(0));
    chain.ran_once(&place, "others");
}
