"""`imagesmith provenance`, `key`, `verify` and `sbom`: what is written on one machine is checked on another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from imagesmith.catalog.store import Catalog
from imagesmith.cli import main
from imagesmith.envelope import sign
from imagesmith.inventory import Package
from imagesmith.keys import parse_secret, signing_key
from imagesmith.steps.publish import publish

from .built import a_catalog, a_plan, a_project, an_inventory, begun, saved

SECRET = "a-deployment-of-unit-tests-a-deployment-of-u"
OTHER_SECRET = "another-deployment-another-deployment-anothe"
INVENTORY = an_inventory(Package(manager="dpkg", name="bash", version="5.2", architecture="amd64"))


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A deployment's catalog with one published build: `here` with an inventory, `there` without."""
    one = a_catalog(tmp_path)
    plan = a_plan(a_project(tmp_path), "b1")
    begun(one, plan)
    saved(one, plan, "here", inventory=INVENTORY)
    saved(one, plan, "there")
    publish("b1", catalog=one, secret=parse_secret(SECRET))
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", f"sqlite:///{tmp_path / 'catalog.db'}")
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGESMITH_SECRET", SECRET)
    monkeypatch.chdir(tmp_path)
    yield one
    one.close()


@pytest.fixture
def elsewhere(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Path:
    """A machine without catalog and secret, and on it what was handed over: statement, key and inventory."""
    handed = tmp_path / "handed"
    handed.mkdir()
    monkeypatch.chdir(handed)
    assert main(["provenance", "b1", "-o", "b1.json"]) == 0
    assert main(["key", "-o", "key.pem"]) == 0
    assert main(["sbom", "here/image-here-b1", "--format", "inventory", "-o", "inventory.json"]) == 0
    monkeypatch.delenv("IMAGESMITH_SECRET")
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", "sqlite:////nowhere/catalog.db")
    capsys.readouterr()
    return handed


def refused(arguments: list[str], capsys: Any) -> str:
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    return str(shown.err)


def test_a_statement_is_checked_where_nobody_knows_us(elsewhere: Path, capsys: Any) -> None:
    assert main(["verify", "b1.json", "--key", "key.pem"]) == 0
    told = capsys.readouterr().out
    assert "b1.json: good: build b1 of dstat" in told
    assert f"here/image-here-b1  inventory sha256 {INVENTORY.digest}" in told


def test_by_image_and_by_content(elsewhere: Path, capsys: Any) -> None:
    asked = ["verify", "b1.json", "--key", "key.pem", "--json"]
    for more in (["--image", "here/image-here-b1"], ["--inventory", "inventory.json"]):
        assert main([*asked, *more]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["proven"] == ["here/image-here-b1"]
        assert answer["statement"]["predicate"]["runDetails"]["metadata"]["invocationId"] == "b1"
    assert main([*asked, "--image", "here/image-here-b1", "--inventory", "inventory.json"]) == 0


def test_an_inventory_is_checked_with_no_tool_of_ours(elsewhere: Path) -> None:
    assert sha256((elsewhere / "inventory.json").read_bytes()).hexdigest() == INVENTORY.digest


def test_an_image_it_does_not_speak_of(elsewhere: Path, capsys: Any) -> None:
    told = refused(["verify", "b1.json", "--key", "key.pem", "--image", "there/image-there-b1"], capsys)
    assert "b1.json: it does not speak of there/image-there-b1; its subjects are here/image-here-b1" in told
    assert "; give the statement of the build that `imagesmith show there/image-there-b1` names" in told


def test_an_inventory_that_is_another(elsewhere: Path, capsys: Any) -> None:
    changed = (elsewhere / "inventory.json").read_text().replace("5.2", "5.3")
    (elsewhere / "inventory.json").write_text(changed)
    told = refused(["verify", "b1.json", "--key", "key.pem", "--inventory", "inventory.json"], capsys)
    assert sha256(changed.encode()).hexdigest() in told
    assert "no subject has this digest; give the inventory or the statement of the other build" in told
    (elsewhere / "inventory.json").write_text("{}")
    told = refused(["verify", "b1.json", "--key", "key.pem", "--inventory", "inventory.json"], capsys)
    assert "inventory.json is no inventory: give what `imagesmith sbom IMAGE --format inventory` wrote" in told


def test_a_byte_changed_or_another_key(elsewhere: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (elsewhere / "b1.json").read_text()
    payload = json.loads(text)["payload"]
    other = "A" if payload[100] != "A" else "B"
    (elsewhere / "changed.json").write_text(text.replace(payload, payload[:100] + other + payload[101:]))
    told = refused(["verify", "changed.json", "--key", "key.pem"], capsys)
    assert "changed.json: the signature of" in told
    assert "it was changed after it was signed; ask its maker for the file again" in told
    monkeypatch.setenv("IMAGESMITH_SECRET", OTHER_SECRET)
    assert "and not by the key" in refused(["verify", "b1.json"], capsys)
    assert "ask its maker for the public key, and name it with --key" in refused(["verify", "b1.json"], capsys)


def test_a_file_that_is_no_statement_is_named_with_what_to_give_instead(elsewhere: Path, capsys: Any) -> None:
    cure = "; give a file that `imagesmith provenance BUILD -o FILE` wrote"
    told = refused(["verify", "key.pem", "--key", "key.pem"], capsys)
    assert f"key.pem: it is not an envelope: not JSON{cure}" in told
    told = refused(["verify", "inventory.json", "--key", "key.pem"], capsys)
    assert "inventory.json: it is not an envelope: an object of" in told and cure in told
    (elsewhere / "note.json").write_text(sign(b'{"hello": "world"}', signing_key(parse_secret(SECRET))))
    told = refused(["verify", "note.json", "--key", "key.pem"], capsys)
    assert "note.json: what was signed is no in-toto statement" in told and cure in told


def test_without_a_key_it_is_the_deployments_own(catalog: Catalog, capsys: Any) -> None:
    assert main(["provenance", "dstat", "-o", "b1.json"]) == 0
    assert main(["verify", "b1.json"]) == 0


def test_the_key_is_printed_alone_and_its_id_beside_it(catalog: Catalog, capsys: Any) -> None:
    assert main(["key"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert shown.err.startswith("key id ")
    assert main(["key", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"key_id": shown.err.split()[-1], "public_key": shown.out}


def test_a_build_without_a_statement_says_why(catalog: Catalog, tmp_path: Path, capsys: Any) -> None:
    plan = a_plan(tmp_path / "include", "b2")
    begun(catalog, plan)
    told = refused(["provenance", "b2"], capsys)
    assert "build b2 has no statement: it is submitted; wait for its end" in told
    saved(catalog, plan, "here")
    publish("b2", catalog=catalog, secret=parse_secret(SECRET))
    assert "none of its new images has an inventory" in refused(["provenance", "b2"], capsys)


@pytest.mark.parametrize(("form", "mark"), [("spdx", '"SPDX-2.3"'), ("cyclonedx", '"specVersion": "1.6"')])
def test_a_bill_of_materials_by_id_and_by_name(catalog: Catalog, capsys: Any, form: str, mark: str) -> None:
    name = catalog.images(build_id="b1", cloud="here")[0].name
    texts = []
    for word in ("image-here-b1", "here/image-here-b1"):
        assert main(["sbom", word, "--format", form]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert mark in texts[0]
    assert name in texts[0]


def test_an_image_of_which_no_inventory_was_taken(catalog: Catalog, capsys: Any) -> None:
    told = refused(["sbom", "image-there-b1"], capsys)
    assert "there/image-there-b1: it has no inventory, so nobody knows what is inside; build it anew" in told


def test_a_place_that_cannot_be_written(catalog: Catalog, capsys: Any) -> None:
    told = refused(["provenance", "b1", "-o", "/nowhere/b1.json"], capsys)
    assert "/nowhere/b1.json: cannot be written: No such file or directory; name another file with -o" in told


def test_the_commands_load_no_library_before_they_need_it() -> None:
    words = "provenance key verify sbom"
    code = (
        "import sys; from importlib import import_module\n"
        f"for word in {words!r}.split(): import_module(f'imagesmith.commands.{{word}}')\n"
        "print(*sorted({'cyclonedx', 'spdx_tools', 'securesystemslib', 'google', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
