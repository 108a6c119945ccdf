//! One call of an operation: its account, and what is left of its parameters.

use runbook_steps::{
    ports::ec2::{Ec2, Proof},
    world::Account,
};

use super::{
    form::Form,
    refusal::{dry_run, refused},
};
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
};

/// The only version of EC2's protocol that clients still speak.
const VERSION: &str = "2016-11-15";

/// One call of an operation.
pub(super) struct Asked<'a> {
    pub call: &'a Call<'a>,
    pub account: Account,
    pub form: Form,
    dry_run: bool,
}

impl<'a> Asked<'a> {
    /// Reads the body.
    pub fn read(call: &'a Call<'a>) -> Result<Self, Refusal> {
        let mut form = Form::read(&call.request.body)?;
        form.text("Action")?;
        let version = form.required("Version")?;
        if version != VERSION {
            return Err(refused(
                "NoSuchVersion",
                format!("The requested version ({version}) of service AmazonEC2 does not exist"),
            ));
        }
        let dry_run = form.flag("DryRun")?;
        let account = call.home();
        Ok(Self { call, account, form, dry_run })
    }

    /// All parameters were taken; a dry run ends here. `call`: the right that it proves, where no port does.
    pub async fn taken(&mut self, call: &'static str) -> Result<(), Trouble> {
        std::mem::take(&mut self.form).finish()?;
        if !self.dry_run {
            return Ok(());
        }
        self.account.call(call).await?;
        Err(dry_run().into())
    }

    /// All parameters of an operation that writes were taken; a dry run ends here.
    pub async fn writes(&mut self, right: impl FnOnce() -> Proof + Send) -> Result<(), Trouble> {
        std::mem::take(&mut self.form).finish()?;
        if !self.dry_run {
            return Ok(());
        }
        self.account.prove(&right()).await?;
        Err(dry_run().into())
    }
}
