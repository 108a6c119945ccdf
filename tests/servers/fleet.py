"""fleet.py COUNT KEY=VALUE…: starts that many machines with these tags, named box-1, box-2, …; prints their ids as JSON.

The endpoint and the credentials come from the environment, as for every AWS client.
"""

import json
import sys
import uuid

import boto3

count, tags = int(sys.argv[1]), [pair.split("=", 1) for pair in sys.argv[2:]]
ec2 = boto3.client("ec2")
# ministack gives a box to an instance only if its image has a location; moto takes no notice of it.
image = ec2.register_image(Name=f"box-{uuid.uuid4()}", ImageLocation="box")["ImageId"]
ids = []
for number in range(1, count + 1):
    named = [["Name", f"box-{number}"], *tags]
    machine = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in named]}],
    )
    ids.append(machine["Instances"][0]["InstanceId"])
print(json.dumps(ids))
