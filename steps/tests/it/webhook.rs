//! `notify/webhook`: what it sends, and what it makes of the answer.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runbook_engine::outcome::{ErrorClass, Outcome};
use runbook_steps::{
    action::Failure,
    actions::notify::webhook::Webhook,
    ports::{
        hindrance::Hindrance,
        http::{Http, Request},
    },
};
use serde_json::{Value, json};

use crate::contract::{
    attempt::Attempt,
    crash_everywhere,
    nowhere::{Nowhere, ports},
    time::Jumping,
};

/// Takes what it is sent.
struct Receiver {
    answer: Result<u16, Hindrance>,
    received: Mutex<Vec<Request>>,
}

impl Receiver {
    fn received(&self) -> Vec<Request> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Http for Receiver {
    async fn request(&self, request: Request) -> Result<u16, Hindrance> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.answer.clone()
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), Hindrance> {
        Nowhere.connect(host, port, timeout).await
    }
}

fn receiver(answer: Result<u16, Hindrance>, inputs: Value) -> (Arc<Receiver>, Attempt) {
    let receiver = Arc::new(Receiver { answer, received: Mutex::default() });
    let mut ports = ports(Jumping::new());
    ports.http = Arc::clone(&receiver) as _;
    (receiver, Attempt::new(ports, inputs))
}

async fn sent(inputs: Value) -> Request {
    let (receiver, attempt) = receiver(Ok(204), inputs);
    attempt.live_to_the_end(&Webhook::default()).await.expect("it is sent");
    let [request] = receiver.received().try_into().expect("one request");
    request
}

#[tokio::test(start_paused = true)]
async fn without_a_body_it_says_what_it_is_about() {
    let request = sent(json!({ "url": "http://hook/", "body": null })).await;
    let body: Value = serde_json::from_str(request.body.as_deref().unwrap_or_default()).expect("JSON");
    assert_eq!(body, json!({ "run": "7k2m", "event": "step", "subject": "production/wave-1/step" }));
    assert_eq!((request.method, request.headers["Content-Type"].as_str()), ("POST", "application/json"));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_as_it_is_or_as_json() {
    let text = sent(json!({ "url": "http://hook/", "body": "all is well" })).await;
    assert_eq!(text.body.as_deref(), Some("all is well"));
    assert_eq!(text.headers["Content-Type"], "text/plain; charset=utf-8");
    let map = sent(json!({ "url": "http://hook/", "body": { "text": "all is well" } })).await;
    assert_eq!(map.body.as_deref(), Some(r#"{"text":"all is well"}"#));
    let headers = json!({ "content-type": "text/x-own", "X-Key": "k" });
    let own = sent(json!({ "url": "http://hook/", "body": "x", "headers": headers })).await;
    let names: Vec<_> = own.headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["Idempotency-Key", "X-Key", "content-type"]);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_transient_and_no_cause_names_the_url() {
    for (answer, class, cause) in [
        (Ok(429), ErrorClass::Transient, "the webhook answered 429"),
        (Ok(503), ErrorClass::Transient, "the webhook answered 503"),
        (
            Err("connection refused".into()),
            ErrorClass::Transient,
            "the webhook gave no answer: connection refused",
        ),
        (Ok(302), ErrorClass::Failed, "the webhook answered 302"),
        (Ok(404), ErrorClass::Failed, "the webhook answered 404"),
    ] {
        let (_, attempt) = receiver(answer, json!({ "url": "http://hook/secret" }));
        let failed = attempt.live_to_the_end(&Webhook::default()).await;
        assert_eq!(failed, Err(Failure::Failed { outcome: Outcome::Failed, class, cause: cause.to_owned() }));
    }
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_lacks_is_no_failure_of_the_webhook() {
    let few = Hindrance::ours("too many open files (os error 24)");
    let (_, attempt) = receiver(Err(few), json!({ "url": "http://hook/secret" }));
    let failed = attempt.live_to_the_end(&Webhook::default()).await;
    let cause = "the webhook gave no answer: too many open files (os error 24)".to_owned();
    assert_eq!(failed, Err(Failure::NeedsPerson { cause }));
}

#[tokio::test(start_paused = true)]
async fn through_every_crash_the_receiver_can_tell_that_it_is_one_message() {
    let make = || receiver(Ok(200), json!({ "url": "http://hook/" }));
    crash_everywhere(&Webhook::default(), make, |receiver, _, ended| async move {
        assert_eq!(ended, Ok(Value::Null));
        let received = receiver.received();
        let keys: BTreeSet<_> = received.iter().map(|request| &request.headers["Idempotency-Key"]).collect();
        let bodies: BTreeSet<_> = received.iter().map(|request| &request.body).collect();
        assert_eq!((keys.len(), bodies.len()), (1, 1));
    })
    .await;
}
