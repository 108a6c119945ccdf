//! Servers with pages, as NetBox has them.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use super::path;
use crate::program::{Done, Place};

/// Answers with what a function says of a path; keeps what it was asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, &str, SocketAddr) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let token =
                    head.iter().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = answer(&path, token, address);
                kept.lock().expect("what it was asked").push(path);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("what it was asked").clone()
    }
}

fn device(name: &str, address: Value, role: &str) -> Value {
    json!({
        "name": name, "primary_ip": { "address": address }, "role": { "slug": role },
        "tags": [{ "slug": "linux" }, { "slug": "patch me" }],
        "custom_fields": { "environment": "production" }, "tenant": null, "rack": { "name": "a1" }
    })
}

fn inventory(place: &Place, server: &Server) {
    let text = format!(
        "inventory: netbox
connection: {{ user: deploy }}
groups: {{ web: {{ owner: shop, connection: {{ port: 2222 }} }} }}
source:
  http:
    url: http://{}/api/dcim/devices/?limit=2
    headers: {{ Authorization: \"Token {{{{ secret('NETBOX') }}}}\" }}
    items: results
    next: next
    name: name
    address: primary_ip.address
    groups: [role.slug, tags.*.slug]
    environment: custom_fields.environment
    owner: tenant.name
    vars: {{ rack: rack.name }}
",
        server.address
    );
    place.write("fleet.yaml", &text);
}

fn run(place: &Place, arguments: &[&str]) -> Done {
    let mut command = place.command(&["inventory", "-i", &path(place, "fleet.yaml")]);
    command.args(arguments).env("RUNBOOK_SECRET_NETBOX", "s3cret-token");
    Done::from(command.output().expect("the binary runs"))
}

#[test]
fn all_pages_are_read_and_mapped() {
    let place = Place::new();
    let server = Server::start(|path, token, address| {
        if token != "Token s3cret-token" {
            return (403, format!("no: {token}"));
        }
        let body = if path.ends_with("offset=2") {
            json!({ "next": null, "results": [device("db1", Value::Null, "db")] })
        } else {
            let devices =
                [device("web1", json!("10.0.0.1/24"), "web"), device("web2", json!("2001:db8::2/64"), "web")];
            json!({ "next": format!("http://{address}/api/dcim/devices/?limit=2&offset=2"), "results": devices })
        };
        (200, body.to_string())
    });
    inventory(&place, &server);
    let done = run(&place, &[]).exits(0);
    insta::assert_snapshot!(done.stdout, @r#"
    host  address             environment  owner  groups
    db1   db1                 production          db linux patch_me
    web1  10.0.0.1:2222       production   shop   linux patch_me web
    web2  [2001:db8::2]:2222  production   shop   linux patch_me web

    3 hosts
    "#);
    assert_eq!(server.asked(), ["/api/dcim/devices/?limit=2", "/api/dcim/devices/?limit=2&offset=2"]);
    let web1 = &run(&place, &["--json", "-g", "web1"]).exits(0).json()["hosts"][0];
    assert_eq!(web1["vars"], json!({ "rack": "a1" }));
    assert_eq!(web1["connection"], json!({ "port": 2222, "user": "deploy" }));
}

#[test]
fn what_a_server_does_wrong_is_told_without_the_token() {
    let place = Place::new();
    let refused = |answer: fn(&str, &str, SocketAddr) -> (u16, String)| {
        let server = Server::start(answer);
        inventory(&place, &server);
        let done = run(&place, &[]).exits(4);
        assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
        let said = done.stderr.lines().next().unwrap_or_default().to_owned();
        said.replace(&server.address.to_string(), "SERVER")
    };
    insta::assert_snapshot!(refused(|_, token, _| (403, format!("no: {token}"))), @"error: the server does not let us in: it answered 403");
    insta::assert_snapshot!(refused(|_, _, _| (302, String::new())), @"error: the server answered 302: redirects are not followed");
    insta::assert_snapshot!(refused(|_, _, _| (500, String::new())), @"error: the server answered 500 for page 1");
    insta::assert_snapshot!(refused(|_, _, _| (200, "<html>".to_owned())), @"error: page 1 of the server is no JSON (line 1, column 1)");
    insta::assert_snapshot!(refused(|_, _, _| (200, json!({ "results": 5 }).to_string())), @"error: page 1 of the server has no list at `results`");
    insta::assert_snapshot!(refused(|_, _, _| (200, json!({ "results": [{ "name": null }] }).to_string())), @"error: item 1 of page 1 of the server has no text at `name`");
    insta::assert_snapshot!(
        refused(|_, _, _| (200, json!({ "next": "http://192.0.2.1/", "results": [] }).to_string())), @"error: the next page of http://SERVER is on another server, http://192.0.2.1: it is not asked for");
    insta::assert_snapshot!(
        refused(|path, _, _| (200, json!({ "next": path, "results": [] }).to_string())), @"error: the server's pages have no end: one names an earlier one as its next");
}
