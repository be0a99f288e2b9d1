# ruff: noqa: E501 (a row is a line where it can be)
"""Hostile requests to pages: what each is answered with. `given` is method, path, and what goes with it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from .row import Row

TAG = "<script>alert(1)</script>"
BRACES = "{{ 8191 * 131 }}{% raw %}"
# A line break that a route's pattern lets through.
NEXT_LINE = "a\x85ERROR forged <script>"
LINES = "a\r\nSet-Cookie: b=c\r\n\r\n<b>"


def form(**fields: str) -> dict[str, Any]:
    """What a browser sends."""
    return raw(urlencode(fields).encode(), "application/x-www-form-urlencoded")


def raw(content: bytes, kind: str, **headers: str) -> dict[str, Any]:
    """Any body."""
    return {"content": content, "headers": {"Content-Type": kind, **headers}}


PAGES = [
    Row("page-search-a-tag", "search", ("GET", f"/generators?search={quote(TAG)}", {}), ("200", "&lt;script&gt;")),
    Row("page-search-braces", "search", ("GET", f"/generators?search={quote(BRACES)}", {}), ("200", "{{ 8191 * 131 }}")),
    Row("page-search-long", "search", ("GET", "/generators?search=" + "a" * 101, {}), ("422", "at most 100 characters")),
    Row("page-generator-a-tag", "", ("GET", f"/generators/{quote(TAG, safe='')}", {}), ("404",)),
    Row("page-generator-up", "", ("GET", "/generators/..%2Fclouds.yaml", {}), ("404",)),
    Row("page-generator-nul", "", ("GET", "/generators/tools%00", {}), ("404", "there is no")),
    Row("page-version-up", "", ("GET", "/generators/tools/versions?old=..%2F..%2Fetc%2Fpasswd&new=current", {}), ("404", "there is no version")),
    Row("page-file-up", "", ("GET", "/static/..%2F..%2Fapp.py", {}), ("404",)),
    Row("page-file-up-in-full", "", ("GET", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", {}), ("404",)),
    Row("page-file-nul", "", ("GET", "/static/page.js%00.css", {}), ("404",)),
    Row("page-build-sql", "", ("GET", "/builds/x'%20OR%20'1'='1", {}), ("404", "there is no build")),
    Row("page-build-escapes", "", ("GET", "/builds/x%1b%5d0;owned%07%c2%85ERROR%20forged", {}), ("404", r"x\x1b]0;owned")),
    Row("page-output-up", "", ("GET", "/builds/x/output/..%2F..%2Fetc/passwd", {}), ("404",)),
    Row("page-builds-state", "state", ("GET", f"/builds?state={quote(TAG)}", {}), ("200", '<option value="">all</option>')),
    Row("page-builds-offset", "offset", ("GET", "/builds?offset=-1", {}), ("422", "greater than or equal to 0")),
    Row("page-images-package", "", ("GET", f"/images?package={quote(TAG)}", {}), ("4", "no question for a package")),
    Row("page-images-age", "newer", ("GET", "/images?newer=1e999", {}), ("422",)),
    Row("page-image-lines", "", ("GET", f"/images/ec2/{quote(NEXT_LINE, safe='')}", {}), ("404",)),
    Row("page-compare-a-tag", "", ("GET", f"/compare?before={quote(TAG)}&after={quote(BRACES)}", {}), ("404",)),
    Row("page-run-lines", "", ("GET", f"/runs/tools/{quote(NEXT_LINE, safe='')}", {}), ("404",)),
    Row("page-done-a-tag", "", ("GET", f"/generators/tools?done={quote(TAG)}", {}), ("200",)),
    Row("page-host-of-others", "", ("GET", "/generators", {"headers": {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "//evil.example"}}), ("200",)),
    Row("page-name-up", "name", ("POST", "/generators", form(name="../clouds", how="text", script="#!/bin/sh\n")), ("422", "is no name for a generator")),
    Row("page-name-lines", "name", ("POST", "/generators", form(name=LINES, how="text", script="#!/bin/sh\n")), ("422", "is no name for a generator")),
    Row("page-save-from-elsewhere", "", ("POST", "/generators/tools", form(description="x") | {"headers": {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://evil.example"}}), ("403",)),
    Row("page-save-of-null-origin", "", ("POST", "/generators/tools", form(description="x") | {"headers": {"Content-Type": "application/x-www-form-urlencoded", "Origin": "null"}}), ("403",)),
    Row("page-save-huge", "", ("POST", "/generators/tools", form(script="a" * (2 << 20))), ("413", "larger than 2097152 bytes")),
    Row("page-save-json", "", ("POST", "/generators/tools", raw(b'{"description": "x"}', "application/json")), ("4",)),
    Row("page-save-files", "", ("POST", "/generators/tools", raw(b'--x\r\nContent-Disposition: form-data; name="script"; filename="../../x"\r\n\r\nx\r\n--x--\r\n', "multipart/form-data; boundary=x")), ("4",)),
    Row("page-save-no-base", "", ("POST", "/generators/tools", form(base="[[[[", etag="x", description="y")), ("4",)),
    Row("page-yaml-class", "", ("POST", "/generators/tools/yaml", form(etag="x", yaml="!!python/object/apply:os.system [id]\n")), ("4",)),
    Row("page-start-elsewhere", "", ("POST", "/generators/imagesmith_janitor/build", form()), ("404",)),
    Row("page-start-a-parameter-that-is-none", "", ("POST", "/generators/tools/build", form(**{"cloud:ec2": "on", "parameter:__class__": TAG})), ("422", "__class__")),
    Row("page-start-many-fields", "", ("POST", "/generators/tools/build", form(**{f"parameter:{number}": "x" for number in range(5_000)})), ("4",)),
]  # fmt: skip
