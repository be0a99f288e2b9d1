# ruff: noqa: E501 (a row is a line where it can be)
"""Bodies of Airflow's REST API that make no run: what the password gate refuses, and what a run's conf must fit."""

from __future__ import annotations

import json
from typing import Any

from .row import Row

START = "/api/v2/dags/dstat/dagRuns"
KEYED = "/api/v2/dags/keyed/dagRuns"
FIELD = "password_hotel"
PASSWORD = "hunter2"
ASKS = ("hotel asks for its password at every build", "or take hotel out of `clouds`")
ELSEWHERE = ("a password is taken only where a single build is started (POST /api/v2/dags/GENERATOR/dagRuns)",)
SECRET_ELSEWHERE = ("a secret parameter is taken only where a single build is started",)
STRANGER = ("no cloud of dstat asks for this password here",)


def start(**conf: Any) -> dict[str, Any]:
    return {"logical_date": None, "conf": conf}


def deep(inside: str, levels: int) -> bytes:
    """JSON of that many lists, the innermost with a key that holds a password."""
    return ('{"conf": {"x": ' + "[" * levels + inside + "]" * levels + "}}").encode()


HOLDS = json.dumps({FIELD: PASSWORD})

# Method, path and body; `says` begins with the status.
GATE = [
    Row("gate-no-password", FIELD, ("POST", START, start()), ("422", *ASKS)),
    Row("gate-no-conf", FIELD, ("POST", START, {"logical_date": None}), ("422", *ASKS)),
    Row("gate-password-empty", FIELD, ("POST", START, start(**{FIELD: ""})), ("422", *ASKS)),
    Row("gate-password-null", FIELD, ("POST", START, start(**{FIELD: None})), ("422", *ASKS)),
    Row("gate-password-a-number", FIELD, ("POST", START, start(**{FIELD: 12345})), ("422", *ASKS)),
    Row("gate-password-a-list", FIELD, ("POST", START, start(**{FIELD: [PASSWORD]})), ("422", *ASKS)),
    Row("gate-clouds-a-text", FIELD, ("POST", START, start(clouds="ec2")), ("422", *ASKS)),
    Row("gate-conf-a-text", FIELD, ("POST", START, {"conf": "x"}), ("422", *ASKS)),
    Row("gate-password-wrong", "hotel", ("POST", START, start(**{FIELD: PASSWORD})), ("422", "no build was started")),
    Row("gate-password-with-control-characters", "hotel", ("POST", START, start(**{FIELD: "\0\r\n\x1b"})), ("422", "no build was started")),
    Row("gate-password-of-100-kB", "hotel", ("POST", START, start(**{FIELD: "x" * 100_000})), ("422", "no build was started")),
    Row("gate-credential-of-another-build", FIELD, ("POST", START, start(**{FIELD: "sealed.1.AAAA"})), ("422", "the credential of another build", "give the password itself")),
    Row("gate-password-of-another-cloud", "password_india", ("POST", START, start(**{FIELD: "right", "password_india": PASSWORD})), ("422", *STRANGER)),
    Row("gate-password-beside-conf", FIELD, ("POST", START, {"conf": {}, FIELD: PASSWORD}), ("422", *STRANGER)),
    Row("gate-password-in-a-note", FIELD, ("POST", START, {"conf": {FIELD: "right"}, "note": [{FIELD: PASSWORD}]}), ("422", *STRANGER)),
    Row("gate-conf-a-list-of-passwords", FIELD, ("POST", START, {"conf": [{FIELD: PASSWORD}]}), ("422", *STRANGER)),
    Row("gate-conf-a-list-where-none-is-asked", FIELD, ("POST", "/api/v2/dags/plain/dagRuns", {"conf": [{FIELD: PASSWORD}]}), ("422", "no cloud of plain asks for this password here")),
    Row("gate-body-a-list-of-passwords", FIELD, ("POST", START, [{FIELD: PASSWORD}]), ("422", *ELSEWHERE)),
    Row("gate-no-json", "the body", ("POST", START, b'{"conf": {"password_hotel": "hunter2"'), ("422", "is not JSON", "send an object with a flat `conf`")),
    Row("gate-not-utf-8", "the body", ("POST", START, b'\xff {"password_hotel": "hunter2"}'), ("422", "is not JSON", "send an object with a flat `conf`")),
    Row("gate-deep-with-a-password", "the body", ("POST", START, deep(HOLDS, 600)), ("422", "is nested too deep", "send an object with a flat `conf`")),
    Row("gate-deep-on-another-road", "the body", ("POST", "/api/v2/backfills", deep(HOLDS, 600)), ("422", "is nested too deep", "send an object with a flat `conf`")),
    Row("gate-deeper-than-json", "the body", ("POST", "/api/v2/backfills", deep(HOLDS, 100_000)), ("422", "is not JSON", "send an object with a flat `conf`")),
    Row("gate-large", "the body", ("POST", START, b"x" * (4 * 1024 * 1024 + 1)), ("413", "is larger than 4194304 bytes", "send what a build needs to know only")),
    Row("gate-cut-off", "the request", ("POST", START, None), ("400", "was cut off", "send it again")),
    Row("gate-backfill", FIELD, ("POST", "/api/v2/backfills", {"dag_run_conf": {FIELD: PASSWORD}}), ("422", *ELSEWHERE)),
    Row("gate-materialize", FIELD, ("POST", "/api/v2/assets/1/materialize", {"conf": {FIELD: PASSWORD}}), ("422", *ELSEWHERE)),
    Row("gate-many-runs", FIELD, ("POST", "/api/v2/dags/~/dagRuns/bulk", [{"conf": {FIELD: PASSWORD}}]), ("422", *ELSEWHERE)),
    Row("gate-connection", FIELD, ("PATCH", "/api/v2/connections", {"extra": {FIELD: PASSWORD}}), ("422", *ELSEWHERE)),
    Row("gate-answer-of-a-person", FIELD, ("PATCH", f"{START}/r/taskInstances/t/-1/hitlDetails", {FIELD: PASSWORD}), ("422", *ELSEWHERE)),
    Row("gate-page", FIELD, ("PUT", "/ui/anything", {FIELD: PASSWORD}), ("422", *ELSEWHERE)),
    Row("gate-task-that-starts-a-run", FIELD, ("POST", "/execution/dag-runs/dstat/r1", {"conf": {FIELD: PASSWORD}}), ("422", *ELSEWHERE)),
    Row("gate-escaped-key", FIELD, ("POST", "/api/v2/backfills", b'{"\\u0070assword_hotel": "hunter2"}'), ("422", *ELSEWHERE)),
    Row("gate-utf-16", FIELD, ("POST", "/api/v2/backfills", HOLDS.encode("utf-16")), ("422", *ELSEWHERE)),
    Row("gate-dag-that-is-no-generator", FIELD, ("POST", "/api/v2/dags/imagesmith_plan/dagRuns", start(**{FIELD: PASSWORD})), ("422", "no cloud of imagesmith_plan asks for this password here")),
    Row("gate-dag-a-path", FIELD, ("POST", "/api/v2/dags/..%2Fdstat/dagRuns", start(**{FIELD: PASSWORD})), ("422", "no cloud of ../dstat asks for this password here")),
    Row("gate-secret-missing", "token", ("POST", KEYED, start()), ("422", "keyed asks for the secret parameter token at every build", "give it as token in `conf`")),
    Row("gate-secret-empty", "token", ("POST", KEYED, start(token="")), ("422", "keyed asks for the secret parameter token at every build", "give it as token in `conf`")),
    Row("gate-secret-a-list", "token", ("POST", KEYED, start(token=[PASSWORD])), ("422", "is not text", "no build was started")),
    Row("gate-secret-short", "token", ("POST", KEYED, start(token="abc")), ("422", "has fewer than 4 characters", "no build was started")),
    Row("gate-secret-blank", "token", ("POST", KEYED, start(token="  a      ")), ("422", "has fewer than 4 characters", "no build was started")),
    Row("gate-secret-with-a-bell", "token", ("POST", KEYED, start(token=f"{PASSWORD}\a")), ("422", "holds a control character", "no build was started")),
    Row("gate-secret-of-40-kB", "token", ("POST", KEYED, start(token="x" * 40_000)), ("422", "is 40000 bytes long, more than 32768", "no build was started")),
    Row("gate-secret-half-a-character", "token", ("POST", KEYED, start(token="abc\ud800")), ("422", "is not text that UTF-8 can write", "no build was started")),
    Row("gate-secret-of-another-build", "token", ("POST", KEYED, start(token="sealed.1.AAAA")), ("422", "the sealed value of another build", "give the value itself")),
    Row("gate-secret-deep-in-conf", "token", ("POST", KEYED, start(token=PASSWORD, x={"token": PASSWORD})), ("422", "a secret parameter is taken in `conf` itself only")),
    Row("gate-secret-to-the-clouds", "token", ("POST", "/api/v2/dags/imagesmith_plan/dagRuns", start(parameters={"token": PASSWORD})), ("422", "a secret parameter is taken in `conf` itself only")),
    Row("gate-secret-no-json", "the body", ("POST", KEYED, b'{"conf": {"token": "hunter2"'), ("422", "is not JSON", "send an object with a flat `conf`")),
    Row("gate-secret-in-a-backfill", "token", ("POST", "/api/v2/backfills", {"dag_run_conf": {"token": PASSWORD}}), ("422", *SECRET_ELSEWHERE)),
    Row("gate-secret-to-materialize", "token", ("POST", "/api/v2/assets/1/materialize", {"conf": {"token": PASSWORD}}), ("422", *SECRET_ELSEWHERE)),
    Row("gate-secret-in-an-answer", "token", ("PATCH", f"{KEYED}/r/taskInstances/t/-1/hitlDetails", {"params_input": {"token": PASSWORD}}), ("422", *SECRET_ELSEWHERE)),
    Row("gate-secret-in-many-runs", "token", ("POST", "/api/v2/dags/~/dagRuns/bulk", [{"conf": {"token": PASSWORD}}]), ("422", *SECRET_ELSEWHERE)),
    Row("gate-secret-by-a-task", "token", ("POST", "/execution/dag-runs/keyed/r1", {"conf": {"token": PASSWORD}}), ("422", *SECRET_ELSEWHERE)),
    Row("gate-path-with-another-end", FIELD, ("POST", f"{START}//", start(**{FIELD: PASSWORD})), ("422", *ELSEWHERE)),
]  # fmt: skip

