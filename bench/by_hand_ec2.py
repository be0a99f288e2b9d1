"""`python -m bench.by_hand_ec2 NAME …`: one image by hand with boto3."""

import argparse
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bench import by_hand


class EC2Build(by_hand.Build):
    """One build with AWS's SDK."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        super().__init__(wanted)
        self._ec2 = boto3.client("ec2")
        self._group_id = self._instance_id = self._image_id = ""

    def launch(self) -> str:
        """Key pair, security group, instance of the newest image that matches."""
        private_key = str(self._ec2.create_key_pair(KeyName=self.wanted.name, KeyType="ed25519")["KeyMaterial"])
        self._group_id = self._group()
        by_name = [{"Name": "name", "Values": [self.wanted.source_name]}]
        found = self._ec2.describe_images(Owners=[self.wanted.owner], Filters=by_name)["Images"]
        launched = self._ec2.run_instances(
            ImageId=max(found, key=lambda image: str(image["CreationDate"]))["ImageId"],
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            KeyName=self.wanted.name,
            SecurityGroupIds=[self._group_id],
        )
        self._instance_id = str(launched["Instances"][0]["InstanceId"])
        return private_key

    def address(self) -> str:
        """The public one, once it runs."""
        found = self._described()
        return str(found.get("PublicIpAddress", "")) if found["State"]["Name"] == "running" else ""

    def stop(self) -> None:
        """Asks the guest."""
        self._ec2.stop_instances(InstanceIds=[self._instance_id])

    def stopped(self) -> bool:
        """By the instance's state."""
        return bool(self._described()["State"]["Name"] == "stopped")

    def save(self) -> str:
        """An image of the instance."""
        made = self._ec2.create_image(InstanceId=self._instance_id, Name=self.wanted.name)
        self._image_id = str(made["ImageId"])
        return self._image_id

    def saved(self) -> bool:
        """By the image's state."""
        return bool(self._ec2.describe_images(ImageIds=[self._image_id])["Images"][0]["State"] == "available")

    def remove(self) -> None:
        """Instance, key pair, security group."""
        self._ec2.terminate_instances(InstanceIds=[self._instance_id])
        self._ec2.delete_key_pair(KeyName=self.wanted.name)
        by_hand.when(self._group_deleted)

    def _group(self) -> str:
        made = self._ec2.create_security_group(GroupName=self.wanted.name, Description="one build by hand")
        self._ec2.authorize_security_group_ingress(
            GroupId=made["GroupId"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="127.0.0.1/32"
        )
        return str(made["GroupId"])

    def _described(self) -> Any:
        return self._ec2.describe_instances(InstanceIds=[self._instance_id])["Reservations"][0]["Instances"][0]

    def _group_deleted(self) -> bool:
        """False as long as the instance that ends still uses the group."""
        try:
            self._ec2.delete_security_group(GroupId=self._group_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "DependencyViolation":
                raise
            return False
        return True


if __name__ == "__main__":
    by_hand.main(EC2Build)
