"""Signs a shell acts on: refused where a value is part of a command or a name, verbatim where it is data."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from imagesmith.clouds import ec2_words, nimbus_words, openstack_words
from imagesmith.generator import load_all
from imagesmith.local import environment
from imagesmith.plan import Plan, freeze, new_build_id
from imagesmith.ssh import _assignments, _stdin

BUILD = f"20260101-000001-{os.getpid():06x}"  # of its own: tests side by side share /dev/shm
COMMAND = "$(touch pwned); '\""
TRICKS = {
    "command": COMMAND,
    "backquotes": "`touch pwned`",
    "semicolon": "a;touch pwned",
    "pipe": "a|touch pwned",
    "background": "a&touch pwned",
    "redirection": "a>pwned",
    "line-feed": "a\ntouch pwned",
    "carriage-return": "a\rtouch pwned",
    "nul": "a\0b",
    "escape": "a\x1b[2J",
    "option": "--help",
    "star": "*",
    "home": "~root",
    "above": "../../x",
    "variable": "${IFS}a",
    "blank": "a b",
    "backslash": "a\\nb",
    "quote": "a'b",
    "percent": "%2e%2e%2f",
    "backwards": "a\u202eb",
}
# Where a value becomes part of a file's name, of a command, or of what a shell reads: the key, and the file for it.
ENTRY = {"source_image": "debian-12.gz", "ssh_username": "root"}
FIELDS = {
    "cloud's name": lambda trick: {"clouds": {trick: ENTRY}},
    "ssh_username": lambda trick: {"clouds": {"site": {**ENTRY, "ssh_username": trick}}},
    "image_name on Nimbus": lambda trick: {"clouds": {"site": {**ENTRY, "image_name": trick}}},
    "image_name in part on Nimbus": lambda trick: {
        "clouds": {"site": {**ENTRY, "image_name": f"{{generator}}/{trick}"}}
    },
    "instance_type on Nimbus": lambda trick: {"clouds": {"site": {**ENTRY, "instance_type": trick}}},
    "parameter's name": lambda trick: {"parameters": {trick: {"type": "string", "default": ""}}},
}


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    include = tmp_path / "include"
    for folder in ("generators", "scripts", "files"):
        (include / folder).mkdir(parents=True)
    (include / "clouds.yaml").write_text("site: {type: nimbus}\neast: {type: ec2}\nhotel: {type: openstack}\n")
    (include / "scripts" / "ok.sh").write_text("#!/bin/sh\ntrue\n")
    monkeypatch.chdir(tmp_path)
    return include


def write(include: Path, document: dict[str, object], name: str = "x") -> None:
    whole = {"script": "ok.sh", "clouds": {"site": ENTRY}, **document}
    (include / "generators" / f"{name}.yaml").write_text(yaml.safe_dump(whole))


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
@pytest.mark.parametrize("field", FIELDS)
def test_refused_in_a_name(include: Path, field: str, trick: str) -> None:
    write(include, FIELDS[field](trick))
    loaded = load_all(include)
    assert loaded.generators == {}
    assert all(str(finding).isprintable() for finding in loaded.findings)
    assert loaded.findings
    assert not list(include.parent.rglob("pwned"))


@pytest.mark.parametrize("trick", [trick for trick in TRICKS.values() if not set(trick) & set("/\0")])
def test_refused_as_the_name_of_a_generator(include: Path, trick: str) -> None:
    write(include, {}, name=trick)
    loaded = load_all(include)
    assert loaded.generators == {}
    assert "name" in [finding.key for finding in loaded.findings]


# Values of parameters: all that is legal in one, and what a shell, a here-document or a file could stumble over.
VALUES = [
    *(trick for trick in TRICKS.values() if not set(trick) & set("\0\r\x1b")),
    "",
    " ",
    "\t\n\n",
    "-n",
    "\\",
    "'",
    "'; touch pwned; '",
    "\nEND_OF_DATA\ntouch pwned\n",
    "%s%n%d",
    "größe ✓ 漢字",
    "!!",
    "{a,b}",
    "#",
    "=",
    "x" * 32_000,
]


def run(home: Path, verb: str, *arguments: str, data: bytes) -> bytes:
    """What a verb of remote.sh prints, called as over SSH: one command line for a shell, the rest on stdin."""
    command = shlex.join(["sh", "-s", "--", "imagesmith", verb, BUILD, *arguments])
    told = {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", command], input=_stdin(data), env=told, check=True, capture_output=True)
    return done.stdout


def test_values_arrive_verbatim_in_the_scripts_environment(include: Path) -> None:
    """Through the generator, the plan, the assignments and remote.sh, to a script that prints them."""
    names = [f"value_{number}" for number in range(len(VALUES))]
    script = "#!/bin/sh\n" + "".join(f'printf "%s\\0" "${name}"\n' for name in names)
    (include / "scripts" / "ok.sh").write_text(script)
    write(include, {"parameters": {name: {"type": "string", "default": ""} for name in names}})
    plan = planned(include, dict(zip(names, VALUES, strict=True)))
    again = Plan.model_validate_json(plan.model_dump_json())
    home = include.parent / "home"
    home.mkdir()
    text = again.scripts[0].text.encode()
    data = b"\n".join(base64.b64encode(part) for part in (_assignments(again.environment("site")), text))
    output = run(home, "run", "script-0", "user", str(len(text)), "0", data=data)
    assert output.decode().split("\0")[:-1] == VALUES
    assert not list(include.parent.rglob("pwned"))
    assert not list(Path("/dev/shm").glob(f"imagesmith-{BUILD}*"))


def planned(include: Path, parameters: dict[str, str] | None = None) -> Plan:
    loaded = load_all(include)
    assert loaded.findings == []
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return freeze(
        loaded.generators["x"],
        loaded.clouds,
        build_id=new_build_id(created, "seed"),
        created=created,
        parameters=parameters,
    )


NAMES = [trick for trick in TRICKS.values() if not set(trick) & set("/\0\n\r\x1b~")]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_or_file_of_any_name_is_only_read(include: Path, name: str) -> None:
    """On the machine scripts are called script-0, script-1, …; the files' own names stay here."""
    (include / "scripts" / name).write_text("#!/bin/sh\ntrue\n")
    (include / "files" / name).write_text("hello\n")
    write(include, {"script": None, "scripts": [name], "files": {name: "/etc/x"}})
    plan = planned(include)
    assert (plan.scripts[0].name, plan.files[0].name, plan.files[0].content) == (name, name, b"hello\n")
    assert not list(include.parent.rglob("pwned"))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_goes_to_exactly_the_path_that_is_named(include: Path, name: str) -> None:
    target = include.parent / "machine" / "a folder" / name
    (include / "files" / "motd").write_text("hello\n")
    write(include, {"files": {"motd": str(target)}})
    file = planned(include).files[0]
    home = include.parent / "home"
    home.mkdir()
    run(home, "place", file.path, data=file.content)
    assert [path for path in (include.parent / "machine").rglob("*") if path.is_file()] == [target]
    assert target.read_text() == "hello\n"
    assert not list(include.parent.rglob("pwned"))


