//! How the adapter behaves towards a service that throttles and refuses, in virtual time: the service is a function.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, future},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use runbook_aws::Aws;
use runbook_engine::{ids::TargetId, target::Home};
use runbook_steps::ports::{
    AwsFactory,
    fault::FaultKind,
    ssm::{SendCommand, Ssm},
};
use tokio::{task::JoinSet, time::Instant};

use crate::home;

/// The account of everybody who asks.
const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/x</Arn><UserId>x</UserId>\
    <Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ROLE1</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>\
    <AssumedRoleUser><Arn>arn:aws:sts::111111111111:assumed-role/patching/runbook</Arn>\
    <AssumedRoleId>x:runbook</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>";

/// Status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);

fn said(body: &str) -> Reply {
    (200, Vec::new(), body.to_owned())
}

fn refused(code: &str) -> Reply {
    (400, Vec::new(), format!("{{\"__type\":\"{code}\",\"message\":\"Because.\"}}"))
}

type Answering = dyn Fn(&str, &str, usize) -> Reply + Send + Sync;

/// A service: every call but those of STS is answered by the function, which hears the operation, the access key
/// and how many calls there were before.
struct Service {
    answer: Box<Answering>,
    calls: Mutex<Vec<(String, Instant)>>,
    /// How `AssumeRole` is answered, and how often, before it gives credentials.
    roles: Mutex<(Reply, usize)>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl Service {
    fn new(answer: impl Fn(&str, &str, usize) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), calls: Mutex::default(), roles: Mutex::default() })
    }

    fn handing_out(first: Reply, times: usize) -> Arc<Self> {
        let answer = |operation: &str, _: &str, _: usize| match operation {
            "SendCommand" => said("{\"Command\":{\"CommandId\":\"7c4ba25e\"}}"),
            _ => said("{\"Commands\":[]}"),
        };
        let roles = Mutex::new((first, times));
        Arc::new(Self { answer: Box::new(answer), calls: Mutex::default(), roles })
    }

    /// Without the operation's name in a header it is STS that is asked: for credentials, or who we are.
    fn reply_of_sts(&self, request: &HttpRequest) -> Reply {
        let body = request.body().bytes().unwrap_or_default();
        if !String::from_utf8_lossy(body).contains("Action=AssumeRole") {
            return said(IDENTITY);
        }
        let mut roles = self.roles.lock().expect("no panic");
        if roles.1 == 0 {
            return said(ASSUMED);
        }
        roles.1 -= 1;
        roles.0.clone()
    }

    fn count(&self) -> usize {
        self.calls.lock().expect("no panic").len()
    }

    /// The most calls in any second.
    fn busiest_second(&self) -> usize {
        let calls = self.calls.lock().expect("no panic");
        let within = |from: Instant| {
            calls.iter().filter(|(_, at)| *at >= from && *at < from + Duration::from_secs(1)).count()
        };
        calls.iter().map(|(_, at)| within(*at)).max().unwrap_or(0)
    }

    fn reply(&self, request: &HttpRequest) -> Reply {
        let Some(target) = request.headers().get("x-amz-target") else { return self.reply_of_sts(request) };
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let signed = request.headers().get("authorization").unwrap_or_default();
        let key = signed.split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
        let before = {
            let mut calls = self.calls.lock().expect("no panic");
            calls.push((operation.clone(), Instant::now()));
            calls.len() - 1
        };
        (self.answer)(&operation, key.unwrap_or_default(), before)
    }
}

#[derive(Clone, Debug)]
struct Client(Arc<Service>);

impl HttpConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, headers, body) = self.0.reply(&request);
        let status = StatusCode::try_from(status).expect("a status");
        let mut answer = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in headers {
            answer.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(answer))
    }
}

impl HttpClient for Client {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Credentials `KEY1`, `KEY2`, …: another one each time that somebody asks.
#[derive(Debug, Default)]
struct Fresh(AtomicU32);

impl ProvideCredentials for Fresh {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let credentials = Credentials::builder().access_key_id(format!("KEY{number}"));
        future::ProvideCredentials::ready(Ok(credentials
            .secret_access_key("secret")
            .provider_name("fresh")
            .build()))
    }
}

async fn ssm(service: &Arc<Service>) -> Arc<dyn Ssm> {
    aws(service).await.ssm(&home())
}

async fn aws(service: &Arc<Service>) -> Aws {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(Client(Arc::clone(service)))
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Fresh::default())
        .endpoint_url("http://service.invalid")
        .load()
        .await;
    Aws::with(config)
}

fn command() -> SendCommand {
    SendCommand {
        document: "AWS-RunShellScript".into(),
        instances: vec![TargetId::new("i-0123456789abcdef0")],
        parameters: BTreeMap::new(),
        comment: "marker".into(),
        delivery_timeout: Duration::from_secs(600),
    }
}

