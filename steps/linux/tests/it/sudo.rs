//! Root's rights by sudo, for which a stand-in is asked: this machine's own would have to be set up.

use std::collections::BTreeMap;

use runbook_engine::connection::{Connection, Sudo};
use runbook_steps::ports::{
    fault::FaultKind,
    linux::{Deed, Job, Linux, Look},
};

use crate::sshd::{Sshd, look, seen, target};

fn as_root(script: &str) -> Look {
    Look { as_root: true, ..look(script) }
}

/// A host whose user is not root, and whose sudo wants the password `open sesame`.
fn with_sudo(sshd: &Sshd) {
    sshd.stand_in("id", "case $1 in -u) echo 1000 ;; *) exec /usr/bin/id \"$@\" ;; esac");
    sshd.stand_in(
        "sudo",
        "prompt='Password: '\nwhile :; do\ncase $1 in\n\
         -n) echo 'sudo: a password is required' >&2; exit 1 ;;\n\
         -S) shift ;;\n-p) prompt=$2; shift 2 ;;\n--) shift; break ;;\n*) break ;;\nesac\ndone\n\
         for try in 1 2 3; do\nprintf '%s' \"$prompt\" >&2\nIFS= read -r given || exit 1\n\
         if [ \"$given\" = 'open sesame' ]; then AS=sudo exec \"$@\"; fi\n\
         echo 'Sorry, try again.' >&2\ndone\necho 'sudo: 3 incorrect password attempts' >&2\nexit 1",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudo_that_wants_a_password_is_refused_with_what_to_do() {
    let sshd = Sshd::start();
    with_sudo(&sshd);
    let fault = sshd.hosts().look(&sshd.host(1), &as_root("echo x")).await.expect_err("no rights");
    assert_eq!(fault.kind, FaultKind::Denied);
    for part in ["wants a password", "NOPASSWD", "`sudo_password: NAME`", "sudo -n true`"] {
        assert!(fault.message.contains(part), "{}", fault.message);
    }
    // Without root's rights there is no question of sudo.
    assert_eq!(seen(&sshd.hosts(), &sshd.host(1), "exit 5").await.code, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_for_sudo_goes_where_it_is_asked_for_and_nowhere_else() {
    let sshd = Sshd::start();
    with_sudo(&sshd);
    let connection = Connection {
        sudo: Some(Sudo::Password),
        sudo_password: Some("SUDO".to_owned()),
        ..sshd.connection()
    };
    let host = target("web1", connection);
    let script = "echo \"$AS\"; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' ' | \
                  grep -c 'open[ ]sesame'";
    let right = |name: &str| (name == "SUDO").then(|| "open sesame".to_owned());
    let it = sshd.hosts().with_secrets(right).look(&host, &as_root(script)).await.expect("root's rights");
    assert_eq!((it.stdout.as_str(), it.stderr.as_str()), ("sudo\n0\n", ""));

    let wrong = sshd.hosts().with_secrets(|_| Some("swordfish".to_owned()));
    let fault = wrong.look(&host, &as_root("echo x")).await.expect_err("no rights");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("does not take the password"), "{}", fault.message);
    assert!(!fault.message.contains("swordfish"));

    let fault = sshd.hosts().look(&host, &as_root("echo x")).await.expect_err("no secret");
    assert_eq!(fault.kind, FaultKind::Credentials);
    assert!(fault.message.contains("RUNBOOK_SECRET_SUDO"), "{}", fault.message);

    // Where sudo asks for none, none is given: it would be run as a command.
    sshd.stand_in("sudo", "while [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"");
    let it = sshd.hosts().with_secrets(right).look(&host, &as_root("echo x")).await.expect("root's rights");
    assert_eq!((it.stdout.as_str(), it.stderr.as_str()), ("x\n", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_wants_root_is_refused_where_there_is_no_sudo() {
    let sshd = Sshd::start();
    with_sudo(&sshd);
    let connection = Connection { sudo: Some(Sudo::None), ..sshd.connection() };
    let deed =
        Deed::Script { script: "echo x".to_owned(), env: BTreeMap::new(), as_root: true, looks_for: None };
    let job = Job { token: "t1".to_owned(), run: "7k2m".to_owned(), exclusive: false, deed };
    let fault = sshd.hosts().start(&target("web1", connection), &job).await.expect_err("no rights");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("`sudo: none`"), "{}", fault.message);
}
