"""STS and CloudWatch's alarms."""

from harness import ACCOUNT, OTHER_ACCOUNT, case, client, complete, instances, later, pages, refused, same, tags, wait

sts = client("sts")
cloudwatch = client("cloudwatch")


def assumed(role, **more):
    answer = sts.assume_role(RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/{role}", RoleSessionName="r-1", **more)
    keys = answer["Credentials"]
    assert keys["Expiration"].tzinfo is not None
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


@case
def who_one_is():
    identity = sts.get_caller_identity()
    same(identity["Account"], ACCOUNT)
    assert identity["Arn"].startswith(f"arn:aws:iam::{ACCOUNT}:"), identity


@case
def a_role_of_another_account():
    keys = assumed("patch", DurationSeconds=900)
    identity = client("sts", keys=keys).get_caller_identity()
    same((identity["Account"], identity["Arn"]), (OTHER_ACCOUNT, f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/patch/r-1"))
    ec2 = client("ec2", keys=keys)
    same(len(instances("other", ec2)), 3)
    same(instances("web", ec2), [])
    found = ec2.describe_instances()["Reservations"]
    same({tags(part["Instances"][0])["Group"] for part in found}, {"other"})
    ssm = client("ssm", keys=keys)
    same(len(ssm.describe_instance_information()["InstanceInformationList"]), 3)


@case
def a_role_with_an_external_id():
    refused("AccessDenied", 403, sts.assume_role,
            RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/patch-external-k7", RoleSessionName="r-1")
    assumed("patch-external-k7", ExternalId="k7")
    refused("AccessDenied", 403, sts.assume_role, ExternalId="wrong",
            RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/patch-external-k7", RoleSessionName="r-1")
    refused("ValidationError", 400, sts.assume_role, RoleArn="arn:aws:iam::12:role/short", RoleSessionName="r-1")


@case
def another_region():
    far = client("ec2", region="us-west-2")
    same(len(instances("far", far)), 3)
    same({zone["RegionName"] for zone in far.describe_availability_zones()["AvailabilityZones"]}, {"us-west-2"})


@case
def alarms_are_described():
    found, count = pages(cloudwatch, "describe_alarms", "MetricAlarms", 2)
    complete([alarm["AlarmName"] for alarm in found], {f"web-{n}" for n in range(1, 6)}, count, 2)
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
    same((states["web-1"], states["web-2"], states["web-3"]), ("OK", "ALARM", "INSUFFICIENT_DATA"))
    # Composite alarms are described only when they are asked for.
    same(cloudwatch.describe_alarms(AlarmNames=["all-web"])["CompositeAlarms"], [])
    answer = cloudwatch.describe_alarms(AlarmNames=["all-web"], AlarmTypes=["CompositeAlarm"])
    same([alarm["AlarmName"] for alarm in answer["CompositeAlarms"]], ["all-web"])
    by_prefix = cloudwatch.describe_alarms(AlarmNamePrefix="web-", StateValue="ALARM")["MetricAlarms"]
    same([alarm["AlarmName"] for alarm in by_prefix], ["web-2"])
    # A name that is not there is no error.
    same(cloudwatch.describe_alarms(AlarmNames=["nothing"])["MetricAlarms"], [])


@case
def alarms_are_waited_for():
    wait(cloudwatch, "alarm_exists", 5, AlarmNames=["web-1"])
    wait(cloudwatch, "composite_alarm_exists", 5, AlarmNames=["all-web"], AlarmTypes=["CompositeAlarm"])


@case
def alarms_change_with_time():
    def state():
        return cloudwatch.describe_alarms(AlarmNames=["web-4"])["MetricAlarms"][0]["StateValue"]

    same(state(), "OK")
    later("30d")
    same(state(), "ALARM")
    cloudwatch.set_alarm_state(AlarmName="web-4", StateValue="OK", StateReason="looked at")
    same(state(), "OK")
    refused("ResourceNotFound", 404, cloudwatch.set_alarm_state, AlarmName="none", StateValue="OK", StateReason="x")


@case
def unknown_parameters_and_operations_are_refused():
    refused("InvalidAction", 400, sts.get_session_token)
    refused("InvalidAction", 400, cloudwatch.list_metrics)
