# ruff: noqa: E501 (a finding is one line, and the table shows it as the user sees it)
"""Every mistake has its line, its words and its cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagesmith.generator import load_all, validate

# Six lines; what a case adds begins in line 7, as a key of the entry or of the file.
BASE = """\
script: ok.sh
clouds:
  ec2:
    source_image: ami-12345678
    ssh_username: admin
    instance_type: t3.small
"""


@pytest.fixture
def include(tmp_path: Path) -> Path:
    include = tmp_path / "include"
    for folder in ("generators", "scripts", "files"):
        (include / folder).mkdir(parents=True)
    (include / "clouds.yaml").write_text("ec2: {type: ec2}\n")
    (include / "scripts" / "ok.sh").write_text("#!/bin/sh\ntrue\n")
    for name in ("motd", "motd2"):
        (include / "files" / name).write_text("hello\n")
    return include


def findings(include: Path, text: str | bytes) -> list[str]:
    """The findings of the text as include/generators/x.yaml, without that name."""
    path = include / "generators" / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = [str(finding) for finding in validate([path])]
    assert bool(found) == ("x" not in load_all(include).generators)
    return [line.removeprefix("include/generators/x.yaml").removeprefix(":") for line in found]


def test_base_has_no_mistake(include: Path) -> None:
    assert findings(include, BASE) == []


ADDED = [
    (
        "    source_image: x\n",
        "7: clouds.ec2.source_image: the key stands here a second time (first in line 4) → keep one of the two",
    ),
    (
        "    sourceimage: x\n",
        "7: clouds.ec2.sourceimage: is no key here → did you mean source_image?",
    ),
    (
        "    public: yes\n",
        "7: clouds.ec2.public: must be true or false, not the text 'yes' → write true or false, without quotes",
    ),
    (
        "    public: 1\n",
        "7: clouds.ec2.public: must be true or false, not the number 1 → write true or false, without quotes",
    ),
    (
        '    required: "true"\n',
        "7: clouds.ec2.required: must be true or false, not the text 'true' → write true or false, without quotes",
    ),
    (
        "    tags: {a: 5}\n",
        "7: clouds.ec2.tags.a: must be text, not the number 5 → put it in quotes",
    ),
    (
        "    tags: [a]\n",
        "7: clouds.ec2.tags: must be a mapping, not a list → write indented `key: value` lines below it",
    ),
    (
        '    tags: {"imagesmith:build": x}\n',
        "7: clouds.ec2.tags: the tag imagesmith:build is set by every build → choose another name",
    ),
    (
        '    tags: {"aws:x": x}\n',
        "7: clouds.ec2.tags: the tag aws:x begins with aws:, which EC2 keeps for itself → choose another name",
    ),
    (
        '    tags: {"": x}\n',
        "7: clouds.ec2.tags: is empty → give it a value or remove the key",
    ),
    (
        "    disk_gib: 0\n",
        "7: clouds.ec2.disk_gib: 0 GiB is no size for a disk → use 1 to 16384",
    ),
    (
        "    disk_gib: 8.5\n",
        "7: clouds.ec2.disk_gib: must be a whole number, not 8.5 → write digits only, without quotes",
    ),
    (
        '    disk_gib: "8"\n',
        "7: clouds.ec2.disk_gib: must be a whole number, not the text '8' → write digits only, without quotes",
    ),
    (
        '    image_name: "{generator}:{version}"\n',
        "7: clouds.ec2.image_name: EC2 image names cannot hold : → use letters, digits and ( ) [ ] . / - ' @ _",
    ),
    (
        '    image_name: "{vesion}"\n',
        "7: clouds.ec2.image_name: {vesion} stands for nothing → did you mean version?",
    ),
    (
        '    image_name: "{0}"\n',
        "7: clouds.ec2.image_name: {0} stands for nothing → names can use: build_id, date, generator, version",
    ),
    (
        '    image_name: "{generator"\n',
        "7: clouds.ec2.image_name: has a brace without its partner → write {generator}, {version}, {build_id} or {date}",
    ),
    (
        '    image_name: "{version!r}"\n',
        "7: clouds.ec2.image_name: {version!r} stands for nothing → did you mean version?",
    ),
    (
        '    image_name: "{generator.name}"\n',
        "7: clouds.ec2.image_name: {generator.name} stands for nothing → did you mean generator?",
    ),
    (
        "    image_name: ab\n",
        "7: clouds.ec2.image_name: the name has 2 characters (ab) → EC2 wants 3 to 128",
    ),
    (
        '    image_name: ""\n',
        "7: clouds.ec2.image_name: is empty → give it a value or remove the key",
    ),
    (
        "    time_limits: {lunch: 5m}\n",
        "7: clouds.ec2.time_limits.lunch: is no key here → did you mean launch?",
    ),
    (
        "    time_limits: {launch: 5}\n",
        "7: clouds.ec2.time_limits.launch: 5 is not a length of time → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "    weather: rain\n",
        "7: clouds.ec2.weather: is no key here → the keys here are: disk_gib, image_name, instance_type, public, required, source_image, ssh_username, tags, time_limits, verify",
    ),
    (
        "    flavor: m1.small\n",
        "7: clouds.ec2.flavor: is no key here → did you mean instance_type?",
    ),
    (
        "    ami: ami-1\n",
        "7: clouds.ec2.ami: is no key here → did you mean source_image?",
    ),
    (
        "desription: x\n",
        "7: desription: is no key here → did you mean description?",
    ),
    (
        'schedule: "61 * * * *"\n',
        "7: schedule: '61 * * * *' is no schedule: [61 * * * *] is not acceptable, out of range → write a cron expression of five fields, e.g. \"0 3 * * 1\", or @weekly",
    ),
    (
        'schedule: "0 0 31 2 *"\n',
        "7: schedule: '0 0 31 2 *' is no schedule: failed to find next date → write a cron expression of five fields, e.g. \"0 3 * * 1\", or @weekly",
    ),
    (
        'schedule: "@fortnightly"\n',
        "7: schedule: '@fortnightly' is no schedule → use @once, @hourly, @daily, @weekly, @monthly, @quarterly, @yearly or a cron expression",
    ),
    (
        'schedule: "@continuous"\n',
        "7: schedule: '@continuous' is no schedule → use @once, @hourly, @daily, @weekly, @monthly, @quarterly, @yearly or a cron expression",
    ),
    (
        'schedule: "* * * * * *"\n',
        "7: schedule: '* * * * * *' is no schedule → write a cron expression of five fields, e.g. \"0 3 * * 1\", or @weekly",
    ),
    (
        "schedule: 5\n",
        "7: schedule: must be text, not the number 5 → put it in quotes",
    ),
    (
        "time_limit: 45\n",
        "7: time_limit: 45 is not a length of time → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "time_limit: 45 minutes\n",
        "7: time_limit: '45 minutes' is not a length of time → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "time_limit: 0s\n",
        "7: time_limit: a time limit must be longer than nothing → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "time_limit: 30m1h\n",
        "7: time_limit: '30m1h' is not a length of time → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "time_limit: 200h\n",
        "7: time_limit: 200h is more than 168h → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "time_limits: {save: soon}\n",
        "7: time_limits.save: 'soon' is not a length of time → write e.g. 90s, 45m or 1h30m, at most 168h",
    ),
    (
        "time_limits: 5m\n",
        "7: time_limits: must be a mapping, not the text '5m' → write indented `key: value` lines below it",
    ),
    (
        "name: other\n",
        "7: name: 'other' is not the file's name → write name: x, or rename the file to other.yaml",
    ),
    (
        "name: 5\n",
        "7: name: must be text, not the number 5 → put it in quotes",
    ),
    (
        "scripts: [ok.sh]\n",
        "7: scripts: stands beside `script` → keep one of the two",
    ),
    (
        "files: {motd: etc/motd}\n",
        "7: files.motd: 'etc/motd' is not an absolute path → write an absolute path of a file, e.g. /etc/motd",
    ),
    (
        "files: {motd: /etc/}\n",
        "7: files.motd: '/etc/' is not a plain path of a file → write an absolute path of a file, e.g. /etc/motd",
    ),
    (
        "files: {motd: /etc/../x}\n",
        "7: files.motd: '/etc/../x' is not a plain path of a file → write an absolute path of a file, e.g. /etc/motd",
    ),
    (
        "files: {motd: /etc/motd, motd2: /etc/motd}\n",
        "7: files.motd2: goes to /etc/motd, as motd does → choose another path",
    ),
    (
        "files: {../clouds.yaml: /etc/x}\n",
        "7: files.../clouds.yaml: ../clouds.yaml leads out of include/files → put it into include/files and write its name",
    ),
    (
        "files: {gone: /etc/x}\n",
        "7: files.gone: there is no include/files/gone → create it or correct the name",
    ),
    (
        "files: [motd]\n",
        "7: files: must be a mapping, not a list → write indented `key: value` lines below it",
    ),
    (
        "parameters: {PATH: {type: string}}\n",
        "7: parameters.PATH: is a name with a meaning of its own → choose another, e.g. with a prefix",
    ),
    (
        "parameters: {LD_PRELOAD: {type: string}}\n",
        "7: parameters.LD_PRELOAD: is a name with a meaning of its own → choose another, e.g. with a prefix",
    ),
    (
        "parameters: {IMAGESMITH_X: {type: string}}\n",
        "7: parameters.IMAGESMITH_X: is a name with a meaning of its own → choose another, e.g. with a prefix",
    ),
    (
        "parameters: {clouds: {type: string}}\n",
        "7: parameters.clouds: is a name with a meaning of its own → choose another, e.g. with a prefix",
    ),
    (
        "parameters: {a-b: {type: string}}\n",
        "7: parameters.a-b: is no name for a variable of the script → use letters, digits and _, not starting with a digit",
    ),
    (
        "parameters: {1a: {type: string}}\n",
        "7: parameters.1a: is no name for a variable of the script → use letters, digits and _, not starting with a digit",
    ),
    (
        "parameters: {n: {type: int}}\n",
        "7: parameters.n.type: 'int' is not known → use 'string', 'integer', 'number' or 'boolean'",
    ),
    (
        "parameters: {n: {default: 5}}\n",
        "7: parameters.n.type: is missing → add `type:`",
    ),
    (
        "parameters: {n: {type: integer, default: 2.5}}\n",
        "7: parameters.n.default: 2.5 is not a whole number → write digits only, without quotes",
    ),
    (
        "parameters: {n: {type: integer, default: true}}\n",
        "7: parameters.n.default: True is not a whole number → write digits only, without quotes",
    ),
    (
        "parameters: {n: {type: integer, default: 9223372036854775808}}\n",
        "7: parameters.n.default: 9223372036854775808 is beyond 64 bits → choose a smaller or plainer value",
    ),
    (
        "parameters: {n: {type: number, default: .inf}}\n",
        "7: parameters.n.default: inf is not a number → write a number, without quotes",
    ),
    (
        'parameters: {n: {type: boolean, default: "no"}}\n',
        "7: parameters.n.default: 'no' is not true or false → write true or false, without quotes",
    ),
    (
        "parameters: {n: {type: string, default: 5}}\n",
        "7: parameters.n.default: 5 is not text → put it in quotes",
    ),
    (
        'parameters: {n: {type: string, default: "a\\rb"}}\n',
        "7: parameters.n.default: 'a\\rb' holds a control character other than tab and line feed → choose a smaller or plainer value",
    ),
    (
        "parameters: {n: {type: string, choices: []}}\n",
        "7: parameters.n.choices: the list is empty → list the values or remove the key",
    ),
    (
        "parameters: {n: {type: string, choices: [a, a]}}\n",
        "7: parameters.n.choices: a value stands there twice → list each value once",
    ),
    (
        "parameters: {n: {type: string, choices: [a, 5]}}\n",
        "7: parameters.n.choices: 5 is not text → put it in quotes",
    ),
    (
        "parameters: {n: {type: string, choices: [a], default: b}}\n",
        "7: parameters.n.default: 'b' is not one of the choices → add it to the choices",
    ),
    (
        "parameters: {n: string}\n",
        "7: parameters.n: must be a mapping, not the text 'string' → write indented `key: value` lines below it",
    ),
    (
        "parameters: {n: {type: [string]}}\n",
        "7: parameters.n.type: ['string'] is not known → use 'string', 'integer', 'number' or 'boolean'",
    ),
    (
        'schedule: "@daily"\nparameters: {n: {type: string}}\n',
        "8: parameters.n: has no default, and builds by schedule have nobody to ask → add `default:` or remove the schedule",
    ),
    (
        "script: ok.sh\n",
        "7: script: the key stands here a second time (first in line 1) → keep one of the two",
    ),
    (
        "\tdescription: x\n",
        "7: the line is indented with a tab → indent with blanks",
    ),
    (
        'description: "\\ud800"\n',
        "7: description: holds half a character, which UTF-8 cannot write → correct the escape",
    ),
    (
        "description: !!binary aGk=\n",
        "7: description: the tag tag:yaml.org,2002:binary is not read here → remove it; write plain values",
    ),
    (
        "description: [x]\n",
        "7: description: must be text, not a list → put it in quotes",
    ),
    (
        "description: *nobody\n",
        "7: found undefined alias 'nobody' → give the value an anchor (&name) before it is used",
    ),
    (
        "description: a: b\n",
        "7: not YAML: mapping values are not allowed here → mend the line; a value with `: ` or `#` needs quotes",
    ),
    (
        'description: "x\n',
        "8: not YAML: found unexpected end of stream → mend the line; a value with `: ` or `#` needs quotes",
    ),
    (
        "5: x\n",
        "7: the key 5 is not text → put it in quotes",
    ),
    (
        "---\nname: x\n",
        "7: the file holds a second document → write one file for each",
    ),
]


@pytest.mark.parametrize(("added", "expected"), ADDED)
def test_one_mistake(include: Path, added: str, expected: str) -> None:
    assert findings(include, BASE + added) == [expected]


WHOLE = [
    ("", "1: the file is empty → describe something in it"),
    ("# only a comment\n", "1: the file is empty → describe something in it"),
    ("- a\n", "1: the file is not a mapping of keys to values → start it with `key: value` lines"),
    (b"script: \xff\xfe\n", "1: the file is not text in UTF-8 → save it as UTF-8"),
    (
        "script: ok\x00.sh\n",
        "1: the file holds a control character that YAML does not allow → remove it; in a quoted string it can be written as an escape",
    ),
    ("a: " + "x" * (1 << 20), ": the file is larger than 1 MiB → move long scripts to include/scripts"),
    ("a: " + "[" * 50_000, "1: values are nested more than 20 deep → write a simpler file"),
    ("a: &a [*a]\n", "1: values are nested more than 20 deep, or contain themselves → write a simpler file"),
    ("a: &a\n  <<: *a\n", "1: values are nested more than 20 deep, or contain themselves → write a simpler file"),
    (
        "".join(f"k{index}: v\n" for index in range(30_000)),
        "5000: the file holds more than 10000 values → write a simpler file",
    ),
    (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "1: aliases make more than 10000 values of the file → write a simpler file",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WHOLE)
def test_hostile_or_empty_file(include: Path, text: str | bytes, expected: str) -> None:
    found = findings(include, text)
    assert found == [expected.removeprefix(":")] or found == [expected]


MISSING = [
    ("script: ok.sh\n", ["1: clouds: is missing → add `clouds:`"]),
    ("script: ok.sh\nclouds:\n", ["2: clouds: is missing → add `clouds:`"]),
    ("script: ok.sh\nclouds: {}\n", ["2: clouds: names no cloud → name at least one of: ec2"]),
    (
        "script: ok.sh\nclouds: {ec3: {}}\n",
        [
            "2: clouds.ec3: is no cloud in clouds.yaml → did you mean ec2?",
            "2: clouds.ec3.source_image: is missing → add `source_image:`",
            "2: clouds.ec3.ssh_username: is missing → add `ssh_username:`",
        ],
    ),
    (
        BASE.replace("script: ok.sh", "description: x"),
        ["1: script: is missing → add `script:` with the name of a file in include/scripts"],
    ),
    (BASE.replace("script: ok.sh", "scripts: []"), ["1: scripts: is empty → name a script"]),
    (
        BASE.replace("    instance_type: t3.small\n", ""),
        ["3: clouds.ec2.instance_type: is missing → add `instance_type:`, e.g. t3.small"],
    ),
    (
        BASE.replace("ami-12345678", "debian-12"),
        ["4: clouds.ec2.source_image: 'debian-12' is not the id of an EC2 image → write ami-…, or {name: …, owner: …}"],
    ),
    (
        BASE.replace("ami-12345678", "{name: debian-*, owner: 136693071363}"),
        ["4: clouds.ec2.source_image.owner: must be text, not the number 136693071363 → put it in quotes"],
    ),
    (
        BASE.replace("ami-12345678", '{name: debian-*, owner: "debian"}'),
        ["4: clouds.ec2.source_image: 'debian' is not an owner on EC2 → write 12 digits in quotes, or self or amazon"],
    ),
    (
        BASE.replace("ami-12345678", "{owner: self}"),
        [
            "4: clouds.ec2.source_image: needs a name → write an id in quotes, {name: pattern, owner: account} or {generator: name}"
        ],
    ),
    (
        BASE.replace("ami-12345678", "{id: ami-1}"),
        ["4: clouds.ec2.source_image: an id needs no mapping → write source_image: the-id"],
    ),
    (
        BASE.replace("ami-12345678", "5"),
        [
            "4: clouds.ec2.source_image: 5 is neither text nor a mapping → write an id in quotes, {name: pattern, owner: account} or {generator: name}"
        ],
    ),
    (
        BASE.replace("admin", "root user"),
        [
            "5: clouds.ec2.ssh_username: 'root user' is not a login name → write the user of the source image, e.g. admin or ubuntu"
        ],
    ),
    (
        BASE.replace("t3.small", '"t3\\nsmall"'),
        ["6: clouds.ec2.instance_type: holds a line break or another control character → write it on one line"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), MISSING)
def test_missing_or_wrong_in_an_entry(include: Path, text: str, expected: list[str]) -> None:
    assert findings(include, text) == expected


def test_all_mistakes_of_a_file_at_once(include: Path) -> None:
    found = findings(include, "name: y\nscript: ../x\nschedule: never\nclouds: {ec2: {public: 1}, moon: 5}\ncron: x\n")
    assert [line.split(": ")[:2] for line in found] == [
        ["1", "name"],
        ["2", "script"],
        ["3", "schedule"],
        ["4", "clouds.ec2.instance_type"],
        ["4", "clouds.ec2.public"],
        ["4", "clouds.ec2.source_image"],
        ["4", "clouds.ec2.ssh_username"],
        ["4", "clouds.moon"],
        ["4", "clouds.moon"],
        ["5", "cron"],
    ]


def test_merge_keys_and_empty_keys_are_read(include: Path) -> None:
    (include / "clouds.yaml").write_text("a: {type: ec2}\nb: {type: ec2}\n")
    text = (
        "script: ok.sh\nparameters:\nschedule: ~\nclouds:\n"
        "  a: &a {source_image: ami-1, ssh_username: admin, instance_type: t3.small, tags: }\n"
        "  b: {<<: *a, instance_type: t3.large}\n"
    )
    assert findings(include, text) == []
    entries = load_all(include).generators["x"].clouds
    assert (entries["a"].instance_type, entries["b"].instance_type) == ("t3.small", "t3.large")
    assert entries["b"].source_image.query().id == "ami-1"


SCRIPTS = [
    (b"", "is empty → write #!/bin/bash and the commands"),
    (b"\n \n", "is empty → write #!/bin/bash and the commands"),
    (
        b"true\n",
        "does not begin with #! and an interpreter → make the first line #!/bin/bash or another interpreter's path",
    ),
    (
        b"#!\n",
        "does not begin with #! and an interpreter → make the first line #!/bin/bash or another interpreter's path",
    ),
    (
        b"#!bash\n",
        "does not begin with #! and an interpreter → make the first line #!/bin/bash or another interpreter's path",
    ),
    (b"#!/bin/sh\ntrue\r\n", "has Windows line ends (line 2) → save it with Unix line ends"),
    (
        "\ufeff#!/bin/sh\n".encode(),
        "begins with a byte order mark, so its #! is not seen → save it as UTF-8 without BOM",
    ),
    (b"#!/bin/sh\n\xff\n", "is not text in UTF-8 (line 2) → save it as UTF-8"),
    (b"#!/bin/sh\n\0\n", "holds a NUL character → scripts are text; bring other data under files:"),
    (b"#!/bin/sh\n" + b"#" * (1 << 20), "is larger than 1 MiB → let the script fetch what is large"),
]


@pytest.mark.parametrize(("content", "expected"), SCRIPTS)
def test_script_that_cannot_run(include: Path, content: bytes, expected: str) -> None:
    (include / "scripts" / "bad.sh").write_bytes(content)
    assert findings(include, BASE.replace("ok.sh", "bad.sh")) == [f"1: script: bad.sh {expected}"]


def test_inline_scripts_are_checked_as_files_are(include: Path) -> None:
    inline = BASE.replace("script: ok.sh", 'scripts:\n  - |\n    echo hi\n  - "#!/bin/sh"\n  - ok.sh')
    assert findings(include, inline) == [
        "2: scripts.0: the text does not begin with #! and an interpreter → "
        "make the first line #!/bin/bash or another interpreter's path"
    ]


TRICKS = ["/etc/passwd", "../clouds.yaml", "sub/../../clouds.yaml", "~/x", "a/../ok.sh"]


@pytest.mark.parametrize("name", TRICKS)
def test_path_out_of_the_folder(include: Path, name: str) -> None:
    found = findings(include, BASE.replace("ok.sh", name))
    assert found == [f"1: script: {name} leads out of include/scripts → put it into include/scripts and write its name"]


def test_links(include: Path) -> None:
    scripts = include / "scripts"
    (include.parent / "secret").write_text("#!/bin/sh\n")
    (scripts / "out.sh").symlink_to(include.parent / "secret")
    (scripts / "loop.sh").symlink_to(scripts / "loop.sh")
    (scripts / "gone.sh").symlink_to(scripts / "nothing.sh")
    (scripts / "up").symlink_to(include.parent)
    (scripts / "in.sh").symlink_to(scripts / "ok.sh")
    names = "[out.sh, loop.sh, gone.sh, up/secret, sub, in.sh]"
    (scripts / "sub").mkdir()
    assert findings(include, BASE.replace("script: ok.sh", f"scripts: {names}")) == [
        "1: scripts.0: out.sh is a link that leads out of include/scripts → put it into include/scripts and write its name",
        "1: scripts.1: there is no include/scripts/loop.sh → create it or correct the name",
        "1: scripts.2: there is no include/scripts/gone.sh → create it or correct the name",
        "1: scripts.3: up/secret is a link that leads out of include/scripts → put it into include/scripts and write its name",
        "1: scripts.4: include/scripts/sub is not a regular file → name a file",
    ]


def test_files_are_bounded(include: Path) -> None:
    with (include / "files" / "big").open("wb") as big:
        big.truncate((10 << 20) + 1)
    for name in ("one", "two", "three"):
        with (include / "files" / name).open("wb") as stream:
            stream.truncate(8 << 20)
    text = BASE + "files: {big: /big, one: /one, two: /two, three: /three}\n"
    assert findings(include, text) == [
        "7: files: the files are more than 20 MiB together → let the script fetch what is large",
        "7: files.big: big is larger than 10 MiB → let the script fetch what is large",
    ]


@pytest.mark.parametrize("stem", ["Upper", "a_b", "-a", "a" * 64, "imagesmith", "imagesmith-x", "maintenance"])
def test_name_that_no_generator_may_have(include: Path, stem: str) -> None:
    path = include / "generators" / f"{stem}.yaml"
    path.write_text(BASE)
    assert [finding.key for finding in validate([path])] == ["name"]


CLOUDS = [
    ("", ["1: the file is empty → describe something in it"]),
    ("a: {type: ec2}\na: {type: ec2}\n", ["2: a: the key stands here a second time (first in line 1) → keep one of the two"]),
    ("a: ec2\n", ["1: a: must be a mapping → write a: {type: ec2}"]),
    ("a: {}\n", ["1: a.type: is missing → add `type:`; the types are: ec2, nimbus, openstack"]),
    ("a: {type: 5}\n", ["1: a.type: must be text → the types are: ec2, nimbus, openstack"]),
    ("a: {type: aws}\n", ["1: a.type: 'aws' is no type of cloud → the types are: ec2, nimbus, openstack"]),
    ("a: {type: openstack, password: ask, auth_url: 'https://h:5000/v3'}\n", []),
    ("a: {type: openstack, password: hunter2}\n", ["1: a.password: a secret has no place in this file → put it into the Airflow connection named a"]),
    ("a: {type: openstack, identity_version: 4}\n", ["1: a.identity_version: 4 is no version of OpenStack's Identity → write 3, or 2 for clouds of the time of Havana"]),
    ("a: {type: openstack, interface: outer}\n", ["1: a.interface: 'outer' is no interface → write public, internal or admin"]),
    ("a: {type: ec2, password: ask}\n", ["1: a.password: is no key here → the keys here are: caller_address_url, calls_per_second, endpoint_url, instance_profile, pool, public_ip, region, ssh_cidr, ssh_port, subnet_id, type, use_private_address, vpc_id"]),
    ("a: {type: nimbus, hypervisor: bsd}\n", ["1: a.hypervisor: 'bsd' is no hypervisor of Nimbus → write xen or kvm"]),
    ("a: {type: nimbus, factory: 'svc'}\n", ["1: a.factory: 'svc' is no host:port → write e.g. svc.uc.futuregrid.org:8443"]),
    ("a: {type: nimbus, factory_identity: 'CN=x'}\n", ["1: a.factory_identity: 'CN=x' is no name in slash form → write e.g. /O=Grid/CN=host/svc.uc.futuregrid.org"]),
    ("a: {type: nimbus, secret_key: x}\n", ["1: a.secret_key: a secret has no place in this file → put it into the Airflow connection named a"]),
    ("A_b: {type: ec2}\n", ["1: A_b: is not a name for a cloud → use a-z, 0-9 and hyphens, at most 63, starting with a letter or digit"]),
    ("a:\n  type: ec2\n  regon: x\n", ["3: a.regon: is no key here → did you mean region?"]),
    ("a:\n  type: ec2\n  region: 5\n", ["3: a.region: must be text, not the number 5 → put it in quotes"]),
    ("a: {type: ec2, ssh_port: 0}\n", ["1: a.ssh_port: 0 is no port → use a number from 1 to 65535"]),
    ("a: {type: ec2, ssh_cidr: 0.0.0.0/0}\n", ["1: a.ssh_cidr: opens SSH to the whole internet → name the network the workers are in, or auto"]),
    ("a: {type: ec2, ssh_cidr: here}\n", ["1: a.ssh_cidr: 'here' is neither auto nor a network: 'here' does not appear to be an IPv4 or IPv6 network → write e.g. 192.0.2.0/24"]),
    ("a: {type: ec2, public_ip: false}\n", ["1: a.ssh_cidr: auto is the caller's public address, but instances are reached at private ones → write the network the workers are in, e.g. 10.0.0.0/16"]),
    ("a: {type: ec2, endpoint_url: 'https://me:pw@h/'}\n", ["1: a.endpoint_url: is not a plain http(s) URL → write https://host:port; a user name or password belongs in the connection"]),
]  # fmt: skip
SECRETS = ["password", "secret", "secret_access_key", "access_key", "aws_access_key_id", "session_token", "private_key", "api_key", "passphrase"]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CLOUDS)
def test_clouds_file(include: Path, text: str, expected: list[str]) -> None:
    path = include / "clouds.yaml"
    path.write_text(text)
    assert [str(finding) for finding in validate([path])] == [f"include/clouds.yaml:{line}" for line in expected]


@pytest.mark.parametrize("key", SECRETS)
def test_secret_in_clouds_file(include: Path, key: str) -> None:
    path = include / "clouds.yaml"
    path.write_text(f"ec2:\n  type: ec2\n  {key}: hunter2\n")
    shown = [str(finding) for finding in validate([path])]
    assert shown == [
        f"include/clouds.yaml:3: ec2.{key}: a secret has no place in this file → "
        "put it into the Airflow connection named ec2"
    ]


def test_broken_cloud_is_said_to_be_broken(include: Path) -> None:
    (include / "clouds.yaml").write_text("ec2: {type: ec2, regoin: x}\n")
    assert findings(include, BASE) == [
        "3: clouds.ec2: cannot be used: it has mistakes in clouds.yaml → mend those first"
    ]
