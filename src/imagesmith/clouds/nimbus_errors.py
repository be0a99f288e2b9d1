"""What Nimbus's client says went wrong, in our words: who must act, and the cure.

The client tells all by its text: its exit code is 0 even for a save that failed.
"""

from __future__ import annotations

import re

from imagesmith.clouds.meanings import Meaning
from imagesmith.errors import CloudBusy as Busy
from imagesmith.errors import (
    CloudError,
    CredentialsRefused,
    DefinitionError,
    ImagesmithError,
    InstanceLost,
    LaunchRefused,
    SetupError,
    SourceImageNotFound,
)

_SETTINGS = "of {cloud} in include/clouds.yaml"
_CONNECTION = "check the Airflow connection {cloud}"

# The first whose words are in the client's output counts.
_MEANINGS: tuple[tuple[str, Meaning], ...] = (
    (
        r"unknown to the service",
        Meaning(InstanceLost, "its lease ended, or somebody ended it; start the build again"),
    ),
    (r"the object \S+ was not found", Meaning(SourceImageNotFound, "check source_image of {cloud} in the generator")),
    (
        r"AccessDenied",
        Meaning(
            CredentialsRefused,
            f"{_CONNECTION}; and an image in common that is not public is its owner's alone",
        ),
    ),
    (
        r"memory request is too large",
        Meaning(DefinitionError, f"set a smaller instance_type in the generator, or memory_mb {_SETTINGS}"),
    ),
    (r"exceeds the maximum allowed", Meaning(DefinitionError, "set a shorter time_limit in the generator")),
    (r'Expected "[^"]*" target but received', Meaning(SetupError, f"check factory_identity {_SETTINGS}")),
    (
        r"Unknown CA",
        Meaning(SetupError, f"put the site's CA into its client, or {_CONNECTION}"),
    ),
    (
        r"is not authorized to use operation",
        Meaning(CredentialsRefused, f"{_CONNECTION}, or let the site's administrators add its certificate"),
    ),
    (r"Algorithm not supported", Meaning(CredentialsRefused, f"{_CONNECTION}: its private key")),
    (r"expired", Meaning(CredentialsRefused, f"{_CONNECTION}: its certificate and key")),
    (
        r"Connection refused|Connection reset|timed out|No route to host|java\.(net\.Socket|io\.(IO|EOF))\w*Exception"
        r"|closed connection|\(50[0234]\)|repository answered 50[0234]|SlowDown|InternalError|ServiceUnavailable",
        Meaning(Busy, "it is tried again"),
    ),
    (r"UnknownHost", Meaning(SetupError, f"check factory and repository {_SETTINGS}")),
    (r"not enough|no resource|insufficient|resource request denied", Meaning(LaunchRefused, "build later")),
    (r"did NOT reach target state", Meaning(LaunchRefused, "build again; the site's administrators know the node")),
)
_OTHER = Meaning(CloudError, "ask the site's administrators")
# The client was at it when it ended: what it asked for may have been done.
_UNCLEAR = Meaning(Busy, "it may have been made, so it is looked for and tried again")


def trouble_in(stderr: str, stdout: str = "") -> str:
    """The client's own words for what went wrong, "" when it says nothing of the kind."""
    for text in (stderr, stdout):
        found = re.search(r"^\s*Problem(?: with [^:\n]+)?:\s*(.*(?:\n\s+\S.*)*)", text, re.M)
        if found:
            return " ".join(found[0].split())[:500]
    if "did NOT reach target state" in stderr + stdout:
        return next(line.strip() for line in (stderr + stdout).splitlines() if "did NOT reach target state" in line)
    return ""


def is_busy(words: str) -> bool:
    """Whether the same call may succeed later."""
    meaning = next((meaning for pattern, meaning in _MEANINGS if re.search(pattern, words, re.I)), None)
    return meaning is not None and meaning.error is Busy


def is_gone(words: str) -> bool:
    """Whether the client says that the workspace is no more."""
    return "unknown to the service" in words


def failed(cloud: str, tried: str, words: str, *, unclear: bool = False) -> ImagesmithError:
    """Our error for the client's words; `unclear` where an effect may hide behind words that nobody knows."""
    otherwise = _UNCLEAR if unclear else _OTHER
    meaning = next((meaning for pattern, meaning in _MEANINGS if re.search(pattern, words, re.I)), otherwise)
    return meaning.error(f"{cloud}: {tried}: {words.rstrip('.')}; {meaning.cure.format(cloud=cloud)}")
