"""Generators written: the file a person would write, whole or not at all, over nobody else's change."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import TOOLS, Web

DOCUMENT = {
    "script": "tools.sh",
    "clouds": {"ec2": {"source_image": "ami-12345678", "ssh_username": "admin", "instance_type": "t3.small"}},
}


def changed(web: Web, **keys: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and headers that change those keys of `tools`."""
    answer = web.ask("GET", "/generators/tools")
    return {"document": {**answer.json()["document"], **keys}}, {"If-Match": answer.headers["ETag"]}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def checkout(web: Web) -> Path:
    """The project as a git checkout with one commit, and work of others that is not committed."""
    root = web.include.parent
    (root / ".gitignore").write_text("home/\ncatalog.db*\n")
    git(root, "init", "--quiet")
    git(root, "config", "user.name", "Somebody")
    git(root, "config", "user.email", "somebody@example.org")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "All there is")
    (web.include / "scripts" / "tools.sh").write_text("#!/bin/sh\n# not done yet\n")
    (web.include / "generators" / "drafted.yaml").write_text(TOOLS.replace("name: tools", "name: drafted"))
    git(root, "add", "include/generators/drafted.yaml")
    return root


def test_a_change_keeps_comments_and_order(web: Web) -> None:
    body, headers = changed(web, description="Other tools")
    answer = web.ask("PUT", "/generators/tools", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    expected = TOOLS.replace("description: Tools    #", "description: Other tools #")
    assert web.file("tools").read_text().split() == expected.split()
    assert answer.headers["ETag"] == answer.json()["etag"] != headers["If-Match"]
    same = web.ask(
        "PUT", "/generators/tools", json={"document": body["document"]}, headers={"If-Match": answer.json()["etag"]}
    )
    assert same.json()["etag"] == answer.json()["etag"]


def test_a_new_generator_is_written_as_a_person_would(web: Web) -> None:
    script = "#!/bin/bash\nset -e\necho 'hi: there'\n"
    answer = web.ask("POST", "/generators", json={"name": "new", "document": {**DOCUMENT, "script": script}})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == "/imagesmith/api/v1/generators/new"
    assert web.file("new").read_text() == (
        "script: |\n  #!/bin/bash\n  set -e\n  echo 'hi: there'\n"
        "clouds:\n  ec2:\n    source_image: ami-12345678\n    ssh_username: admin\n    instance_type: t3.small\n"
    )
    assert answer.json()["scripts"][0]["text"] == script
    again = web.ask("POST", "/generators", json={"name": "new", "document": DOCUMENT})
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "there is a generator new already; replace it, or choose another name",
    )


