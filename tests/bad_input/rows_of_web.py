# ruff: noqa: E501 (a row is a line where it can be)
"""Hostile requests to our own REST API: what each is refused with, or how it is kept from doing anything.

`given` is user, method, path, and what goes with it.
"""

from __future__ import annotations

from typing import Any

from .row import Row

SCRIPT_TAG = "<script>alert(1)</script>"
BRACES = "{{ 7 * 7 }}${7*7}"
GOOD = {
    "script": "#!/bin/sh\ntrue\n",
    "clouds": {"ec2": {"source_image": "ami-12345678", "ssh_username": "admin", "instance_type": "t3.small"}},
}
DEEP: Any = 1
for _ in range(60):
    DEEP = [DEEP]


def new(name: object, **document: Any) -> dict[str, Any]:
    """The body that adds a generator."""
    return {"json": {"name": name, "document": {**GOOD, **document}}}


def on_ec2(**entry: Any) -> dict[str, Any]:
    """The clouds of a generator with something else in the entry of ec2."""
    return {"ec2": {**GOOD["clouds"]["ec2"], **entry}}  # type: ignore[index]


def raw(content: bytes, kind: str = "application/json") -> dict[str, Any]:
    """Any body."""
    return {"content": content, "headers": {"Content-Type": kind}}


