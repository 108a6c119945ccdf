//! What can go wrong with the machine that runs us: its drive, its clock, its limits, its people. Each fault is a real one,
//! on the real binary; whatever happens, nothing is done twice, nothing is forgotten, and the state folder stays readable.

mod clock;
mod descriptors;
mod drive;
mod failing_disk;
mod full_disk;
mod memory;
mod read_only;
mod second_process;
mod signals;
mod slow_disk;

use std::process::{Child, Command};

use crate::{
    holder::{lines, until},
    program::{Done, Place},
};

/// This machine does not let a test do what it takes. Where every test is to run (`CI` is set) that is a failure.
#[track_caller]
fn left_out(takes: &str) {
    let all = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
    assert!(!all, "this test takes {takes}, and CI is set: nothing may be left out");
    eprintln!("left out: this test takes {takes}");
}

/// So many steps on so many hosts, each of which writes its own name into the file `log` of a place.
#[derive(Clone, Copy, Debug)]
struct Chain {
    steps: usize,
    hosts: usize,
}

impl Chain {
    /// The runbook.
    fn write(self, place: &Place) -> String {
        let hosts: Vec<String> =
            (1..=self.hosts).map(|host| format!("w{host}: {{ address: 127.0.0.1 }}")).collect();
        let mut text =
            format!("runbook: chain\ntargets:\n  web: {{ hosts: {{ {} }} }}\nsteps:\n", hosts.join(", "));
        for step in 1..=self.steps {
            let needs = if step > 1 { format!("needs: [s{}], ", step - 1) } else { String::new() };
            text.push_str(&format!(
                "  s{step}: {{ {needs}uses: local/command, effect: reads, targets: web, with: {{ script: \
                 \"echo s{step} {{{{ target.name | sh }}}} >> {}\" }} }}\n",
                place.path("log").display()
            ));
        }
        place.write("chain.yaml", &text).display().to_string()
    }

    /// Each step ran on each host, once.
    #[track_caller]
    fn ran_once(self, place: &Place, when: &str) {
        let mut ran = lines(&place.path("log"));
        ran.sort();
        let mut expected: Vec<String> = (1..=self.steps)
            .flat_map(|step| (1..=self.hosts).map(move |host| format!("s{step} w{host}")))
            .collect();
        expected.sort();
        assert_eq!(ran, expected, "{when}");
    }

    /// Goes on after a fault, or begins where nothing was begun: it succeeds, and everything ran once.
    #[track_caller]
    fn goes_on(self, place: &Place, state: &str, when: &str) {
        let begun = !place.run(&["list", "--json", "--state", state]).exits(0).stdout.is_empty();
        let file = place.path("chain.yaml").display().to_string();
        let done = if begun {
            place.run(&["resume", "--state", state])
        } else {
            place.run(&["run", &file, "--state", state])
        };
        assert_eq!(done.code, 0, "{when}: {}{}", done.stdout, done.stderr);
        self.ran_once(place, when);
        place.run(&["show", "--state", state]).exits(0);
    }
}

/// The binary with these arguments below a shell that first does something to itself.
fn below(place: &Place, shell: &str, arguments: &[&str]) -> Command {
    below_program(place, &["sh", "-c", &format!("{shell}; exec \"$0\" \"$@\"")], arguments)
}

/// The binary with these arguments below another program.
fn below_program(place: &Place, program: &[&str], arguments: &[&str]) -> Command {
    let ours = place.command(arguments);
    let mut command = place.command(&[]);
    let mut below = Command::new(program[0]);
    below.args(&program[1..]).arg(ours.get_program()).args(ours.get_args());
    below.env_clear().stdin(std::process::Stdio::null());
    for (name, value) in command.env("RUST_BACKTRACE", "0").get_envs() {
        if let Some(value) = value {
            below.env(name, value);
        }
    }
    below.current_dir(crate::program::root());
    below
}

fn done(mut command: Command) -> Done {
    Done::from(command.output().expect("it runs"))
}

fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(status.success(), "{signal}");
}

/// The exit code; none after a signal.
#[track_caller]
fn code(child: &mut Child) -> Option<i32> {
    let mut ended = None;
    until("the end of the process", || {
        ended = child.try_wait().expect("a child");
        ended.is_some()
    });
    ended.and_then(|status| status.code())
}
