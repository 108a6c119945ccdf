//! One AWS call, as a service gets it.

use std::sync::Arc;

use runbook_steps::world::{Account, World};

use crate::{paging::Pages, request::Request, sandbox::Sandbox};

/// One AWS call.
pub struct Call<'a> {
    /// Where it is made.
    pub sandbox: &'a Sandbox,
    /// What was sent.
    pub request: &'a Request,
    /// The operation, in AWS's words.
    pub operation: &'a str,
    /// The account.
    pub account: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The access key id that it was signed with.
    pub access_key: &'a str,
    /// The request id that goes into the answer.
    pub request_id: &'a str,
}

impl Call<'_> {
    /// The simulated world.
    pub fn world(&self) -> &Arc<World> {
        self.sandbox.world()
    }

    /// What stands behind this account and Region.
    pub fn home(&self) -> Account {
        self.world().account(self.account, self.region)
    }

    /// The pages that are being walked.
    pub fn pages(&self) -> &Pages {
        self.sandbox.pages()
    }
}