#[tokio::test(start_paused = true)]
async fn half_of_all_calls_throttled_makes_no_storm_and_everybody_gets_an_answer() {
    let service = Service::new(|_, _, before| {
        if before % 2 == 0 { refused("ThrottlingException") } else { said("{\"Commands\":[]}") }
    });
    let aws = aws(&service).await;
    let from = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let ssm = aws.ssm(&home());
        tasks.spawn(async move { ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer.expect("an answer"), []);
    }
    let (calls, seconds) = (service.count(), from.elapsed().as_secs());
    assert!((199..1000).contains(&calls), "{calls} calls");
    // The first burst, and then less than the rate of a quiet service.
    assert!(service.busiest_second() <= 15, "{} calls in a second", service.busiest_second());
    assert!(calls as u64 <= 15 + 5 * seconds, "{calls} calls in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_throttled_is_not_repeated_and_slows_down_everybody() {
    let service = Service::new(|operation, _, _| match operation {
        "SendCommand" => {
            let (status, _, body) = refused("ThrottlingException");
            (status, vec![("x-amz-retry-after", "30000".to_owned())], body)
        }
        _ => said("{\"Commands\":[]}"),
    });
    let ssm = ssm(&service).await;
    let fault = ssm.send_command(command()).await.expect_err("it is throttled");
    assert_eq!((fault.kind, service.count()), (FaultKind::Throttled, 1));
    let from = Instant::now();
    ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await.expect("an answer");
    assert!(from.elapsed() >= Duration::from_secs(30), "the service asked for half a minute");
}

#[tokio::test(start_paused = true)]
async fn a_question_is_asked_again_a_few_times_and_no_more() {
    let service = Service::new(|_, _, _| (500, Vec::new(), "{}".to_owned()));
    let ssm = ssm(&service).await;
    let asked = ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await;
    assert_eq!(asked.expect_err("nobody answers").kind, FaultKind::Ambiguous);
    assert_eq!(service.count(), 4);
    let sent = ssm.send_command(command()).await;
    assert_eq!(sent.expect_err("nobody answers").kind, FaultKind::Ambiguous);
    assert_eq!(service.count(), 5, "a command is sent once");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_ended_are_read_again_and_the_call_is_made_once_more() {
    // Everybody who was given credentials early is refused.
    let service = Service::new(|operation, key, _| match (key, operation) {
        ("KEY1", _) => refused("ExpiredTokenException"),
        (_, "SendCommand") => said("{\"Command\":{\"CommandId\":\"7c4ba25e\"}}"),
        _ => said("{\"Commands\":[]}"),
    });
    let ssm = ssm(&service).await;
    assert_eq!(
        ssm.send_command(command()).await.expect("it was refused before it was carried out"),
        "7c4ba25e"
    );
    assert_eq!(service.count(), 2);
    ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await.expect("an answer");
    assert_eq!(service.count(), 3, "the fresh ones are kept");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_refused_twice_are_a_persons_matter_who_is_told_what_to_type() {
    let service = Service::new(|_, _, _| refused("ExpiredTokenException"));
    let ssm = ssm(&service).await;
    let fault = ssm.send_command(command()).await.expect_err("they do not hold");
    assert_eq!((fault.kind, service.count()), (FaultKind::Credentials, 2));
    assert_eq!(
        fault.message,
        "because; renew the credentials of this process, for example with `aws sso login`, and check the clock"
    );
}

/// How often the SDK asks for a role by itself.
const TRIES: usize = 3;

/// AWS with a role, where `AssumeRole` is answered so the first times.
async fn with_a_role(first: Reply, times: usize) -> (Arc<Service>, Arc<dyn Ssm>) {
    let service = Service::handing_out(first, times);
    let role = "arn:aws:iam::111111111111:role/patching".to_owned();
    let there = Home::Aws { account: None, region: None, role: Some(role), external_id: None };
    let ssm = aws(&service).await.ssm(&there);
    (service, ssm)
}

#[tokio::test(start_paused = true)]
async fn who_hands_out_credentials_may_be_busy_for_a_moment_without_a_person_being_called() {
    let busy = "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    let down = "<ErrorResponse><Error><Code>ServiceUnavailable</Code></Error></ErrorResponse>";
    for (first, kind) in [
        ((400, Vec::new(), busy.to_owned()), FaultKind::Throttled),
        ((503, Vec::new(), down.to_owned()), FaultKind::NotSent),
    ] {
        let (service, ssm) = with_a_role(first.clone(), TRIES).await;
        let sent = ssm.send_command(command()).await.expect_err("it is not signed");
        assert_eq!((sent.kind, service.count()), (kind, 0), "{sent}");
        assert_eq!(ssm.send_command(command()).await.expect("it is signed now"), "7c4ba25e");
        // A question is asked again by itself.
        let (_, ssm) = with_a_role(first, TRIES).await;
        ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await.expect("an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_refused_is_a_persons_matter() {
    let denied =
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>No</Message></Error></ErrorResponse>";
    let (service, ssm) = with_a_role((403, Vec::new(), denied.to_owned()), usize::MAX).await;
    let sent = ssm.send_command(command()).await.expect_err("it is not signed");
    assert_eq!((sent.kind, service.count()), (FaultKind::Credentials, 0), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn each_region_has_a_rate_of_its_own() {
    let service = Service::new(|_, _, _| said("{\"Commands\":[]}"));
    let aws = aws(&service).await;
    let from = Instant::now();
    let mut tasks = JoinSet::new();
    for region in ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"] {
        let there = Home::Aws { account: None, region: Some(region.into()), role: None, external_id: None };
        for _ in 0..10 {
            let ssm = aws.ssm(&there);
            tasks.spawn(async move { ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await });
        }
    }
    for answer in tasks.join_all().await {
        answer.expect("an answer");
    }
    assert!(
        from.elapsed() < Duration::from_secs(1),
        "ten calls of each Region at once: {:?}",
        from.elapsed()
    );
}
