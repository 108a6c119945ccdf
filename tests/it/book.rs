//! Every command in the pages of the book is run, in the order of the page and in one shell, with the AWS CLI as it is.

use std::process::{Command, Stdio};

use runbook_test_hosts::{Estate, Family, Host};

use crate::program::{Done, Place, root};

/// A command of a page, and the exit code that it ends with.
struct Line {
    command: String,
    code: i32,
}

/// The commands of all `console` blocks. A line that ends in a backslash goes on in the next one; `# exit 10` says the
/// exit code where it is not 0; everything else is what commands print.
fn commands(page: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("the page");
    let blocks = text.split("```console\n").skip(1);
    let mut commands = Vec::new();
    for block in blocks.map(|block| block.split("```").next().unwrap_or_default()) {
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            let Some(line) = line.strip_prefix("$ ") else { continue };
            let mut command = line.to_owned();
            while command.ends_with('\\') {
                command = format!("{command}\n{}", lines.next().expect("the rest of the command"));
            }
            let (command, code) = match command.split_once(" # exit ") {
                Some((command, code)) => (command.to_owned(), code.parse().expect("an exit code")),
                None => (command, 0),
            };
            commands.push(Line { command, code });
        }
    }
    assert!(!commands.is_empty(), "{page} has no commands");
    commands
}

/// The files that a page shows: blocks whose first line is a comment with nothing but the file's name.
fn files(page: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("the page");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let file = |block: &str| {
        let (_, content) = block.split_once('\n')?;
        let name = content.lines().next()?.strip_prefix("# ")?;
        let is_name =
            name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        is_name.then(|| (name.to_owned(), format!("{content}\n")))
    };
    blocks.filter_map(file).collect()
}

