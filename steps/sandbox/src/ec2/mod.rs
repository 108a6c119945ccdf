//! EC2: forms in, XML out.

mod asked;
mod attachments;
mod attributes;
mod filter;
mod form;
mod images;
mod instances;
mod page;
mod places;
mod power;
mod refusal;
mod replace_root;
mod snapshots;
mod statuses;
mod tagging;
mod tags;
mod volumes;
mod xml;

use async_trait::async_trait;

use self::{asked::Asked, refusal::refused, xml::Xml};
use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    request::Request,
    service::Service,
};

const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";

/// Amazon EC2.
pub struct Ec2Service;

#[async_trait]
impl Service for Ec2Service {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn operation(&self, request: &Request) -> Option<String> {
        form_urlencoded::parse(&request.body)
            .find(|(name, value)| name == "Action" && !value.is_empty())
            .map(|(_, operation)| operation.into_owned())
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let asked = Asked::read(call)?;
        let body = match call.operation {
            "DescribeInstances" => instances::describe(asked).await?,
            "DescribeInstanceStatus" => statuses::describe(asked).await?,
            "DescribeInstanceAttribute" => attributes::describe(asked).await?,
            "ModifyInstanceAttribute" => attributes::modify(asked).await?,
            "StartInstances" => power::start(asked).await?,
            "StopInstances" => power::stop(asked).await?,
            "RebootInstances" => power::reboot(asked).await?,
            "DescribeVolumes" => volumes::describe(asked).await?,
            "CreateVolume" => volumes::create(asked).await?,
            "DeleteVolume" => volumes::delete(asked).await?,
            "AttachVolume" => attachments::attach(asked).await?,
            "DetachVolume" => attachments::detach(asked).await?,
            "DescribeSnapshots" => snapshots::describe(asked).await?,
            "CreateSnapshots" => snapshots::create_of_instance(asked).await?,
            "CreateSnapshot" => snapshots::create(asked).await?,
            "DeleteSnapshot" => snapshots::delete(asked).await?,
            "DescribeImages" => images::describe(asked).await?,
            "DeregisterImage" => images::deregister(asked).await?,
            "CreateReplaceRootVolumeTask" => replace_root::create(asked).await?,
            "DescribeReplaceRootVolumeTasks" => replace_root::describe(asked).await?,
            "CreateTags" => tags::create(asked).await?,
            "DeleteTags" => tags::delete(asked).await?,
            "DescribeTags" => tags::describe(asked).await?,
            "DescribeRegions" => places::regions(asked).await?,
            "DescribeAvailabilityZones" => places::zones(asked).await?,
            other => return Err(self.unknown_operation(Some(other)).into()),
        };
        Ok(Answer::new(200, CONTENT_TYPE, Xml::response(call.operation, call.request_id, &body)))
    }

    fn refuse(&self, _request: &Request, refusal: &Refusal, request_id: &str) -> Answer {
        Answer::new(refusal.status, CONTENT_TYPE, Xml::error(&refusal.code, &refusal.message, request_id))
    }

    fn unknown_operation(&self, operation: Option<&str>) -> Refusal {
        match operation {
            Some(name) => {
                refused("InvalidAction", format!("The action {name} is not valid for this web service."))
            }
            None => refused("MissingAction", "The request must contain the parameter Action"),
        }
    }
}
