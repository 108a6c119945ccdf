//! The scripts, run by this machine's own sh with one tool at a time.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{HTTP, TCP, curl, plain};

/// What the scripts need besides what they look with.
const PLAIN: [&str; 4] = ["tr", "cut", "sed", "sh"];

/// A service that says this status to whoever carries the header, and 401 to all others; it redirects by 302.
fn serve(status: &'static str, requests: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests).flatten() {
            let mut stream = stream;
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                asked.extend(byte);
            }
            let known = String::from_utf8_lossy(&asked).contains("s3cret\"\\x");
            let status = if known { status } else { "401 Unauthorized" };
            let place = format!("Location: http://{address}/other\r\n");
            let _ =
                write!(stream, "HTTP/1.1 {status}\r\n{place}Content-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    address
}

/// A port that nobody listens on: no test gets one that small.
fn closed() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// Where a tool is. First where systems have it: elsewhere it may be a script that needs other tools.
fn place_of(tool: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = ["/usr/bin", "/bin"].into_iter().chain(path.split(':'));
    folders.map(|folder| Path::new(folder).join(tool)).find(|path| path.exists())
}

/// Runs a script where only these tools are; its exit code and what it printed.
fn run(script: &str, tools: &[&str], env: &[(&str, String)]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for tool in tools.iter().chain(&PLAIN) {
        if let Some(found) = place_of(tool) {
            symlink(fs::canonicalize(found).expect("a path"), folder.path().join(tool)).expect("a link");
        }
    }
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .env_clear()
        .env("PATH", folder.path())
        .envs(env.iter().map(|(name, value)| (*name, value.as_str())))
        .output()
        .expect("sh runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_here(tool: &str) -> bool {
    place_of(tool).is_some()
}

fn ask(tools: &[&str], address: SocketAddr, header: bool) -> (i32, String) {
    let headers: BTreeMap<String, String> =
        header.then(|| ("X-Key".to_owned(), "s3cret\"\\x".to_owned())).into_iter().collect();
    let url = format!("http://{address}/healthz");
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let (to, port, request) = plain(&url, &headers).expect("a plain URL");
    let env = [
        ("RB_HOST", to),
        ("RB_PORT", port),
        ("RB_REQUEST", request),
        ("RB_CURL", curl(&url, &headers, Duration::from_secs(10))),
        ("RB_URL", url),
        ("RB_HEADERS", lines.join("\n")),
        ("RB_EXPECT", "200".to_owned()),
        ("RB_WITHIN", "10".to_owned()),
    ];
    run(HTTP, tools, &env)
}

#[test]
fn every_tool_says_the_same_of_a_url() {
    let mut tried = 0;
    for tools in [&["curl"][..], &["python3"], &["perl"], &["wget"], &["bash", "timeout"]] {
        if !tools.iter().all(|tool| is_here(tool)) {
            continue;
        }
        let sends_headers = tools != ["wget"];
        if sends_headers {
            assert_eq!(ask(tools, serve("200 OK", 1), true), (0, String::new()), "{tools:?}");
            assert_eq!(ask(tools, serve("302 Found", 1), true), (1, "answered 302".to_owned()), "{tools:?}");
            assert_eq!(ask(tools, serve("503 Sick", 1), true), (1, "answered 503".to_owned()), "{tools:?}");
        }
        assert_eq!(ask(tools, serve("200 OK", 1), false), (1, "answered 401".to_owned()), "{tools:?}");
        let (code, said) = ask(tools, closed(), false);
        assert!(code == 1 && said.starts_with("gave no answer ("), "{tools:?}: {code} {said}");
        tried += 1;
    }
    assert!(tried > 0, "this machine has none of them");
    let (code, said) = ask(&[], closed(), false);
    assert_eq!(
        (code, said.as_str()),
        (3, "the host has none of curl, python, perl, wget, and bash with timeout that could ask this")
    );
}

#[test]
fn every_tool_says_the_same_of_a_port() {
    let open = TcpListener::bind("127.0.0.1:0").expect("a port");
    let connect = |tools: &[&str], address: SocketAddr| {
        let env = [
            ("RB_HOST", address.ip().to_string()),
            ("RB_PORT", address.port().to_string()),
            ("RB_WITHIN", "10".to_owned()),
        ];
        run(TCP, tools, &env)
    };
    let address = open.local_addr().expect("an address");
    let mut tried = 0;
    for tools in [&["python3"][..], &["perl"], &["nc"], &["bash", "timeout"]] {
        if !tools.iter().all(|tool| is_here(tool)) {
            continue;
        }
        assert_eq!(connect(tools, address), (0, String::new()), "{tools:?}");
        let (code, said) = connect(tools, closed());
        assert!(code == 1 && said.starts_with("took no connection ("), "{tools:?}: {code} {said}");
        tried += 1;
    }
    assert!(tried > 0, "this machine has none of them");
    assert_eq!(connect(&[], address).0, 3);
}

#[test]
fn a_request_is_sent_as_it_is_where_that_is_enough() {
    let none = BTreeMap::new();
    let text =
        |path: &str, host: &str| format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for (url, host, port, path, authority) in [
        ("http://10.0.0.5:8080/healthz?a=b#c", "10.0.0.5", "8080", "/healthz?a=b", "10.0.0.5:8080"),
        ("http://localhost", "localhost", "80", "/", "localhost"),
        ("http://[::1]:81?x", "::1", "81", "/?x", "[::1]:81"),
    ] {
        let expected = (host.to_owned(), port.to_owned(), text(path, authority));
        assert_eq!(plain(url, &none), Some(expected), "{url}");
    }
    assert_eq!(plain("https://localhost/", &none), None);
    assert_eq!(plain("http://user:word@localhost/", &none), None);
}