/// What the shell is told to do for a line.
fn step(Line { command, code }: Line) -> String {
    if command.starts_with("runbook sandbox ") {
        // As in a terminal of its own: the one that ran before is stopped, and its variables are set in this one.
        return format!(
            "stop
{command} >sandbox.out 2>&1 &
server=$!
until grep -q '^stop:' sandbox.out; do kill -0 $server || {{ cat sandbox.out >&2; exit 98; }}; sleep 0.02; done
eval \"$(grep '^export ' sandbox.out)\"\n"
        );
    }
    format!(
        "{command}\ncode=$?; [ $code = {code} ] || {{ echo \"exit $code of: \"{quoted} >&2; exit 99; }}\n",
        quoted = quoted(&command)
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Runs the commands of a page in a folder where the shipped runbooks, the examples and the files that the page shows
/// are. `edit` puts what is there in the place of what the page names, line by line.
#[track_caller]
fn works_after(place: &Place, page: &str, edit: impl Fn(&str) -> String, environment: &[(&str, &str)]) {
    for name in ["runbooks", "docs"] {
        std::os::unix::fs::symlink(root().join(name), place.path(name)).expect("a link");
    }
    for (name, content) in files(page) {
        let lines = content.lines().map(|line| edit(line) + "\n");
        place.write(&name, &lines.collect::<String>());
    }
    let like = place.command(&[]);
    let program =
        std::path::Path::new(like.get_program()).parent().expect("its folder").display().to_string();
    let mut script =
        "server=\nstop() { [ -z \"$server\" ] || kill $server; server=; }\ntrap stop EXIT\n".to_owned();
    for line in commands(page) {
        script += &step(Line { command: edit(&line.command), ..line });
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env_clear().current_dir(place.path(""));
    for (name, value) in like.get_envs() {
        shell.envs(value.map(|value| (name, value)));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = runbook_test_servers::programs().display().to_string();
    shell.env("PATH", format!("{program}:{programs}:{path}")).stdin(Stdio::null());
    shell.envs(environment.iter().copied());
    let done = Done::from(shell.output().expect("it runs"));
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
}

#[track_caller]
fn works(page: &str) {
    works_after(&Place::new(), page, str::to_owned, &[]);
}

#[test]
fn choosing_a_strategy() {
    works("restore-strategies.md");
}

#[test]
fn accounts_and_regions() {
    works("accounts-and-regions.md");
}

/// With Ansible as it is.
#[test]
fn the_inventory_of_hosts() {
    works("inventory.md");
}

#[test]
fn artifacts() {
    works("artifacts.md");
}

/// What each page says was patched, was.
#[test]
fn compared_with_ansible() {
    let place = Place::new();
    let page = "compared-with-ansible.md";
    let keep = |command: &str| command.replace("rm patched", "mv patched patched-by-ansible");
    works_after(&place, page, keep, &[]);
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("the page");
    for (command, file) in [("$ sort patched\n", "patched-by-ansible"), ("$ cat patched\n", "patched")] {
        let said =
            text.split(command).nth(1).and_then(|rest| rest.split("$ ").next()).expect("what it prints");
        let patched = std::fs::read_to_string(place.path(file)).expect("a list");
        let mut patched: Vec<_> = patched.lines().collect();
        patched.sort_unstable();
        assert_eq!(patched, said.lines().collect::<Vec<_>>(), "{file}");
    }
    let recap = std::fs::read_to_string(place.path("recap")).expect("what Ansible printed");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let recap: Vec<_> = recap.lines().map(words).collect();
    let block = text.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a recap");
    for line in block.lines() {
        assert!(recap.contains(&words(line)), "{line}\n{recap:#?}");
    }
}

/// On a free port, so that the page need not have the one that it names.
#[test]
#[cfg(feature = "aws")]
fn the_sandbox() {
    // Not one of those that the kernel gives to whoever asks: it is to be free still when the sandbox starts.
    let first = 20_000 + std::process::id() % 12_000;
    let mut places = (first..32_000).chain(20_000..first).map(|port| format!("127.0.0.1:{port}"));
    let free = places.find(|place| std::net::TcpListener::bind(place).is_ok()).expect("a free port");
    works_after(&Place::new(), "sandbox.md", |command| command.replace("127.0.0.1:4700", &free), &[]);
}

#[test]
fn rehearsals() {
    works_after(&Place::new(), "rehearse.md", str::to_owned, &[]);
}

#[test]
fn tests_of_runbooks() {
    works("test-runbooks.md");
}

/// On two hosts, which stand for those that the page names.
#[test]
fn the_first_rollout_on_hosts() {
    let estate = Estate::new("book");
    let hosts = estate.start(["web1", "web2"].map(|name| estate.recipe(Family::Debian, name)));
    for version in ["1.1-1", "1.2-1"] {
        estate.repository().publish("runbook-demo", version);
    }
    estate.repository().publish_security("runbook-secure", "1.1-1");
    let boots: Vec<_> = hosts.iter().map(Host::boot_id).collect();
    let place = Place::new();
    let edit = |line: &str| {
        let own = |host: &&Host| line.starts_with(&format!("{} ansible_host=", host.name()));
        match hosts.iter().find(own) {
            Some(host) => host.ansible_as("ops"),
            None if line.starts_with("cargo run ") => "true".to_owned(),
            None => line.to_owned(),
        }
    };
    works_after(&place, "first-rollout-on-hosts.md", edit, &[]);
    // The page ends with the way back.
    let shown = place.run(&["list", "--json"]).exits(0).lines();
    let mut ends: Vec<_> = shown.iter().map(|run| run["status"].as_str().unwrap_or_default()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["restored", "succeeded", "succeeded", "succeeded"]);
    for (host, boot) in hosts.iter().zip(boots) {
        assert_ne!(host.boot_id(), boot, "{} was rebooted", host.name());
        assert_eq!(host.run("grep -c ' upgrade runbook-demo:all 1.0-1 1.2-1' /var/log/dpkg.log"), "1");
        assert_eq!(host.installed("runbook-demo"), "1.0-1");
        assert_eq!(host.http("/healthz").map(|(status, _)| status), Some(200));
    }
}

/// On an account that the sandbox plays, and moto where it has no answer (IAM). The page's names for an account and a
/// machine stand for those that are there.
#[test]
#[cfg(feature = "aws")]
fn the_first_rollout() {
    let place = Place::new();
    let fleet = std::fs::read_to_string(root().join("runbooks/fleets/contained.yaml")).expect("the fleet");
    let sandbox = crate::sandbox::Sandbox::start(&fleet);
    let moto = runbook_test_servers::Moto::start();
    let machine = runbook_test_servers::boto3(
        &sandbox.url(),
        "boto3.client('ec2').describe_instances()['Reservations'][0]['Instances'][0]['InstanceId']",
    );
    let machine = machine.as_str().expect("an id").to_owned();
    let trust = "boto3.client('iam').create_role(RoleName='patching', AssumeRolePolicyDocument='{}')";
    runbook_test_servers::boto3(&moto.endpoint(), trust);
    let who =
        runbook_test_servers::boto3(&moto.endpoint(), "boto3.client('sts').get_caller_identity()['Account']");
    let account = who.as_str().expect("an account").to_owned();
    std::fs::create_dir(place.path(".aws")).expect("a folder");
    let keys = "aws_access_key_id = AKIA000000000000SBOX\naws_secret_access_key = sandbox\n";
    place.write(
        ".aws/config",
        &format!("[default]\nregion = eu-central-1\n{keys}[profile patching]\nregion = eu-central-1\n{keys}"),
    );
    let edit =
        |command: &str| command.replace("i-0123456789abcdef0", &machine).replace("111122223333", &account);
    let environment = [
        ("AWS_ENDPOINT_URL", sandbox.url()),
        ("AWS_ENDPOINT_URL_IAM", moto.endpoint()),
        ("RUNBOOK_SANDBOX", sandbox.url()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    works_after(&place, "first-rollout.md", edit, &environment);
}