# Refused; the problem's status and words.
REFUSED = [
    Row("web-name-up", "name", ("POST", "/generators", new("../clouds")), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-absolute", "name", ("POST", "/generators", new("/etc/cron.d/x")), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-with-nul", "name", ("POST", "/generators", new("a\0b")), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-hidden", "name", ("POST", "/generators", new(".git")), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-of-two-lines", "name", ("POST", "/generators", new("a\r\nSet-Cookie: b=c")), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-a-tag", "name", ("POST", "/generators", new(SCRIPT_TAG)), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-braces", "name", ("POST", "/generators", new(BRACES)), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-long", "name", ("POST", "/generators", new("a" * 101)), ("422", "at most 100 characters")),
    Row("web-name-a-list", "name", ("POST", "/generators", new(["a"])), ("422", "should be a valid string")),
    Row("web-name-empty", "name", ("POST", "/generators", new("")), ("422", "is no name for a generator", "use a-z")),
    Row("web-name-of-ours", "name", ("POST", "/generators", new("janitor")), ("422", "is kept for Imagesmith's own DAGs", "rename the file")),
    Row("web-name-of-a-full-width", "name", ("POST", "/generators", new("\uff45\uff43")), ("422", "is no name for a generator", "use a-z")),
    Row("web-path-up", "", ("GET", "/generators/..%2Fclouds", {}), ("404", "Not Found")),
    Row("web-path-up-twice", "", ("GET", "/generators/%2e%2e%2f%2e%2e%2fetc%2fpasswd/file", {}), ("404",)),
    Row("web-path-nul", "generator", ("GET", "/generators/tools%00.yaml", {}), ("404", "there is no", "may see")),
    Row("web-path-hidden", "generator", ("GET", "/generators/.tools/file", {}), ("404", "there is no", "may see")),
    Row("web-path-file", "generator", ("DELETE", "/generators/tools.yaml", {"headers": {"If-Match": "*"}}), ("404", "there is no", "may see")),
    Row("web-cloud-up", "", ("POST", "/clouds/..%2F..%2Fec2/tests", {}), ("404",)),
    Row("web-build-sql", "build", ("GET", "/builds/x'%20OR%20'1'='1", {}), ("404", "there is no build", "may see")),
    Row("web-build-escapes", "build", ("GET", "/builds/x%1b%5d0;owned%07", {}), ("404", r"x\x1b]0;owned", "may see")),
    Row("web-image-line", "image", ("GET", "/images/ec2/a%c2%85ERROR%20forged", {}), ("404", r"a\x85ERROR", "may see")),
    Row("web-version-up", "version", ("GET", "/generators/tools/diff?old=..%2F..%2Fetc", {}), ("404", "there is no version", "may see")),
    Row("web-body-none", "body", ("POST", "/builds", {}), ("422", "Field required")),
    Row("web-body-not-json", "body", ("POST", "/builds", raw(b"{'generator': tools}")), ("422", "JSON decode error")),
    Row("web-body-a-list", "body", ("POST", "/builds", {"json": ["tools"]}), ("422", "valid dictionary")),
    Row("web-body-a-form", "body", ("POST", "/builds", raw(b"generator=tools", "application/x-www-form-urlencoded")), ("422", "valid dictionary")),
    Row("web-body-huge", "body", ("POST", "/generators", raw(b'{"name": "' + b"a" * (2 << 20) + b'"}')), ("413", "larger than 2097152 bytes", "include/files")),
    Row("web-body-nested", "", ("POST", "/builds", raw(b'{"generator":' + b"[" * 100_000)), ("4",)),
    Row("web-unknown-key", "__class__", ("POST", "/builds", {"json": {"generator": "tools", "__class__": "x"}}), ("422", "Extra inputs are not permitted")),
    Row("web-clouds-a-text", "clouds", ("POST", "/builds", {"json": {"generator": "tools", "clouds": "ec2"}}), ("422", "valid list")),
    Row("web-parameters-a-list", "parameters", ("POST", "/builds", {"json": {"generator": "tools", "parameters": [1]}}), ("422", "valid dictionary")),
    Row("web-generator-up", "generator", ("POST", "/builds", {"json": {"generator": "../tools"}}), ("404", "there is no", "may see")),
    Row("web-generator-a-dag-that-is-none", "generator", ("POST", "/builds", {"json": {"generator": "imagesmith_janitor"}}), ("404", "there is no", "may see")),
    Row("web-run-of-another-dag", "generator", ("GET", "/runs/imagesmith_janitor/manual__1", {}), ("404", "there is no", "may see")),
    Row("web-nothing-to-save", "body", ("POST", "/generators", {"json": {"name": "new"}}), ("422", "either `document` or `yaml`")),
    Row("web-document-nested", "document", ("POST", "/generators", new("new", files=DEEP)), ("422", "more than 20 deep", "write a simpler one")),
    Row("web-document-nan", "document", ("POST", "/generators", raw(b'{"name":"new","document":{"description":NaN}}')), ("422", "would not say", "yaml")),
    Row("web-document-half-a-character", "document", ("POST", "/generators", raw(b'{"name":"new","document":{"description":"\\ud800"}}')), ("422", "half a character", "remove it")),
    Row("web-document-class", "new.yaml", ("POST", "/generators", {"json": {"name": "new", "yaml": "!!python/object/apply:os.system ['touch /tmp/owned']\n"}}), ("422", "the file is not a mapping", "key: value")),
    Row("web-document-tag-in-value", "description", ("POST", "/generators", {"json": {"name": "new", "yaml": "description: !!python/object/apply:os.system [id]\n"}}), ("422", "the tag", "write plain values")),
    Row("web-document-aliases", "", ("POST", "/generators", {"json": {"name": "new", "yaml": "a: &a [" + "x," * 100 + "]\nb: &b [" + "*a," * 100 + "]\nc: [" + "*b," * 100 + "]\n"}}), ("422", "aliases make more than 10000 values", "write a simpler file")),
    Row("web-script-up", "script", ("POST", "/generators", new("new", script="../../etc/passwd")), ("422", "leads out of include/scripts", "write its name")),
    Row("web-files-absolute", "files", ("POST", "/generators", new("new", files={"/etc/shadow": "/tmp/x"})), ("422", "leads out of include/files", "write its name")),
    Row("web-user-an-option", "ssh_username", ("POST", "/generators", new("new", clouds=on_ec2(ssh_username="-oProxyCommand=id"))), ("422", "is not a login name", "admin or ubuntu")),
    Row("web-user-braces", "ssh_username", ("POST", "/generators", new("new", clouds=on_ec2(ssh_username=BRACES))), ("422", "is not a login name", "admin or ubuntu")),
    Row("web-image-name-braces", "image_name", ("POST", "/generators", new("new", clouds=on_ec2(image_name=BRACES))), ("422", "image_name")),
    Row("web-tag-of-two-lines", "tags", ("POST", "/generators", new("new", clouds=on_ec2(tags={"a": "b\r\nc"}))), ("422", "line break", "on one line")),
    Row("web-if-match-lines", "", ("PUT", "/generators/tools", {"json": {"document": GOOD}, "headers": {"If-Match": "'; DROP TABLE builds;--"}}), ("412", "changed by somebody else")),
    Row("web-limit-a-number-too-far", "limit", ("GET", "/images?limit=99999999999999999999", {}), ("422", "less than or equal to 200")),
    Row("web-days-no-number", "older_than_days", ("GET", "/images?older_than_days=nan", {}), ("422", "finite number")),
    Row("web-state-unknown", "state", ("GET", "/builds?state=%3Cscript%3E", {}), ("422", "Input should be 'submitted'")),
    Row("web-method", "", ("PATCH", "/generators/tools", {"json": {}}), ("405", "Method Not Allowed")),
]  # fmt: skip

# Texts that are data: stored as they are, and shown as nothing else.
DATA = [
    Row("web-description-a-tag", "description", SCRIPT_TAG, ("text",)),
    Row("web-description-braces", "description", BRACES, ("text",)),
    Row("web-description-lines", "description", "a\r\nSet-Cookie: b=c\r\n\r\n<b>", ("text",)),
    Row("web-description-yaml", "description", "x\nclouds: {ec2: {}}\n---\n!!python/none", ("text",)),
    Row("web-description-escapes", "description", "\x1b]0;owned\x07\x1b[2J", ("text",)),
    Row("web-description-unseen", "description", "a\u202eb\u2028c\ufeff", ("text",)),
]
