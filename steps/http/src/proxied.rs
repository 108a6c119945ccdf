//! HTTP and TCP through the proxy of a simulated world that another process serves.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;
use runbook_steps::{
    ports::{
        hindrance::Hindrance,
        http::{Http, Request},
    },
    world::RemoteTime,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::phrase;

/// The world's time, there and back.
const CLOCK: &str = "x-runbook-clock";

/// Says that the proxy, and not the machine, answers.
const PROXY: &str = "x-runbook-proxy";

/// The simulated machines, and everybody else, behind a proxy. What goes to others is told to the proxy and goes no
/// further. The world's time stands still while an answer is on its way, and a machine that cannot be reached takes
/// the world's time that a real one would.
#[derive(Debug)]
pub struct Proxied {
    /// `127.0.0.1:4700`
    address: String,
    time: Arc<RemoteTime>,
}

impl Proxied {
    /// Through the proxy at this address (`127.0.0.1:4700`).
    pub fn new(address: impl Into<String>, time: Arc<RemoteTime>) -> Self {
        Self { address: address.into(), time }
    }

    /// Says this to the proxy; the answer's status, unless the proxy says that there was none.
    async fn say(&self, head: String, body: &str, timeout: Duration) -> Result<u16, Hindrance> {
        let answer = {
            let _held = self.time.hold();
            let head = format!("{head}{CLOCK}: {}\r\nconnection: close\r\n\r\n", self.time.now());
            self.exchange(&head, body).await?
        };
        if let Some(now) = answer.header(CLOCK).and_then(|now| now.parse::<Timestamp>().ok()) {
            self.time.not_before(now);
        }
        match answer.header(PROXY) {
            None => Ok(answer.status),
            Some("refused") => Err("connection refused".into()),
            Some(_) => {
                tokio::time::sleep(timeout).await;
                Err(phrase::silence(timeout).into())
            }
        }
    }

    async fn exchange(&self, head: &str, body: &str) -> Result<Answer, Hindrance> {
        let broken = |error: std::io::Error| phrase::hindrance(&error);
        let mut stream = TcpStream::connect(&self.address).await.map_err(broken)?;
        stream.write_all(head.as_bytes()).await.map_err(broken)?;
        stream.write_all(body.as_bytes()).await.map_err(broken)?;
        let mut seen = Vec::new();
        let mut piece = [0; 1024];
        loop {
            if let Some(answer) = Answer::read(&seen) {
                return Ok(answer);
            }
            match stream.read(&mut piece).await.map_err(broken)? {
                0 => return Err("connection closed before the answer was complete".into()),
                read => seen.extend_from_slice(&piece[..read]),
            }
        }
    }
}

/// The head of an answer: nothing else is asked for.
struct Answer {
    status: u16,
    head: String,
}

impl Answer {
    /// `None`: it is not complete yet.
    fn read(seen: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(seen);
        let (head, _) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.get(..3)?.parse().ok()?;
        Some(Self { status, head: head.to_owned() })
    }

    fn header(&self, wanted: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    }
}

#[async_trait]
impl Http for Proxied {
    async fn request(&self, request: Request) -> Result<u16, Hindrance> {
        let mut url = Url::parse(&request.url).map_err(|_| "the URL is none".to_owned())?;
        url.set_fragment(None);
        let host = url.host_str().ok_or("the URL names no host")?;
        let body = request.body.unwrap_or_default();
        let mut head = format!(
            "{} {url} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n",
            request.method,
            body.len()
        );
        for (name, value) in &request.headers {
            if [name, value].iter().any(|text| text.contains(['\r', '\n'])) {
                return Err("the request could not be made".into());
            }
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.say(head, &body, request.timeout).await
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), Hindrance> {
        let head = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
        match self.say(head, "", timeout).await? {
            200 => Ok(()),
            status => Err(format!("the proxy answers {status}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn an_answer_has_a_status_and_headers() {
        let text = b"HTTP/1.1 504 Gateway Timeout\r\nX-Runbook-Proxy: unreachable\r\n\r\nno way";
        let answer = Answer::read(text).expect("it is complete");
        assert_eq!((answer.status, answer.header("x-runbook-proxy")), (504, Some("unreachable")));
        assert_eq!(answer.header("x-other"), None);
        assert!(Answer::read(b"HTTP/1.1 200 OK\r\nx: y\r\n").is_none());
    }
}
