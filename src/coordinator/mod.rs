//! The coordinator: the single owner of a store and its runs, on a current-thread runtime.
//!
//! What the command line uses (all of it is `async`, on the runtime that [`runtime`] makes):
//!
//! ```text
//! // one for all commands that may hold the store
//! pub struct Setup {
//!     pub state: PathBuf,            // the state folder
//!     pub by: String,                // Unix user name
//!     pub settings: Settings,        // runbook_steps::context::Settings
//!     pub vars: BTreeMap<String, String>,   // the process's environment: RUNBOOK_SECRET_*, RUNBOOK_SECRETS_DIR, AWS_*
//!     pub concurrency: usize,        // executions at a time: 64
//! }
//! pub struct Start {
//!     pub plan: Plan,
//!     pub expect_plan: Option<String>,      // --expect-plan
//!     pub not_before: Option<Timestamp>,    // --at
//!     pub no_wait: bool,                    // --no-wait
//! }
//! // src/world.rs: where machines are; opened before planning (its inventory resolves the groups)
//! pub enum Choice { Real, Fleet(PathBuf) }                 // run/plan --fleet FILE
//! pub async fn world::open(&Choice, &Setup) -> Result<Environment, Refused>
//! pub async fn world::of_run(&RunRow, &Setup) -> Result<Environment, Refused>   // rollback, retry: the same world
//! pub struct Environment { pub ports: Ports, … }
//!
//! // holds the store, or hands the plan to the process that does and follows it there
//! pub async fn session::run(Setup, Environment, Start, &mut dyn Observer) -> Result<ExitReport, Refused>
//! // `run`: id or unique prefix; None: the only unfinished run, else the newest
//! pub async fn session::resume(Setup, run: Option<&str>, no_wait: bool, &mut dyn Observer) -> Result<ExitReport, Refused>
//!
//! // control::client: every other command; tries the lock, then the socket, for up to 10 s
//! pub async fn client::runs(&Setup) -> Result<Vec<RunRow>, Refused>                     // list
//! pub async fn client::journal(&Setup, run: Option<&str>) -> Result<Journal, Refused>   // show, events, logs
//! pub struct Journal { pub row: RunRow, pub plan: Plan, pub entries: Vec<Entry>, pub live: bool }
//! impl Journal { pub fn replay(&self) -> Result<Run, Refused> }
//! pub async fn client::follow(&Setup, run: Option<&str>, from: u64, &mut dyn Observer) -> Result<ExitReport, Refused>
//! pub async fn client::tell(&Setup, run: Option<&str>, Order) -> Result<Told, Refused>
//! pub enum Order {
//!     Approve { task: Option<TaskName>, note: Option<String> }, Reject { task: Option<TaskName>, note: Option<String> },
//!     Pause { cause: Option<String> }, Unpause, Exclude { targets: Vec<TargetId>, because: Option<String> },
//!     Cancel { restore: bool, cause: Option<String> },
//!     Resolve { task: Option<TaskName>, target: Option<TargetId>, applied: Option<bool>, note: Option<String> },
//! }
//! pub struct Told { pub run: RunId, pub message: String, pub next: Option<String> }    // next: command to type
//!
//! // every refusal: Display is one sentence, source() the rest
//! impl Refused { pub fn exit_code(&self) -> u8; pub fn hint(&self) -> Option<String> }
//! ```

pub mod exit;
