//! Logs of real hosts: which lines count, and that what cannot be read is never a log without lines.

use jiff::Timestamp;
use runbook_engine::{connection::Sudo, target::Target};
use runbook_linux::Hosts;
use runbook_steps::ports::{
    fault::FaultKind,
    linux::{Linux, Log, LogAsked},
};
use runbook_test_hosts::Estate;

use crate::estate::as_user;

fn file(path: &str, since: Timestamp) -> LogAsked {
    LogAsked {
        log: Log::File { path: path.to_owned() },
        since,
        patterns: vec!["ERROR".to_owned(), "PANIC".to_owned()],
        except: vec!["noise$".to_owned()],
        most: 100,
        wanted: false,
    }
}

fn journal(since: Timestamp) -> LogAsked {
    LogAsked { log: Log::Journal { unit: None }, ..file("", since) }
}

async fn lines(hosts: &Hosts, host: &Target, asked: &LogAsked) -> Vec<String> {
    hosts.log(host, asked).await.expect("lines")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_the_new_lines_count_whatever_is_in_it_besides() {
    let estate = Estate::new("log-file");
    let web = estate.debian("web1");
    let (hosts, host) = (Hosts::new(), as_user(&estate, &web, "ops", None));
    let since = Timestamp::now();
    let write = |path: &str, text: &str| {
        web.run(&format!("cat >>/var/log/{path} <<'END'\n{text}\nEND"));
    };
    let app = file("/var/log/app.log", since);

    // Thousands of old ones, more than anybody would want to see, and one new one.
    web.run("i=0; while [ $i -lt 3000 ]; do echo \"2020-01-01 00:00:00 ERROR old $i\"; i=$((i+1)); done >/var/log/app.log");
    assert_eq!(lines(&hosts, &host, &app).await, [] as [String; 0]);
    let now = |minutes: i64| {
        let at = Timestamp::now().checked_add(jiff::SignedDuration::from_mins(minutes)).expect("a time");
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let late = now(1);
    write("app.log", &format!("{late} ERROR new\n  at PANIC of it\n{late} ERROR noise\n{late} fine"));
    assert_eq!(
        lines(&hosts, &host, &app).await,
        [format!("{late} ERROR new"), "  at PANIC of it".to_owned()]
    );

    // What belongs to an old line is as old as it is.
    write("trace.log", "2020-01-01 00:00:00 ERROR old\n  at PANIC of it\n2020-01-01 00:00:01 fine");
    assert_eq!(lines(&hosts, &host, &file("/var/log/trace.log", since)).await, [] as [String; 0]);
    // The last words of a program have no time, and are what the file was written to for.
    write("trace.log", "PANIC: out of range");
    assert_eq!(lines(&hosts, &host, &file("/var/log/trace.log", since)).await, ["PANIC: out of range"]);
    web.run("touch -d 2020-01-01 /var/log/trace.log");
    assert_eq!(lines(&hosts, &host, &file("/var/log/trace.log", since)).await, [] as [String; 0]);

    // Rotated away after the patch began; the new file has nothing yet.
    web.run("mv /var/log/app.log /var/log/app.log.1");
    let gone = hosts.log(&host, &app).await.expect_err("there is no file");
    assert_eq!(gone.kind, FaultKind::NotFound);
    web.run("touch /var/log/app.log");
    assert_eq!(lines(&hosts, &host, &app).await.len(), 2);
    // Before it began: what is in there is no concern of ours.
    web.run("touch -d 2020-01-01 /var/log/app.log.1");
    assert_eq!(lines(&hosts, &host, &app).await, [] as [String; 0]);

    // No time at all: only what was written to it since then can be said.
    write("plain.log", "ERROR without a time");
    assert_eq!(lines(&hosts, &host, &file("/var/log/plain.log", since)).await, ["ERROR without a time"]);
    web.run("touch -d 2020-01-01 /var/log/plain.log");
    assert_eq!(lines(&hosts, &host, &file("/var/log/plain.log", since)).await, [] as [String; 0]);

    let wrong = LogAsked { patterns: vec!["(".to_owned()], ..app };
    assert_eq!(hosts.log(&host, &wrong).await.expect_err("no pattern").kind, FaultKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_fault() {
    let estate = Estate::new("log-unread");
    let web = estate.debian("web1");
    let hosts = Hosts::new();
    let (ops, guest) =
        (as_user(&estate, &web, "ops", None), as_user(&estate, &web, "guest", Some(Sudo::None)));
    let since = Timestamp::now();
    web.run("echo '2020-01-01 00:00:00 fine' >/var/log/app.log; chmod 600 /var/log/app.log");
    let app = file("/var/log/app.log", since);
    assert_eq!(lines(&hosts, &ops, &app).await, [] as [String; 0]);
    let fault = hosts.log(&guest, &app).await.expect_err("it is root's");
    assert_eq!(fault.kind, FaultKind::Denied, "{}", fault.message);
    // What everybody may read needs no rights.
    web.run("chmod 644 /var/log/app.log");
    assert_eq!(lines(&hosts, &guest, &app).await, [] as [String; 0]);

    // journald tells everybody of his own lines, and says nothing of the others.
    let stand_in = |body: &str| {
        web.run(&format!(
            "cat >/usr/local/bin/journalctl <<'END'\n#!/bin/sh\n{body}\nEND\nchmod 755 /usr/local/bin/journalctl"
        ));
    };
    let late = since.checked_add(jiff::SignedDuration::from_mins(1)).expect("a time");
    let early = since.checked_sub(jiff::SignedDuration::from_secs(30)).expect("a time");
    let [late, early] = [late, early].map(|time| time.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string());
    stand_in(&format!("echo '{early} web1 app[1]: ERROR old'\necho '{late} web1 app[1]: ERROR new'"));
    assert_eq!(lines(&hosts, &ops, &journal(since)).await, [format!("{late} web1 app[1]: ERROR new")]);
    let fault = hosts.log(&guest, &journal(since)).await.expect_err("no rights");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("`sudo: none`"), "{}", fault.message);

    stand_in("echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1");
    let fault = hosts.log(&ops, &journal(since)).await.expect_err("it cannot be read");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("insufficient"), "{}", fault.message);
    stand_in("exit 0");
    let fault = hosts.log(&ops, &journal(since)).await.expect_err("there is none");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("empty"), "{}", fault.message);
    // Damaged in the middle.
    stand_in(&format!(
        "echo '{late} web1 app[1]: fine'\ncase $* in *--since*) echo damaged >&2; exit 1 ;; esac"
    ));
    let fault = hosts.log(&ops, &journal(since)).await.expect_err("only a part can be read");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("damaged"), "{}", fault.message);
}
