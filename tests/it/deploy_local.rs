//! `runbooks/deploy-local.yaml` on real processes.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::program::{Done, Place, root};

/// Three machines on free ports; their services are stopped at the end, by their own pid files.
struct Machines {
    place: Place,
    ports: Vec<u16>,
    runbook: PathBuf,
}

impl Machines {
    fn new() -> Self {
        let listeners: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let ports: Vec<u16> = listeners
            .iter()
            .map(|each| each.local_addr().expect("a bound port has an address").port())
            .collect();
        let place = Place::new();
        let mut text = std::fs::read_to_string(root().join("runbooks/deploy-local.yaml"))
            .expect("the shipped runbook is there");
        for (shipped, port) in ["8101", "8102", "8103"].iter().zip(&ports) {
            text = text.replace(&format!("port: {shipped}"), &format!("port: {port}"));
        }
        // The same rollout, with less waiting.
        for (shipped, shorter) in
            [("soak: 3s", "soak: 1s"), ("within: 10s", "within: 3s"), ("for: 2s", "for: 1s")]
        {
            text = text.replace(shipped, shorter);
        }
        let runbook = place.write("deploy-local.yaml", &text);
        Self { place, ports, runbook }
    }

    fn folder(&self) -> String {
        self.place.path("machines").display().to_string()
    }

    fn deploy(&self, version: &str) -> Done {
        self.place.run(&self.arguments(version).iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn arguments(&self, version: &str) -> Vec<String> {
        vec![
            "run".to_owned(),
            self.runbook.display().to_string(),
            "--param".to_owned(),
            format!("version={version}"),
            "--param".to_owned(),
            format!("root={}", self.folder()),
        ]
    }

    /// What each service answers.
    fn versions(&self) -> Vec<String> {
        self.ports.iter().map(|port| answer(*port).unwrap_or_else(|| "silence".to_owned())).collect()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for machine in ["a", "b", "c"] {
            let folder = format!("{}/{machine}", self.folder());
            let stopped = Command::new("python3")
                .args(["runbooks/deploy-local/service.py", "stop", &folder])
                .current_dir(root())
                .status();
            assert!(
                thread::panicking() || stopped.is_ok_and(|status| status.success()),
                "{folder} is stopped"
            );
        }
    }
}

fn answer(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text.split("\r\n\r\n").nth(1)?.trim().to_owned())
}

/// Waits for something that other processes bring about.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come about in a minute");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_bad_version_is_restored_and_the_old_one_answers() {
    let machines = Machines::new();
    machines.deploy("1.0").exits(0);
    assert_eq!(machines.versions(), ["1.0", "1.0", "1.0"]);

    machines.deploy("2.1-bad").exits(10);
    assert_eq!(machines.versions(), ["1.0", "1.0", "1.0"]);

    let show = machines.place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(show["status"], "restored");
    assert_eq!(show["targets"]["a"]["outcome"], "restored");
    assert_eq!(show["targets"]["b"]["outcome"], "not_started");
    assert_eq!(show["targets"]["c"]["outcome"], "not_started");
}

#[test]
fn killed_in_the_middle_it_resumes() {
    let machines = Machines::new();
    machines.deploy("1.0").exits(0);
    // At the first sight of the new version on the first machine, and on one of the second wave.
    for (machine, version, old) in [("a", "2.0", "1.0"), ("b", "1.0", "2.0")] {
        let arguments = machines.arguments(version);
        let mut child = machines.place.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let app = machines.place.path("machines").join(machine).join("current/app.py");
        until("the new version on the machine", || {
            std::fs::read_to_string(&app).is_ok_and(|text| text.contains(&format!("VERSION = \"{version}\"")))
        });
        child.kill().expect("it is killed");
        child.wait().expect("it is dead");

        machines.place.run(&["resume"]).exits(0);
        assert_eq!(machines.versions(), [version; 3]);
        // A backup made again after the change would hold the new version.
        for each in ["a", "b", "c"] {
            let backup = machines.place.path("machines").join(each).join("backup/app.py");
            let backup = std::fs::read_to_string(backup).expect("there is a backup");
            assert!(backup.contains(&format!("VERSION = \"{old}\"")), "the backup of {each} holds {backup}");
        }
    }
}
