"""estate.py: starts twelve machines in three environments, dev-1 to production-4, each with two volumes of its own kind;
prints {name: {"id", "root", "data"}} as JSON.

The endpoint and the credentials come from the environment, as for every AWS client.
"""

import json
import uuid

import boto3

ROOT, DATA = "/dev/sda1", "/dev/sdf"
DISKS = [
    {"DeviceName": ROOT, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True}},
    {"DeviceName": DATA, "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "DeleteOnTermination": False}},
]

ec2 = boto3.client("ec2")
image = ec2.register_image(Name=f"estate-{uuid.uuid4()}", RootDeviceName=ROOT)["ImageId"]
estate = {}
for environment in ["dev", "staging", "production"]:
    for number in range(1, 5):
        name = f"{environment}-{number}"
        owner = [{"Key": "Environment", "Value": environment}, {"Key": "Cost Centre", "Value": "4711"}]
        tags = [{"Key": "Name", "Value": name}, *owner]
        started = ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=DISKS,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["Instances"][0]
        machine = {"id": started["InstanceId"]}
        for disk in started["BlockDeviceMappings"]:
            volume = disk["Ebs"]["VolumeId"]
            kind = "root" if disk["DeviceName"] == ROOT else "data"
            machine[kind] = volume
            ec2.create_tags(Resources=[volume], Tags=[{"Key": "Name", "Value": f"{name} {kind}"}, *owner])
            # More than gp3 has by itself.
            ec2.modify_volume(VolumeId=volume, Iops=4000, Throughput=250)
        estate[name] = machine
print(json.dumps(estate))
