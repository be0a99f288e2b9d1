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

OPENSTACK_CONNECTION: dict[str, Any] = {
    "connection-type": "imagesmith_openstack",
    "hook-class-name": "hooks.openstack_hook.OpenStackHook",
    "hook-name": "Imagesmith: OpenStack",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "port"],
        "relabeling": {"login": "User"},
        "placeholders": {"password": "empty for a cloud whose password is asked at every build"},
    },
    "conn-fields": {
        "auth_url": _text("Auth URL", "Where there is none in include/clouds.yaml: https://host:5000/v3"),
        "project": _text("Project", "Its name; Identity v2.0 calls it a tenant"),
        "domain": _text("Domain", "The user's, and the project's if that has none below; Default if empty"),
        "project_domain": _text("Project's domain", "Where it is not the user's"),
        "region": _text("Region", "Where there is none in include/clouds.yaml"),
        "application_credential_id": _text("Application credential ID", "Instead of user and password"),
        "application_credential_secret": _text("Application credential secret", "", secret=True),
        "ca_file": _text("CA file", "Path of the bundle to check the cloud's certificate with"),
        "verify": _text("Verify", "no: take any certificate"),
    },
}

NIMBUS_CONNECTION: dict[str, Any] = {
    "connection-type": "imagesmith_nimbus",
    "hook-class-name": "hooks.nimbus_hook.NimbusHook",
    "hook-name": "Imagesmith: Nimbus",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "port", "login", "password"],
        "relabeling": {},
        "placeholders": {},
    },
    "conn-fields": {
        "certificate": _text("Certificate", "The text of usercert.pem"),
        "private_key": _text("Private key", "The text of userkey.pem, without a passphrase", secret=True),
        "canonical_id": _text("Canonical ID", "The user's, as the repository knows it"),
        "access_key": _text("Access key", "The repository's"),
        "secret_key": _text("Secret key", "The repository's", secret=True),
        "factory": _text("Factory", "Where there is none in include/clouds.yaml: host:8443"),
        "repository": _text("Repository", "Where there is none in include/clouds.yaml: host:8888"),
        "factory_identity": _text("Factory identity", "Where there is none in include/clouds.yaml: /O=…/CN=…"),
        "cloud_client": _text("Cloud client", "Its directory, where there is none in include/clouds.yaml"),
    },
}


def get_provider_info() -> dict[str, Any]:
    """The description of this distribution that Airflow's providers manager reads."""
    return {
        "package-name": "imagesmith",
        "name": "Imagesmith",
        "description": "Builds the same virtual machine image on several clouds and proves it.",
        "connection-types": [EC2_CONNECTION, OPENSTACK_CONNECTION, NIMBUS_CONNECTION],
    }
