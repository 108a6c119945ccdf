"""EC2: what is read."""

import random

from harness import ACCOUNT, REGION, altered, case, client, complete, instances, pages, refused, same, tags

ec2 = client("ec2")
ALL = 30


def all_instances(**parameters):
    answer = ec2.describe_instances(**parameters)
    return [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]


@case
def instances_are_described_in_full():
    found = all_instances()
    same(len(found), ALL)
    one = next(instance for instance in found if tags(instance)["Name"] == "web-01")
    same(one["State"], {"Code": 16, "Name": "running"})
    same(one["RootDeviceType"], "ebs")
    same(one["RootDeviceName"], one["BlockDeviceMappings"][0]["DeviceName"])
    same(len(one["BlockDeviceMappings"]), 2)
    assert all(volume["Ebs"]["Status"] == "attached" for volume in one["BlockDeviceMappings"])
    assert one["LaunchTime"].tzinfo is not None
    assert one["Placement"]["AvailabilityZone"].startswith(REGION)
    same(one["Monitoring"]["State"], "disabled")
    same(tags(one)["Group"], "web")
    same(tags(one)["Note"], "<a> & \"b\" 'c'")


@case
def instances_by_id():
    ids = instances("web")[:3]
    same({instance["InstanceId"] for instance in all_instances(InstanceIds=ids)}, set(ids))


@case
def an_unknown_id_fails_the_whole_call():
    known = instances("web")[0]
    message = refused(
        "InvalidInstanceID.NotFound", 400, ec2.describe_instances, InstanceIds=[known, "i-0123456789abcdef0"]
    )
    assert "i-0123456789abcdef0" in message and known not in message
    # As a filter it does no harm.
    filters = [{"Name": "instance-id", "Values": [known, "i-0123456789abcdef0"]}]
    same([instance["InstanceId"] for instance in all_instances(Filters=filters)], [known])


@case
def a_malformed_id_is_refused():
    refused("InvalidInstanceID.Malformed", 400, ec2.describe_instances, InstanceIds=["web-01"])


@case
def ids_and_page_sizes_exclude_each_other():
    known = instances("web")[:1]
    for call in (ec2.describe_instances, ec2.describe_instance_status):
        refused("InvalidParameterCombination", 400, call, InstanceIds=known, MaxResults=5)


@case
def page_sizes_have_limits():
    for call in (ec2.describe_instances, ec2.describe_volumes, ec2.describe_snapshots, ec2.describe_tags):
        refused("InvalidParameterValue", 400, call, MaxResults=4)
        refused("InvalidParameterValue", 400, call, MaxResults=1001)


@case
def filters_by_tag_state_and_pattern():
    def count(*filters):
        return len(all_instances(Filters=[{"Name": name, "Values": values} for name, values in filters]))

    same(count(("tag:Group", ["web"])), 12)
    same(count(("tag:Group", ["web", "db"])), 18)
    same(count(("tag:Group", ["w*"])), 16)
    same(count(("tag:Group", ["?b"])), 6)
    same(count(("tag:Group", ["Web"])), 0)
    same(count(("tag-key", ["Note"])), 12)
    same(count(("instance-state-name", ["running"]), ("tag:Group", ["db"])), 6)
    same(count(("instance-state-name", ["stopped", "terminated"])), 0)
    same(count(("instance-state-code", ["16"])), ALL)


@case
def an_unknown_filter_is_refused():
    refused(
        "InvalidParameterValue", 400, ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}]
    )


@case
def two_hundred_filter_values_are_the_most():
    def filters(count):
        return [{"Name": "instance-id", "Values": [f"i-{n:017x}" for n in range(count)]}]

    same(all_instances(Filters=filters(200)), [])
    refused("FilterLimitExceeded", 400, ec2.describe_instances, Filters=filters(201))


@case
def pages_of_instances_are_complete():
    expected = {instance["InstanceId"] for instance in all_instances()}
    for size in (5, 7, 1000):
        found, count = pages(ec2, "describe_instances", "Reservations", size)
        ids = [instance["InstanceId"] for reservation in found for instance in reservation["Instances"]]
        complete(ids, expected, count, size)


@case
def pages_of_any_size_mixed_are_complete():
    expected = {instance["InstanceId"] for instance in all_instances()}
    draw = random.Random(7)
    for _ in range(5):
        found, token = [], None
        while True:
            more = {"NextToken": token} if token else {}
            answer = ec2.describe_instances(MaxResults=draw.randint(5, 9), **more)
            found.extend(instance["InstanceId"] for part in answer["Reservations"] for instance in part["Instances"])
            token = answer.get("NextToken")
            if not token:
                break
        complete(found, expected, 99, 5)


@case
def a_paginator_goes_on_where_it_stopped():
    paginator = ec2.get_paginator("describe_volumes")
    first = paginator.paginate(PaginationConfig={"PageSize": 5, "MaxItems": 12}).build_full_result()
    same(len(first["Volumes"]), 12)
    rest = paginator.paginate(
        PaginationConfig={"PageSize": 5, "StartingToken": first["NextToken"]}
    ).build_full_result()
    both = [volume["VolumeId"] for volume in first["Volumes"] + rest["Volumes"]]
    complete(both, {volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]}, 99, 5)


