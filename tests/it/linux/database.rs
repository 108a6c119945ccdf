//! A database and its files, put back by `runbooks/change-database.yaml` on a real server.

use runbook_test_hosts::{Estate, Family, Host};
use serde_json::Value;

use crate::program::{Done, Place, root};

/// What its customers see: the prices by the database, the terms by a file. It is well while both are.
const SHOP: &str = r#"#!/usr/bin/perl
use strict;
use warnings;
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => '@ADDRESS@', LocalPort => 8080, Listen => 8, ReuseAddr => 1) or die $@;
$SIG{PIPE} = 'IGNORE';
open my $file, '>', '/run/shop.pid' or die $!;
print $file $$;
close $file;
while (1) {
    my $client = $server->accept or next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }
    my $price = `cd / && runuser -u postgres -- psql -XAtc 'select min(price) from articles' shop 2>/dev/null` || 0;
    chomp $price;
    open my $terms, '<', '/srv/shop/terms.txt';
    my $said = $terms ? <$terms> // '' : '';
    my $status = $price > 0 && $said ? '200 OK' : '500 Internal Server Error';
    my $body = "price $price, $said";
    print $client "HTTP/1.1 $status\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
"#;

const SERVICE: &str = r#"#!/bin/sh
case $1 in
start)
    rm -f /run/shop.pid
    start-stop-daemon --start --quiet --oknodo --background --exec /usr/local/lib/shop
    until [ -s /run/shop.pid ]; do sleep 0.02; done
    ;;
stop) start-stop-daemon --stop --quiet --oknodo --retry TERM/5/KILL/5 --pidfile /run/shop.pid --remove-pidfile ;;
esac
"#;

/// The change waits until a customer was there. All prices and the terms are gone then.
const CHANGE: &str = r#"#!/bin/sh
set -eu
: >/run/changing
until [ -e /run/go ]; do sleep 0.05; done
cd /
runuser -u postgres -- psql -Xqc 'update articles set price = 0' shop
: >/srv/shop/terms.txt
"#;

fn sql(host: &Host, text: &str) -> String {
    host.run(&format!("cd / && runuser -u postgres -- psql -XAqtc \"{text}\" shop"))
}

/// A program on the host.
fn program(host: &Host, path: &str, text: &str) {
    host.run(&format!("cat >{path} <<'PROGRAM'\n{text}PROGRAM\nchmod 755 {path}"));
}

fn shop(host: &Host) {
    program(host, "/usr/local/lib/shop", &SHOP.replace("@ADDRESS@", host.address()));
    program(host, "/etc/init.d/shop", SERVICE);
    program(host, "/usr/local/sbin/change-shop", CHANGE);
    host.run("service postgresql start");
    host.wait_until("has no database", |host| {
        host.exec(
            "cd / && runuser -u postgres -- createuser shop && runuser -u postgres -- createdb -O shop shop",
        )
        .code
            == 0
    });
    sql(
        host,
        "create table articles(name text, price int); insert into articles values ('tea', 4), ('cup', 9)",
    );
    sql(host, "create table orders(id int primary key, customer text, written_at timestamptz default now())");
    sql(host, "insert into orders values (1, 'Ada'), (2, 'Grace')");
    sql(host, "alter database shop set work_mem = '7MB'");
    host.run("install -d -o www-data -m 0750 /srv/shop && echo 'fourteen days' >/srv/shop/terms.txt");
    host.run("install -d -m 0700 /srv/restic && RESTIC_PASSWORD='open sesame' restic -r /srv/restic init");
    host.run("service shop start");
}

fn with_secret(place: &Place, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    Done::from(
        command.env("RUNBOOK_SECRET_RESTIC_PASSWORD", "open sesame").output().expect("the binary runs"),
    )
}

/// What the shop answers.
fn answer(host: &Host) -> String {
    host.run(&format!("perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(\"{}:8080\"); print $s \"GET / HTTP/1.0\\r\\n\\r\\n\"; local $/; print <$s>'", host.address()))
}

