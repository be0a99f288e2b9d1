"""What Airflow is told about this distribution: the connection types and the fields of their forms.

Airflow takes connection types only from an installed distribution, through the entry point
`apache_airflow_provider`; the hook classes themselves live in `plugins/hooks/`.
"""

from __future__ import annotations

from typing import Any


def _text(label: str, description: str, *, secret: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": ["string", "null"]}
    if secret:
        schema["format"] = "password"
    return {"label": label, "description": description, "schema": schema}


EC2_CONNECTION: dict[str, Any] = {
    "connection-type": "imagesmith_ec2",
    "hook-class-name": "hooks.ec2_hook.Ec2Hook",
    "hook-name": "Imagesmith: EC2",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "port"],
        "relabeling": {"login": "Access key ID", "password": "Secret access key"},
        "placeholders": {"login": "empty: the credentials of the machine Airflow runs on"},
    },
    "conn-fields": {
        "region_name": _text("Region", "Where there is none in include/clouds.yaml, for instance us-east-1"),
        "endpoint_url": _text("Endpoint URL", "Only for clouds other than AWS that speak EC2"),
        "role_arn": _text("Role ARN", "A role to assume with the access key"),
        "profile_name": _text("Profile", "A profile in the AWS configuration of the workers"),
        "aws_session_token": _text("Session token", "For temporary access keys", secret=True),
    },
}


def get_provider_info() -> dict[str, Any]:
    """The description of this distribution that Airflow's providers manager reads."""
    return {
        "package-name": "imagesmith",
        "name": "Imagesmith",
        "description": "Builds the same virtual machine image on several clouds and proves it.",
        "connection-types": [EC2_CONNECTION],
    }
