//! A sandbox on a free port, and a client of a few lines.

use std::{path::Path, sync::Arc, time::Duration};

use runbook_sandbox::{Options, Sandbox};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// Five machines; the world begins on Monday, 5 January 2026, 08:00 UTC.
pub const FLEET: &str = "
fleet: rig
lag: 3s
groups:
  - { name: web, names: 'web-{n}', count: 5, tags: { Environment: dev } }
";

/// A sandbox that runs.
pub struct Rig {
    /// Where it listens.
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            (key.to_lowercase() == name).then_some(value)
        })
    }
}

impl Rig {
    /// A sandbox without a folder whose time stands still.
    pub async fn start(fleet: &str) -> Self {
        Self::open(fleet, None).await
    }

    /// A sandbox with a folder.
    pub async fn open(fleet: &str, folder: Option<&Path>) -> Self {
        let options = Options { folder: folder.map(Path::to_owned), speed: 0, seed: 7 };
        let sandbox = Arc::new(Sandbox::open(fleet, &options).expect("a sandbox"));
        let listener = Sandbox::listen(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            sandbox.serve(listener, stopped).await.expect("it serves");
        });
        Self { address, stop: Some(stop), served }
    }

    /// Ends it, as SIGTERM does.
    pub async fn stop(mut self) {
        let stop = self.stop.take().expect("it runs");
        stop.send(()).expect("it listens");
        self.served.await.expect("it ends");
    }

    /// Sends a request and reads the answer; `None`: there was none.
    pub async fn send(&self, head: &str, body: &str) -> Option<Answer> {
        let mut stream = self.begin(head, body).await;
        let mut bytes = Vec::new();
        // A connection that is reset is one without an answer too.
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).expect("UTF-8");
        let (headers, body) = text.split_once("\r\n\r\n")?;
        let status = headers.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, headers: headers.to_owned(), body: body.to_owned() })
    }

    /// Sends a request and leaves its answer to come.
    pub async fn begin(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        let (first, headers) = head.split_once('\n').unwrap_or((head, ""));
        let headers = headers.trim_end().replace('\n', "\r\n");
        let gap = if headers.is_empty() { "" } else { "\r\n" };
        let text = format!(
            "{first} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\nContent-Length: {}\r\n{headers}{gap}\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.expect("it is sent");
        stream
    }

    /// A call of Systems Manager.
    pub async fn ssm(&self, operation: &str, body: &Value) -> Answer {
        self.send(&ssm(operation), &body.to_string()).await.expect("an answer")
    }

    /// A call of the Security Token Service.
    pub async fn sts(&self, body: &str) -> Option<Answer> {
        self.send(&format!("POST /\n{}", signed("AKIA123456789012SBOX", "sts")), body).await
    }

    /// Asks the sandbox itself.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.send(&format!("GET {path}"), "").await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Tells the sandbox itself.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(&format!("POST {path}"), &body.to_string()).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// The call log.
    pub async fn calls(&self) -> Vec<Value> {
        self.get("/_sandbox/calls").await.as_array().expect("a list").clone()
    }
}

/// The head of a call of Systems Manager.
pub fn ssm(operation: &str) -> String {
    format!(
        "POST /\n{}X-Amz-Target: AmazonSSM.{operation}\nContent-Type: application/x-amz-json-1.1\n",
        signed("AKIA123456789012SBOX", "ssm")
    )
}

/// A signature's header; it is not verified.
pub fn signed(key: &str, service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={key}/20260105/eu-central-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\n"
    )
}

/// Waits for something that the server does soon, on its own.
pub async fn eventually<F: AsyncFn() -> bool>(holds: F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it comes about");
}