#[test]
fn rows_and_files_come_back_as_they_were_and_what_was_written_since_is_named() {
    let estate = Estate::new("database");
    let host = estate.recipe(Family::Debian, "db1").with_database().start();
    shop(&host);
    assert!(
        answer(&host).contains("200 OK") && answer(&host).ends_with("price 4, fourteen days"),
        "{}",
        answer(&host)
    );
    let place = Place::new();
    place.write(
        "hosts.yaml",
        &format!("inventory: shop\ngroups:\n  database:\n    hosts:\n      {}\n", host.entry()),
    );
    let text = std::fs::read_to_string(root().join("runbooks/change-database.yaml")).expect("it is shipped");
    // A test does not wait two minutes for a service that is sick.
    let text = text.replace("within: 2m, for: 1m, every: 10s", "within: 2s, for: 1s, every: 1s");
    // Nor a month until its backup may go.
    let text = text.replace("keep: 30d", "keep: 1s");
    let runbook = place.write("change-database.yaml", &text).display().to_string();

    let planned = with_secret(&place, &["plan", &runbook]).exits(0).stdout;
    assert!(planned.contains("what was written to its paths since, rows of databases included"), "{planned}");

    let mut command = place.command(&["run", &runbook]);
    command.env("RUNBOOK_SECRET_RESTIC_PASSWORD", "open sesame");
    let told = place.path("told");
    let log = std::fs::File::create(&told).expect("a file");
    let mut run =
        command.stdout(log.try_clone().expect("the same")).stderr(log).spawn().expect("the binary starts");
    host.wait_until("is not being changed", |host| host.exec("test -e /run/changing").code == 0);
    // A customer, after the backup and before it turns out that the change is none.
    sql(&host, "insert into orders values (3, 'Katherine')");
    host.run("echo 'paid by card' >/srv/shop/receipt-3.txt");
    host.run("touch /run/go");
    assert_eq!(
        run.wait().expect("an end").code(),
        Some(10),
        "{}",
        std::fs::read_to_string(&told).expect("told")
    );

    // It answers as before.
    assert!(
        answer(&host).contains("200 OK") && answer(&host).ends_with("price 4, fourteen days"),
        "{}",
        answer(&host)
    );
    assert_eq!(sql(&host, "select id, customer from orders order by id"), "1|Ada\n2|Grace");
    assert_eq!(sql(&host, "select pg_get_userbyid(datdba) from pg_database where datname = 'shop'"), "shop");
    assert_eq!(sql(&host, "show work_mem"), "7MB");
    assert_eq!(host.run("ls /srv/shop; stat -c '%U %a' /srv/shop"), "terms.txt\nwww-data 750");

    // What was written since is named wherever somebody looks, and not gone from the host.
    let lost = ["order 3 of Katherine", "/srv/shop/receipt-3.txt", "/srv/shop/terms.txt"];
    let shown = place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(
        (&shown["status"], &shown["targets"]["db1"]["outcome"]),
        (&"restored".into(), &"restored".into())
    );
    let said: Vec<_> =
        shown["lost"]["db1"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for each in lost {
        assert!(said.contains(&each), "{each}: {shown}");
    }
    let page = place.run(&["show"]).exits(0).stdout;
    let logs = place.run(&["logs"]).exits(0).stdout;
    let json = place.run(&["logs", "--json"]).exits(0).stdout;
    for text in [page, logs, json] {
        assert!(lost.iter().all(|each| text.contains(each)), "{text}");
    }
    let line = "lost, written after the backup: db1: order 3 of Katherine and ";
    let told = std::fs::read_to_string(&told).expect("told");
    assert!(told.contains(line), "{told}");
    let events = place.run(&["events"]).exits(0).stdout;
    assert!(events.contains(line), "{events}");
    let former = host.run("cd / && runuser -u postgres -- psql -XAtc \"select datname from pg_database where datname like 'shop_2%'\"");
    assert_eq!(
        host.run(&format!(
            "cd / && runuser -u postgres -- psql -XAtc 'select customer from orders where id = 3' {former}"
        )),
        "Katherine"
    );
    assert_eq!(host.run("cat /srv/shop.runbook-*/receipt-3.txt"), "paid by card");
    // The time of the backup is over. It is in a repository that opens with its password only.
    let backups = |host: &Host| {
        host.run(
            "RESTIC_PASSWORD='open sesame' restic -r /srv/restic snapshots --json | grep -c short_id || :",
        )
    };
    assert_eq!(backups(&host), "1");
    let locked = place.run(&["artifacts", "gc"]).exits(10).stdout;
    assert!(locked.contains("set RUNBOOK_SECRET_RESTIC_PASSWORD"), "{locked}");
    assert_eq!(backups(&host), "1");
    let gone = with_secret(&place, &["artifacts", "gc", "--json"]).exits(0).json();
    let end = &gone["collected"][0];
    assert_eq!(
        (&end["kind"], &end["target"], &end["end"]),
        (&"host_snapshot".into(), &"db1".into(), &"deleted".into())
    );
    assert_eq!((backups(&host), host.run("ls -d /srv/shop*")), ("0".to_owned(), "/srv/shop".to_owned()));
    let again = with_secret(&place, &["artifacts", "gc", "--json"]).exits(0).json();
    assert_eq!(again["collected"], serde_json::json!([]));
    assert!(answer(&host).contains("200 OK"), "{}", answer(&host));
}