def test_mistakes_come_all_at_once_with_field_line_and_cure_and_nothing_is_written(web: Web) -> None:
    before = web.file("tools").read_bytes()
    body, headers = changed(web, schedule="sometimes", clouds={"ec3": {"source_image": "x", "ssh_username": "a b"}})
    answer = web.ask("PUT", "/generators/tools", json=body, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = {each["field"]: each for each in answer.json()["errors"]}
    assert {"schedule", "clouds.ec3", "clouds.ec3.ssh_username"} <= set(found)
    assert found["clouds.ec3"]["cure"] == "did you mean ec2?"
    assert all(each["line"] > 0 and each["cure"] for each in found.values())
    assert web.file("tools").read_bytes() == before
    assert list(web.include.rglob(".*")) == []


def test_a_save_over_somebody_elses_change_is_refused_and_shows_both(web: Web) -> None:
    body, headers = changed(web, description="mine")
    web.file("tools").write_text(TOOLS.replace("Tools  ", "Theirs "))
    answer = web.ask("PUT", "/generators/tools", json=body, headers=headers)
    problem = answer.json()
    assert answer.status_code == 412
    assert "description: mine" in problem["yours"]
    assert problem["theirs"] == web.file("tools").read_text() == TOOLS.replace("Tools  ", "Theirs ")
    assert answer.headers["ETag"] == problem["etag"]
    again = web.ask("PUT", "/generators/tools", json=body, headers={"If-Match": problem["etag"]})
    assert again.status_code == 200


def test_a_write_without_if_match_is_refused(web: Web) -> None:
    body, _ = changed(web)
    for method, more in (("PUT", {"json": body}), ("DELETE", {})):
        answer = web.ask(method, "/generators/tools", **more)
        assert (answer.status_code, answer.headers["ETag"]) == (428, web.json("/generators/tools")["etag"])
    assert web.file("tools").read_text() == TOOLS


def test_the_file_itself_can_be_read_and_replaced(web: Web) -> None:
    answer = web.ask("GET", "/generators/tools/file")
    assert (answer.text, answer.headers["content-type"].partition(";")[0]) == (TOOLS, "application/yaml")
    text = TOOLS.replace("t3.small", "t3.large")
    headers = {"If-Match": answer.headers["ETag"], "Content-Type": "application/yaml"}
    saved = web.ask("PUT", "/generators/tools/file", content=text.encode(), headers=headers)
    assert saved.status_code == 200, saved.text
    assert web.file("tools").read_text() == text
    assert web.ask("PUT", "/generators/tools/file", content=b"\xff", headers=headers).status_code == 422


def test_a_removed_generator_leaves_its_builds(web: Web) -> None:
    build_id = web.built()
    _, headers = changed(web)
    assert web.ask("DELETE", "/generators/tools", headers=headers).status_code == 204
    assert not web.file("tools").exists()
    web.json("/generators/tools", status=404)
    assert web.json(f"/builds/{build_id}")["generator"] == "tools"


def test_what_cannot_be_written_says_why(web: Web) -> None:
    body, headers = changed(web)
    elsewhere = web.include / "elsewhere.yaml"
    elsewhere.write_text(TOOLS)
    web.file("tools").unlink()
    web.file("tools").symlink_to(elsewhere)
    assert web.json("/generators/tools")["read_only_because"] == "tools.yaml is a link; change what it leads to"
    answer = web.ask("PUT", "/generators/tools", json=body, headers=headers)
    assert (answer.status_code, "is a link" in answer.json()["detail"]) == (409, True)
    assert elsewhere.read_text() == TOOLS and web.file("tools").is_symlink()


def test_a_folder_that_refuses_files_says_why(web: Web) -> None:
    folder = web.include / "generators"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    # Where nobody, not even root, may make a file.
    folder.symlink_to("/proc/self/fdinfo")
    answer = web.ask("POST", "/generators", json={"name": "new", "document": DOCUMENT})
    assert (answer.status_code, "can't be written" in answer.json()["detail"]) == (409, True)


def test_in_a_checkout_each_save_is_a_commit_of_that_file_by_its_user(web: Web, checkout: Path) -> None:
    body, headers = changed(web, description="committed")
    assert web.ask("PUT", "/generators/tools", json=body, headers=headers).status_code == 200
    assert web.ask("POST", "/generators", json={"name": "new", "document": DOCUMENT}).status_code == 201
    etag = {"If-Match": web.json("/generators/new")["etag"]}
    assert web.ask("DELETE", "/generators/new", headers=etag).status_code == 204
    log = git(checkout, "log", "--format=%an <%ae> %cn: %s", "--name-only", "-3").split("\n")
    assert [line for line in log if line] == [
        "ann <ann@localhost> Imagesmith: Remove generator new",
        "include/generators/new.yaml",
        "ann <ann@localhost> Imagesmith: Add generator new",
        "include/generators/new.yaml",
        "ann <ann@localhost> Imagesmith: Change generator tools",
        "include/generators/tools.yaml",
    ]
    assert git(checkout, "status", "--short").split("\n") == [
        "A  include/generators/drafted.yaml",
        " M include/scripts/tools.sh",
        "",
    ]


def test_a_save_that_changes_nothing_is_no_commit(web: Web, checkout: Path) -> None:
    body, headers = changed(web)
    assert web.ask("PUT", "/generators/tools", json=body, headers=headers).status_code == 200
    assert git(checkout, "log", "--format=%s") == "All there is\n"


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_what_git_refuses_is_not_saved(web: Web, checkout: Path, method: str) -> None:
    body, headers = changed(web, description="refused")
    hook = checkout / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = git(checkout, "status", "--short")
    if method == "POST":
        answer = web.ask("POST", "/generators", json={"name": "new", "document": DOCUMENT})
    else:
        more = {"json": body} if method == "PUT" else {}
        answer = web.ask(method, "/generators/tools", headers=headers, **more)
    assert (answer.status_code, "not on a Friday" in answer.json()["detail"]) == (409, True)
    assert web.file("tools").read_text() == TOOLS
    assert git(checkout, "status", "--short") == before


def test_an_ignored_folder_is_no_checkout(web: Web, checkout: Path) -> None:
    (checkout / ".gitignore").write_text("include/generators/new.yaml\n")
    assert web.ask("POST", "/generators", json={"name": "new", "document": DOCUMENT}).status_code == 201
    assert git(checkout, "log", "--format=%s") == "All there is\n"


def test_a_file_that_was_cut_off_on_its_way_is_not_saved(web: Web) -> None:
    app: Any = web.client.app
    raw = TOOLS.encode()
    coming: list[Any] = [
        {"type": "http.request", "body": raw[: raw.index(b"  hotel:")], "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    sent = {"authorization": "Bearer ann", "if-match": "*", "content-type": "application/yaml"}
    headers = [(name.encode(), value.encode()) for name, value in sent.items()]
    path = "/imagesmith/api/v1/generators/tools/file"
    scope = {"type": "http", "method": "PUT", "path": path, "query_string": b"", "headers": headers}
    asyncio.run(app(scope, receive, send))
    assert answers[0]["status"] == 413
    assert web.file("tools").read_text() == TOOLS