@case
def a_token_is_of_one_request():
    token = ec2.describe_instances(MaxResults=5)["NextToken"]
    refused("InvalidNextToken", 400, ec2.describe_instances, NextToken="nonsense", MaxResults=5)
    refused(
        "InvalidNextToken",
        400,
        ec2.describe_instances,
        NextToken=token,
        MaxResults=5,
        Filters=[{"Name": "tag:Group", "Values": ["web"]}],
    )
    refused("InvalidNextToken", 400, ec2.describe_volumes, NextToken=token, MaxResults=5)
    ec2.describe_instances(NextToken=token, MaxResults=5)


@case
def a_dry_run_of_a_read():
    refused("DryRunOperation", 412, ec2.describe_instances, DryRun=True)


@case
def unknown_parameters_are_refused():
    with altered(ec2, lambda request: request["body"].update({"Colour": "red"})):
        message = refused("UnknownParameter", 400, ec2.describe_instances)
    assert "Colour" in message
    with altered(ec2, lambda request: request["body"].update({"Filter.1.Nmae": "x"})):
        message = refused(
            "UnknownParameter", 400, ec2.describe_volumes, Filters=[{"Name": "status", "Values": ["in-use"]}]
        )
    assert "Filter.1.Nmae" in message


@case
def an_operation_that_is_not_there():
    refused("InvalidAction", 400, ec2.describe_vpcs)


@case
def status_checks():
    found, count = pages(ec2, "describe_instance_status", "InstanceStatuses", 10)
    complete([status["InstanceId"] for status in found], {one["InstanceId"] for one in all_instances()}, count, 10)
    same({status["InstanceStatus"]["Status"] for status in found}, {"ok"})
    same({status["SystemStatus"]["Details"][0]["Status"] for status in found}, {"passed"})
    same({status["InstanceState"]["Name"] for status in found}, {"running"})
    hundred_and_one = [f"i-{n:017x}" for n in range(101)]
    refused("InvalidParameterValue", 400, ec2.describe_instance_status, InstanceIds=hundred_and_one)


@case
def volumes_are_described_in_full():
    instance = instances("web")[0]
    answer = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])
    same(len(answer["Volumes"]), 2)
    for volume in answer["Volumes"]:
        same(volume["State"], "in-use")
        assert volume["Size"] > 0 and volume["VolumeType"]
        same(volume["Attachments"][0]["InstanceId"], instance)
        same(volume["Attachments"][0]["State"], "attached")
    found, count = pages(ec2, "describe_volumes", "Volumes", 6)
    everything = {volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]}
    same(len(everything), 12 * 2 + 18)
    complete([volume["VolumeId"] for volume in found], everything, count, 6)
    refused("InvalidVolume.NotFound", 400, ec2.describe_volumes, VolumeIds=["vol-0123456789abcdef0"])


@case
def attributes_of_an_instance():
    instance = instances("web")[0]

    def attribute(name):
        return ec2.describe_instance_attribute(InstanceId=instance, Attribute=name)

    same(attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"], {"Value": "stop"})
    same(attribute("disableApiTermination")["DisableApiTermination"], {"Value": False})
    same(len(attribute("blockDeviceMapping")["BlockDeviceMappings"]), 2)
    assert attribute("instanceType")["InstanceType"]["Value"]
    assert attribute("rootDeviceName")["RootDeviceName"]["Value"].startswith("/dev/")


@case
def regions_and_zones():
    regions = ec2.describe_regions()["Regions"]
    assert REGION in {region["RegionName"] for region in regions}
    same(ec2.describe_regions(RegionNames=[REGION])["Regions"][0]["OptInStatus"], "opt-in-not-required")
    refused("InvalidParameterValue", 400, ec2.describe_regions, RegionNames=["mars-1"])
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    same({zone["ZoneName"] for zone in zones}, {f"{REGION}{letter}" for letter in "abc"})
    same({zone["State"] for zone in zones}, {"available"})


@case
def tags_are_listed():
    instance = instances("db")[0]
    answer = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [instance]}])
    same({tag["ResourceType"] for tag in answer["Tags"]}, {"instance"})
    same({tag["Key"]: tag["Value"] for tag in answer["Tags"]}["Group"], "db")
    found, count = pages(ec2, "describe_tags", "Tags", 9, Filters=[{"Name": "key", "Values": ["Group"]}])
    complete([tag["ResourceId"] for tag in found if tag["ResourceType"] == "instance"],
             {one["InstanceId"] for one in all_instances()}, count, 9)


@case
def another_account_and_region_see_nothing():
    elsewhere = client("ec2", account="999999999999")
    same(elsewhere.describe_instances()["Reservations"], [])
    same(client("ec2", region="us-east-1").describe_instances()["Reservations"], [])
    same(client("sts").get_caller_identity()["Account"], ACCOUNT)
