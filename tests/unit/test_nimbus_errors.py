"""What Nimbus's client says went wrong, in our words: the texts of the real one, each with its cure."""

from __future__ import annotations

import pytest

from imagesmith import errors
from imagesmith.clouds.nimbus_errors import failed, is_gone, trouble_in

SAID = [
    ("Problem: the object Repo/VMS/1/x was not found", errors.SourceImageNotFound, "source_image"),
    ("Problem: AccessDenied", errors.CredentialsRefused, "check the Airflow connection here"),
    ("Problem: memory request is too large to ever be fulfilled", errors.DefinitionError, "instance_type"),
    ("Problem: the duration exceeds the maximum allowed", errors.DefinitionError, "time_limit"),
    ('Problem: Expected "/CN=a" target but received "/CN=b"', errors.SetupError, "factory_identity"),
    ("Problem: Unknown CA", errors.SetupError, "CA"),
    ('Problem: "/CN=me" is not authorized to use operation', errors.CredentialsRefused, "administrators"),
    ("Problem: ; nested exception is: java.net.ConnectException: Connection refused", errors.CloudBusy, "again"),
    ("Problem: Algorithm not supported", errors.CredentialsRefused, "private key"),
    (
        "Problem: This workspace is unknown to the service (likely because it was terminated).",
        errors.InstanceLost,
        "lease",
    ),
    ('Problem: "vm-001" did NOT reach target state "Running"', errors.LaunchRefused, "again"),
    ("Problem: something nobody has seen", errors.CloudError, "administrators"),
]


@pytest.mark.parametrize(("said", "kind", "cure"), SAID)
def test_every_text_has_its_type_and_cure(said: str, kind: type[Exception], cure: str) -> None:
    told = failed("here", "launch x", trouble_in(said))
    assert type(told) is kind
    assert str(told).startswith("here: launch x: ") and cure in str(told)


def test_an_effect_may_hide_behind_words_that_nobody_knows() -> None:
    assert isinstance(failed("here", "launch x", "exit code 3", unclear=True), errors.Transient)
    known = failed("here", "launch x", "AccessDenied", unclear=True)
    assert isinstance(known, errors.CredentialsRefused)


def test_trouble_is_found_among_the_lines_of_java() -> None:
    said = "log4j:WARN No appenders\n\nProblem with Workspace #3: no space\n  left on the node\n"
    assert trouble_in(said) == "Problem with Workspace #3: no space left on the node"
    assert trouble_in("The image has successfully been transferred to your repository directory.") == ""


def test_gone_is_gone() -> None:
    assert is_gone("Problem: This workspace is unknown to the service (likely because it was terminated).")
    assert not is_gone("Problem: AccessDenied")
