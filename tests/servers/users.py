"""users.py: makes an IAM user of each name in {name: {"written": policy, "granted": policy}} on standard input; prints
{name: [access key id, secret access key]} as JSON.

`written` is made a managed policy, so that somebody else's IAM has read it; `granted` is what the user may do.
"""

import json
import sys

import boto3

iam = boto3.client("iam")
keys = {}
for name, policies in json.load(sys.stdin).items():
    iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policies["written"]))
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="granted", PolicyDocument=json.dumps(policies["granted"]))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys[name] = [key["AccessKeyId"], key["SecretAccessKey"]]
print(json.dumps(keys))
