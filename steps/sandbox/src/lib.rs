//! The simulated world behind AWS's own wire protocols: what `runbook sandbox` serves.
//!
//! Signatures are not verified, and only loopback addresses are listened on. Service and Region come from the SigV4
//! scope, the account from the access key. What AWS would refuse is refused in the words of the service; what this
//! sandbox does not know (an operation, a parameter) is refused too, and never ignored.

mod answer;
mod backup;
mod call;
mod call_log;
mod control;
mod ec2;
mod fault;
mod hold;
mod keys;
mod members;
mod monitoring;
mod paging;
mod proxy;
mod query;
mod request;
mod sandbox;
mod server;
mod service;
mod ssm;
mod sts;

pub use self::{
    call_log::Entry,
    sandbox::{Options, Sandbox, SandboxError},
};