# A run's conf as Airflow checks it against the parameters of the generator `tools` (and the cloud `hotel` that asks).
CONF = [
    Row("conf-integer-as-text", "count", {"count": "3"}, ("'3' is not of type 'integer'",)),
    Row("conf-integer-null", "count", {"count": None}, ("None is not of type 'integer'",)),
    Row("conf-integer-a-fraction", "count", {"count": 2.5}, ("2.5 is not of type 'integer'",)),
    Row("conf-integer-true", "count", {"count": True}, ("True is not of type 'integer'",)),
    Row("conf-number-as-text", "ratio", {"ratio": "0.5"}, ("'0.5' is not of type 'number'",)),
    Row("conf-boolean-as-text", "debug", {"debug": "yes"}, ("'yes' is not of type 'boolean'",)),
    Row("conf-text-a-number", "extra", {"extra": 5}, ("5 is not of type 'string', 'null'",)),
    Row("conf-text-a-mapping", "extra", {"extra": {"a": "b"}}, ("is not of type 'string', 'null'",)),
    Row("conf-choice-unknown", "flavour", {"flavour": "$(reboot)"}, ("'$(reboot)' is not one of ['plain', 'full']",)),
    Row("conf-choice-null", "flavour", {"flavour": None}, ("None is not of type 'string'",)),
    Row("conf-no-value", "token", {"token": ...}, ("No value passed and Param has no default value",)),
    Row("conf-clouds-a-text", "clouds", {"clouds": "ec2"}, ("'ec2' is not of type 'array'",)),
    Row("conf-clouds-none", "clouds", {"clouds": []}, ("[]",)),
    Row("conf-clouds-unknown", "clouds", {"clouds": ["mars"]}, ("'mars' is not one of ['ec2', 'hotel']",)),
    Row("conf-clouds-twice", "clouds", {"clouds": ["ec2", "ec2"]}, ("has non-unique elements",)),
    Row("conf-clouds-a-number", "clouds", {"clouds": [5]}, ("5 is not",)),
    Row("conf-clouds-null", "clouds", {"clouds": None}, ("None is not of type 'array'",)),
    Row("conf-password-past-the-gate", FIELD, {FIELD: "in the clear"}, ("does not match",)),
    Row("conf-secret-past-the-gate", "licence", {"licence": "in the clear"}, ("does not match",)),
    Row("conf-secret-a-number", "licence", {"licence": 5}, ("5 is not of type 'null', 'string'",)),
    Row("conf-password-a-number", FIELD, {FIELD: 5}, ("5 is not of type 'null', 'string'",)),
]  # fmt: skip

# The body of POST /dags/GENERATOR/dagRuns as Airflow's API reads it.
BODY = [
    Row("body-without-logical-date", "logical_date", {"conf": {}}, ("Field required",)),
    Row("body-logical-date-in-words", "logical_date", {"logical_date": "now", "conf": {}}, ("Input should be a valid datetime",)),
    Row("body-logical-date-without-zone", "logical_date", {"logical_date": "2026-01-01T00:00:00", "conf": {}}, ("should have timezone info",)),
    Row("body-conf-a-list", "conf", {"logical_date": None, "conf": [1]}, ("Input should be a valid dictionary",)),
    Row("body-conf-a-text", "conf", {"logical_date": None, "conf": "{}"}, ("Input should be a valid dictionary",)),
    Row("body-unknown-key", "parameters", {"logical_date": None, "parameters": {}}, ("Extra inputs are not permitted",)),
    Row("body-run-id-a-number", "dag_run_id", {"logical_date": None, "dag_run_id": 5}, ("Input should be a valid string",)),
    Row("body-a-list", "", [], ("Input should be a valid dictionary",)),
]  # fmt: skip
