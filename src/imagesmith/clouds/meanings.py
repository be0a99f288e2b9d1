"""What a cloud's refusal means to us: the type of error, which says who must act, and the cure."""

from __future__ import annotations

from dataclasses import dataclass

from imagesmith.errors import (
    CloudBusy,
    CloudError,
    CredentialsRefused,
    DefinitionError,
    ImagesmithError,
    QuotaExceeded,
    SourceImageNotFound,
)


@dataclass(frozen=True)
class Meaning:
    """What a code means to us: the type of error and the cure; `{cloud}` in the cure is the cloud's name."""

    error: type[ImagesmithError]
    cure: str


# What every type of cloud can say in one way or another.
CREDENTIALS = Meaning(CredentialsRefused, "check the Airflow connection {cloud}")
PERMISSION = Meaning(CredentialsRefused, "give the account of the Airflow connection {cloud} this permission")
BUSY = Meaning(CloudBusy, "it is tried again")
UNREACHED = Meaning(
    CloudBusy,
    "it is tried again; if it stays, check network and endpoint URL in the Airflow connection {cloud}",
)
QUOTA = Meaning(QuotaExceeded, "remove what is not needed there or ask the cloud for a higher limit")
SOURCE = Meaning(SourceImageNotFound, "check source_image of {cloud} in the generator")
TYPE = Meaning(DefinitionError, "check instance_type of {cloud} in the generator")
DISK = Meaning(DefinitionError, "check disk_gib of {cloud} in the generator")
NAME = Meaning(DefinitionError, "check image_name of {cloud} in the generator")
REFUSED = Meaning(CloudError, "see the cloud's own words")