@pytest.mark.parametrize("trick", [trick for trick in TRICKS.values() if trick.isprintable() and "{" not in trick])
def test_tags_and_names_that_only_apis_see_are_data(include: Path, trick: str) -> None:
    entries = {
        "east": {
            "source_image": "ami-12345678",
            "ssh_username": "admin",
            "instance_type": trick,
            "tags": {trick: trick},
        },
        "hotel": {
            "source_image": trick,
            "ssh_username": "admin",
            "instance_type": trick,
            "image_name": f"{{build_id}}{trick}",
            "tags": {"team": trick},
        },
    }
    write(include, {"clouds": entries})
    plan = planned(include)
    east, hotel = plan.targets["east"], plan.targets["hotel"]
    assert ec2_words.tags_of({"Tags": ec2_words.pairs_of(east.tags)}) == {trick: trick}
    assert openstack_words.tags_of(openstack_words.properties_of(hotel.tags)) == {"team": trick}
    assert (hotel.image_name, hotel.source_image.id) == (f"{plan.build_id}{trick}", trick)
    assert json.loads(plan.model_dump_json())["targets"]["east"]["instance_type"] == trick


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\\", "größe", "漢", "\\u0041", " a", "a=b:c#!"])
def test_a_value_of_the_nimbus_clients_configuration_stays_one(value: str) -> None:
    settings = nimbus_words.NimbusSettings(factory="h:1", repository="h:1", factory_identity=value)
    text = nimbus_words.configuration(settings, nimbus_words.NimbusCredentials(), certificate="c", key="k", memory_mb=1)
    lines = text.encode("latin-1").decode("latin-1").splitlines()
    assert len(lines) == 17
    (line,) = [line for line in lines if line.startswith("vws.factory.identity=")]
    assert java_value(line.partition("=")[2]) == value.lstrip() or value == " a"


def java_value(text: str) -> str:
    """The value as java.util.Properties reads it."""
    found, rest = "", iter(text)
    for letter in rest:
        if letter != "\\":
            found += letter
            continue
        escaped = next(rest)
        if escaped == "u":
            found += chr(int("".join(next(rest) for _ in range(4)), 16))
        else:
            found += {"n": "\n", "r": "\r", "t": "\t"}.get(escaped, escaped)
    return found


def test_what_airflow_up_records_is_read_back_by_shell_and_by_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagesmith import settings

    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path))
    values = {
        f"AIRFLOW_VAR_{number}": value for number, value in enumerate([*VALUES, "export", "export A=b", "\x0b\u2028"])
    }
    settings.environment_file().parent.mkdir()
    settings.environment_file().write_text(environment.as_shell(values))
    assert settings.recorded_environment() == values
    shown = '. "$0"; ' + "".join(f'printf "%s\\0" "${name}"; ' for name in values)
    read = subprocess.run(
        ["sh", "-c", shown, settings.environment_file()], check=True, capture_output=True, cwd=tmp_path
    )
    assert read.stdout.decode().split("\0")[:-1] == list(values.values())
    assert not (tmp_path / "pwned").exists()
