//! The adapter against small servers on this machine.

use std::{collections::BTreeMap, fs::File, process::Command, time::Duration};

use runbook_http::Network;
use runbook_steps::ports::http::{Http, Request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// A server that takes one request and answers it with this text; what it was sent comes back when it ended.
async fn server(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        let mut piece = [0; 1024];
        loop {
            let read = stream.read(&mut piece).await.expect("bytes");
            seen.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&seen);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).await.expect("an answer");
        String::from_utf8_lossy(&seen).into_owned()
    });
    (address, serving)
}

fn get(url: String) -> Request {
    Request { method: "GET", url, headers: BTreeMap::new(), body: None, timeout: Duration::from_secs(60) }
}

/// A port that nobody listens on.
async fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn the_status_is_the_answer() {
    let (address, serving) = server("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let network = Network::new();
    assert_eq!(network.request(get(format!("http://{address}/healthz?x=1"))).await, Ok(503));
    let seen = serving.await.expect("it served");
    assert!(seen.starts_with("GET /healthz?x=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("user-agent: runbook/"), "{seen}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_too() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (address, _serving) = server(moved).await;
    let network = Network::new();
    assert_eq!(network.request(get(format!("http://{address}/"))).await, Ok(302));
}

#[tokio::test]
async fn body_and_headers_are_sent() {
    let (address, serving) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let request = Request {
        method: "POST",
        headers: BTreeMap::from([("X-Key".to_owned(), "k".to_owned())]),
        body: Some(r#"{"run":"7k2m"}"#.to_owned()),
        ..get(format!("http://{address}/hook"))
    };
    let network = Network::new();
    assert_eq!(network.request(request).await, Ok(204));
    let seen = serving.await.expect("it served");
    assert!(seen.contains("x-key: k\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"run\":\"7k2m\"}"), "{seen}");
}

#[tokio::test]
async fn errors_are_phrases_without_the_request() {
    let network = Network::new();
    let port = nobody().await;
    let refused = network.request(get(format!("http://user:pass@127.0.0.1:{port}/?key=secret"))).await;
    assert_eq!(refused, Err("connection refused".into()));

    let (address, serving) = server("").await;
    let closed = network.request(get(format!("http://{address}/?key=secret"))).await;
    serving.await.expect("it served");
    let closed = closed.expect_err("no answer").why;
    assert!(closed.contains("connection") && !closed.contains("secret"), "{closed}");

    let nonsense = network.request(get("no url, but secret".to_owned())).await.expect_err("no URL").why;
    assert!(!nonsense.contains("secret"), "{nonsense}");

    let mut header = get(format!("http://127.0.0.1:{port}/"));
    header.headers.insert("bad name".to_owned(), "secret".to_owned());
    let nonsense = network.request(header).await.expect_err("no header").why;
    assert!(!nonsense.contains("secret"), "{nonsense}");
}

#[tokio::test]
async fn silence_ends_with_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let network = Network::new();
    let request =
        Request { timeout: Duration::from_millis(20), ..get(format!("http://{address}/?key=secret")) };
    assert_eq!(network.request(request).await, Err("nothing came within 20ms".into()));
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn a_build_without_tls_says_so() {
    let network = Network::new();
    let why = network.request(get("https://127.0.0.1:1/".to_owned())).await;
    let why = why.expect_err("no TLS");
    assert!(why.ours && why.why == "this build of runbook cannot speak https", "{why}");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_that_speaks_no_tls_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an answer");
    });
    let network = Network::new();
    let why = network.request(get(format!("https://{address}/?key=secret"))).await.expect_err("no answer");
    serving.await.expect("it served");
    assert!(!why.ours && !why.why.contains("secret"), "{why}");
}

#[tokio::test]
async fn a_port_takes_connections_or_says_why_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let open = listener.local_addr().expect("an address").port();
    let network = Network::new();
    let time = Duration::from_secs(60);
    assert_eq!(network.connect("127.0.0.1", open, time).await, Ok(()));
    assert_eq!(network.connect("127.0.0.1", nobody().await, time).await, Err("connection refused".into()));
}

/// In a process of its own, which may open few files.
#[test]
fn without_descriptors_it_is_this_machine_that_lacks_something() {
    const NAME: &str = "without_descriptors_it_is_this_machine_that_lacks_something";
    const FEW: &str = "RUNBOOK_TEST_FEW_FILES";
    if std::env::var_os(FEW).is_none() {
        let own = std::env::current_exe().expect("this program");
        let shell = "ulimit -n 40; exec \"$0\" --exact \"$1\" --nocapture";
        let output = Command::new("sh").args(["-c", shell]).arg(own).arg(NAME).env(FEW, "1").output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(async {
        let (address, _serving) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
        let port = address.rsplit_once(':').expect("a port").1.parse().expect("a number");
        let network = Network::new();
        let time = Duration::from_millis(250);
        let request = |host: &str| Request { timeout: time, ..get(format!("http://{host}:{port}/")) };
        let mut held = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
        for answer in [
            network.request(request("127.0.0.1")).await.map(drop),
            network.request(request("localhost")).await.map(drop),
            network.connect("127.0.0.1", port, time).await,
            network.connect("localhost", port, time).await,
        ] {
            let why = answer.expect_err("no descriptor");
            assert!(why.ours, "{why}");
        }
        // Others give some back while there is time.
        let patient = Request { timeout: Duration::from_secs(60), ..request("127.0.0.1") };
        let (answer, ()) = tokio::join!(network.request(patient), async { drop(held) });
        assert_eq!(answer, Ok(204));
        let why = network.connect("127.0.0.1", nobody().await, time).await.expect_err("nobody");
        assert!(!why.ours, "{why}");
    });
}
