//! The HTTP server.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Response, body::Incoming, header::HeaderValue, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    answer::{Answer, Reply},
    call::Call,
    call_log::Entry,
    control,
    fault::{Refusal, Trouble},
    hold::When,
    proxy,
    request::{Request, Scope},
    sandbox::{Sandbox, SandboxError},
    service::Service,
};

/// The world's time, there and back.
pub const CLOCK: &str = "x-runbook-clock";
/// More than any request of these services.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The connection is closed without an answer.
#[derive(Debug, Error)]
#[error("no answer is sent")]
struct Unanswered;

impl Sandbox {
    /// Listens on a loopback address; port 0 is a free one.
    ///
    /// # Errors
    /// It is no loopback address, or cannot be listened on.
    pub async fn listen(address: SocketAddr) -> Result<TcpListener, SandboxError> {
        if !address.ip().is_loopback() {
            return Err(SandboxError::NotLoopback { address });
        }
        TcpListener::bind(address).await.map_err(|source| SandboxError::Listen { address, source })
    }

    /// Serves until `stop` completes. The world's time is kept then.
    ///
    /// # Errors
    /// No connection can be taken.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let accept = async {
            loop {
                let (stream, _) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    // The client is gone already, or there are too many of them just now.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    Err(error) => return Err(error),
                };
                // Small answers at once: clients wait for each of them.
                let _ = stream.set_nodelay(true);
                tokio::spawn(Arc::clone(&self).converse(stream));
            }
        };
        tokio::select! {
            () = stop => {}
            ended = accept => { let _: Infallible = ended?; }
        }
        let _ = self.log().note_time(self.world().now());
        Ok(())
    }

    /// One connection. That it breaks is the client's affair.
    async fn converse(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |request| {
            let sandbox = Arc::clone(&self);
            async move { sandbox.respond(request).await }
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn respond(&self, request: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Unanswered> {
        let (parts, body) = request.into_parts();
        if let Some(to) = parts.headers.get(CLOCK) {
            match to.to_str().ok().and_then(|to| to.parse::<Timestamp>().ok()) {
                Some(to) => self.world().advance_to(to),
                None => return self.finish(Answer::new(400, "text/plain", "x-runbook-clock is no time")),
            }
        }
        if parts.method == hyper::Method::CONNECT {
            let tunnel = hyper::Request::from_parts(parts, body);
            return self.finish(proxy::connect(self, tunnel).await);
        }
        let Ok(body) = Limited::new(body, MOST_BYTES).collect().await else {
            let message = "the request is broken, or too large";
            return self.finish(Answer::new(413, "text/plain", message));
        };
        let request =
            Request { method: parts.method, uri: parts.uri, headers: parts.headers, body: body.to_bytes() };
        let answer = if request.uri.authority().is_some() {
            // No entry of the call log will say how far time went.
            let _ = self.log().note_time(self.world().now());
            proxy::request(self, &request).await
        } else if request.path().starts_with(control::ROOT) {
            control::answer(self, &request).await
        } else {
            self.aws(&request).await
        };
        self.finish(answer)
    }

    fn finish(&self, answer: Answer) -> Result<Response<Full<Bytes>>, Unanswered> {
        let Answer::Reply(reply) = answer else { return Err(Unanswered) };
        let mut response = Reply::into_response(reply);
        if let Ok(now) = HeaderValue::from_str(&self.world().now().to_string()) {
            response.headers_mut().insert(CLOCK, now);
        }
        Ok(response)
    }

    /// An AWS call.
    async fn aws(&self, request: &Request) -> Answer {
        let Some(scope) = Scope::of(request) else {
            let refusal = Refusal::new("MissingAuthenticationToken", "the request is not signed").status(403);
            return unnamed(&refusal);
        };
        let Some(service) = self.service(&scope.service) else {
            let message = format!("the sandbox has no service that signs as {}", scope.service);
            return unnamed(&Refusal::new("UnknownServiceException", message));
        };
        let request_id = uuid::Uuid::new_v4().to_string();
        let operation = service.operation(request);
        let account = scope.account().map_or_else(|| self.first_account(), str::to_owned);
        let mut record = Record {
            sandbox: self,
            entry: Entry {
                n: self.log().number(),
                at: self.world().now(),
                service: service.name().to_owned(),
                operation: operation.clone().unwrap_or_default(),
                account: account.clone(),
                region: scope.region.clone(),
                writes: operation.as_deref().is_some_and(|name| service.writes(name)),
                took_effect: false,
                answered: false,
                error: None,
                machines: Vec::new(),
                token: None,
                request_id: request_id.clone(),
            },
        };
        let hold = self.holds().arrive();
        if hold == Some(When::Before) {
            record.hold().await;
        }
        let called = match &operation {
            Some(operation) => {
                let call = Call {
                    sandbox: self,
                    request,
                    operation,
                    account: &account,
                    region: &scope.region,
                    access_key: &scope.access_key,
                    request_id: &request_id,
                };
                self.carry_out(service, &call, &mut record).await
            }
            None => Err(service.unknown_operation(None).into()),
        };
        let answer = match called {
            Ok(answer) => answer,
            Err(Trouble::Lost) => Answer::Drop,
            Err(Trouble::Refused(refusal)) => {
                record.entry.error = Some(refusal.code.clone());
                service.refuse(request, &refusal, &request_id)
            }
        };
        if hold == Some(When::After) {
            record.hold().await;
        }
        record.entry.answered = matches!(answer, Answer::Reply(_));
        answer.with("x-amzn-requestid", request_id)
    }

    /// Carries a call out, alone, and notes what the world wrote down in it.
    async fn carry_out(
        &self,
        service: &dyn Service,
        call: &Call<'_>,
        record: &mut Record<'_>,
    ) -> Result<Answer, Trouble> {
        let _turn = self.turn().lock().await;
        let before = self.world().count_calls();
        let called = service.answer(call).await;
        let entry = &mut record.entry;
        for effect in self.world().calls_from(before) {
            entry.took_effect |= effect.took_effect;
            entry.machines.extend(effect.machines.iter().map(ToString::to_string));
            if !effect.token.is_empty() {
                entry.token.get_or_insert(effect.token);
            }
        }
        called
    }
}

/// An error before a service was found: in JSON, which every SDK can at least show.
fn unnamed(refusal: &Refusal) -> Answer {
    let body = serde_json::json!({ "__type": refusal.code, "message": refusal.message });
    Answer::new(refusal.status, "application/json", body.to_string())
        .with("x-amzn-errortype", refusal.code.clone())
}

/// The log's entry of a call: written when the call is over, however that comes about.
struct Record<'a> {
    sandbox: &'a Sandbox,
    entry: Entry,
}

impl Record<'_> {
    async fn hold(&self) {
        let operation = format!("{}:{}", self.entry.service, self.entry.operation);
        self.sandbox.holds().stand(self.entry.n, &operation).await;
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.sandbox.note(self.entry.clone());
    }
}
