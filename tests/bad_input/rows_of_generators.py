# ruff: noqa: E501 (a row is a line where it can be)
"""What may stand in include/generators/x.yaml and is refused there; lines count from the first of BASE."""

from __future__ import annotations

from .row import Row

# Six lines; what a row adds begins in line 7, as a key of the entry or of the file.
BASE = """\
script: ok.sh
clouds:
  ec2:
    source_image: ami-12345678
    ssh_username: admin
    instance_type: t3.small
"""
NIMBUS = """\
script: ok.sh
clouds:
  site:
    source_image: debian-12.gz
    ssh_username: root
"""
OPENSTACK = """\
script: ok.sh
clouds:
  hotel:
    source_image: debian-12
    ssh_username: root
    instance_type: m1.small
"""


def entry(line: str) -> str:
    """BASE with a further key of its cloud."""
    return f"{BASE}    {line}\n"


def top(line: str) -> str:
    """BASE with a further key of the file."""
    return f"{BASE}{line}\n"


def instead(old: str, new: str, base: str = BASE) -> str:
    """The file with other words in one place."""
    assert old in base
    return base.replace(old, new)


LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
QUOTES = "put it in quotes"
ONE_SCRIPT = "put it into include/scripts and write its name"
SHEBANG = "make the first line #!/bin/bash or another interpreter's path"
TARGET = "write an absolute path of a file, e.g. /etc/motd"
VARIABLE = ("is no name for a variable of the script", "use letters, digits and _, not starting with a digit")
RESERVED = ("is a name with a meaning of its own", "choose another, e.g. with a prefix")
TIME = "write e.g. 90s, 45m or 1h30m, at most 168h"
CRON = "write a cron expression of five fields"
LOGIN = ("is not a login name", "write the user of the source image, e.g. admin or ubuntu")
SOURCE = "write an id in quotes, {name: pattern, owner: account} or {generator: name}"
LINE = "holds a line break or another control character"

FORM = [
    Row("yaml-empty", "x.yaml:1", "", ("the file is empty", "describe something in it")),
    Row("yaml-only-a-list", "x.yaml:1", "- a\n", ("the file is not a mapping of keys to values", "start it with `key: value` lines")),
    Row("yaml-only-a-word", "x.yaml:1", "hello\n", ("the file is not a mapping of keys to values", "start it with `key: value` lines")),
    Row("yaml-utf-16", "x.yaml:1", BASE.encode("utf-16"), ("the file is not text in UTF-8", "save it as UTF-8")),
    Row("yaml-latin-1", "x.yaml:7", BASE.encode() + b"description: caf\xe9\n", ("the file is not text in UTF-8", "save it as UTF-8")),
    Row("yaml-nul", "x.yaml:1", instead("ok.sh", "ok\0.sh"), ("a control character that YAML does not allow", "it can be written as an escape")),
    Row("yaml-terminal-escape", "x.yaml:7", top("description: \x1b[2J"), ("a control character that YAML does not allow", "remove it")),
    Row("yaml-tab", "x.yaml:7", BASE + "\tdescription: x\n", ("the line is indented with a tab", "indent with blanks")),
    Row("yaml-open-quote", "x.yaml:8", top('description: "x'), ("not YAML", "a value with `: ` or `#` needs quotes")),
    Row("yaml-two-colons", "x.yaml:7", top("description: a: b"), ("not YAML", "mend the line")),
    Row("yaml-unknown-escape", "x.yaml:7", top('description: "\\q"'), ("not YAML: found unknown escape character", "mend the line")),
    Row("yaml-two-documents", "x.yaml:7", BASE + "---\nname: x\n", ("the file holds a second document", "write one file for each")),
    Row("yaml-of-tomorrow", "x.yaml:1", "%YAML 2.0\n---\n" + BASE, ("not YAML", "mend the line")),
    Row("yaml-alias-of-nothing", "x.yaml:7", top("description: *nobody"), ("found undefined alias 'nobody'", "give the value an anchor (&name) before it is used")),
    Row("yaml-list-in-itself", "x.yaml:1", "a: &a [*a]\n", ("nested more than 20 deep, or contain themselves", "write a simpler file")),
    Row("yaml-merge-of-itself", "x.yaml:1", "a: &a\n  <<: *a\n", ("nested more than 20 deep, or contain themselves", "write a simpler file")),
    Row("yaml-merge-of-a-number", "x.yaml:3: clouds.ec2", entry("<<: 5"), ("<< takes mappings only", "name a mapping's anchor: <<: *name")),
    Row("yaml-billion-laughs", "x.yaml:1", LAUGHS, ("aliases make more than 10000 values of the file", "write a simpler file")),
    Row("yaml-one-long-text-many-times", "x.yaml:8: b", BASE + f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 5_000)}]\n", ("is no key here", "the keys here are")),
    Row("yaml-deep", "x.yaml:1", "a: " + "[" * 50_000, ("nested more than 20 deep", "write a simpler file")),
    Row("yaml-many-values", "x.yaml:5000", "".join(f"k{number}: v\n" for number in range(30_000)), ("the file holds more than 10000 values", "write a simpler file")),
    Row("yaml-large", "x.yaml: ", "a: " + "x" * (1 << 20), ("the file is larger than 1 MiB", "move long scripts to include/scripts")),
    Row("yaml-tag-of-a-megabyte", "x.yaml:7", top("description: " + "!" * 1_000_000), ("a word of more than 10000 characters holds a !, as a tag does", "write a simpler file")),
    Row("yaml-python-object", "x.yaml:7: description", top('description: !!python/object/apply:os.system ["touch pwned"]'), ("python/object/apply:os.system is not read here", "remove it; write plain values")),
    Row("yaml-own-tag", "x.yaml:7: description", top("description: !env HOME"), ("the tag !env is not read here", "write plain values")),
    Row("yaml-binary", "x.yaml:7: description", top("description: !!binary aGk="), ("binary is not read here", "write plain values")),
    Row("yaml-half-a-character", "x.yaml:7: description", top('description: "\\ud800"'), ("holds half a character, which UTF-8 cannot write", "correct the escape")),
    Row("yaml-half-a-character-in-a-key", "x.yaml:", top('"\\ud800": x'), ("holds half a character, which UTF-8 cannot write", "correct the escape")),
    Row("yaml-half-a-character-in-a-tag", "x.yaml:7: clouds.ec2.tags", entry('tags: {"\\udfff": x}'), ("holds half a character", "correct the escape")),
    Row("yaml-impossible-character", "x.yaml:7", top('description: "\\UFFFFFFFF"'), ("an escape that stands for no character", "correct the escape")),
    Row("yaml-number-of-5000-digits", "x.yaml:7: clouds.ec2.disk_gib", entry(f"disk_gib: {'9' * 5_000}"), ("is not a YAML int", QUOTES)),
    Row("yaml-number-as-key", "x.yaml:7", top("5: x"), ("the key 5 is not text", QUOTES)),
    Row("yaml-list-as-key", "x.yaml:7", top("? [a, b]\n: c"), ("the key a list or mapping is not text", QUOTES)),
    Row("yaml-key-twice", "x.yaml:7: script", top("script: ok.sh"), ("the key stands here a second time (first in line 1)", "keep one of the two")),
]  # fmt: skip

KEYS = [
    Row("key-misspelt", "x.yaml:7: desription", top("desription: x"), ("is no key here", "did you mean description?")),
    Row("key-of-another-tool", "x.yaml:7: clouds.ec2.flavor", entry("flavor: m1.small"), ("is no key here", "did you mean instance_type?")),
    Row("key-nobody-knows", "x.yaml:7: clouds.ec2.polish", entry("polish: true"), ("is no key here", "the keys here are: disk_gib, image_name")),
    Row("key-with-a-cyrillic-letter", "x.yaml:7: ", top("s\u0441hedule: x"), ("is no key here", "did you mean schedule?")),
    Row("key-that-paints-the-terminal", r"x.yaml:7: \x1b[31mred", top('"\\e[31mred": x'), ("is no key here", "the keys here are")),
    Row("key-of-two-lines", r"x.yaml:7: a\nb", top('"a\\nb": x'), ("is no key here", "the keys here are")),
    Row("key-written-backwards", r"x.yaml:7: \u202etpircs", top("\u202etpircs: x"), ("is no key here", "the keys here are")),
    Row("key-of-100-kB", "x.yaml:7: kkkkk", top(f"? {'k' * 100_000}\n: x"), ("…: is no key here", "the keys here are")),
    Row("name-of-another-file", "x.yaml:7: name", top("name: other"), ("'other' is not the file's name", "write name: x, or rename the file to other.yaml")),
    Row("name-a-number", "x.yaml:7: name", top("name: 5"), ("must be text, not the number 5", QUOTES)),
    Row("name-a-path", "x.yaml:7: name", top("name: ../x"), ("'../x' is not the file's name", "write name: x")),
    Row("description-a-list", "x.yaml:7: description", top("description: [x]"), ("must be text, not a list", QUOTES)),
    Row("description-too-long", "x.yaml:7: description", top(f"description: {'x' * 2_001}"), ("has 2001 characters", "use at most 2000")),
    Row("schedule-out-of-range", "x.yaml:7: schedule", top('schedule: "61 * * * *"'), ("is no schedule", CRON)),
    Row("schedule-that-never-comes", "x.yaml:7: schedule", top('schedule: "0 0 31 2 *"'), ("failed to find next date", CRON)),
    Row("schedule-unknown-word", "x.yaml:7: schedule", top('schedule: "@fortnightly"'), ("'@fortnightly' is no schedule", "use @once, @hourly")),
    Row("schedule-without-end", "x.yaml:7: schedule", top('schedule: "@continuous"'), ("'@continuous' is no schedule", "or a cron expression")),
    Row("schedule-of-six-fields", "x.yaml:7: schedule", top('schedule: "* * * * * *"'), ("is no schedule", CRON)),
    Row("schedule-a-number", "x.yaml:7: schedule", top("schedule: 5"), ("must be text, not the number 5", QUOTES)),
    Row("schedule-a-command", "x.yaml:7: schedule", top("schedule: $(reboot) * * * *"), ("is no schedule", CRON)),
    Row("schedule-of-a-hash", "x.yaml:7: schedule", top('schedule: "H H * * *"'), ("is no schedule", CRON)),
    Row("schedule-by-chance", "x.yaml:7: schedule", top('schedule: "R R * * *"'), ("means another moment each time it is read", CRON)),
    Row("schedule-every-0-minutes", "x.yaml:7: schedule", top('schedule: "*/0 * * * *"'), ("is no schedule", CRON)),
    Row("time-without-unit", "x.yaml:7: time_limit", top("time_limit: 45"), ("45 is not a length of time", TIME)),
    Row("time-in-words", "x.yaml:7: time_limit", top("time_limit: 45 minutes"), ("'45 minutes' is not a length of time", TIME)),
    Row("time-nothing", "x.yaml:7: time_limit", top("time_limit: 0s"), ("must be longer than nothing", TIME)),
    Row("time-in-another-order", "x.yaml:7: time_limit", top("time_limit: 30m1h"), ("'30m1h' is not a length of time", TIME)),
    Row("time-negative", "x.yaml:7: time_limit", top("time_limit: -5m"), ("'-5m' is not a length of time", TIME)),
    Row("time-beyond-a-week", "x.yaml:7: time_limit", top("time_limit: 200h"), ("200h is more than 168h", TIME)),
    Row("time-of-19-years", "x.yaml:7: time_limit", top("time_limit: 9999999h"), ("'9999999h' is not a length of time", TIME)),
    Row("time-in-wide-digits", "x.yaml:7: time_limit", top("time_limit: \uff15m"), ("is not a length of time", TIME)),
    Row("time-of-a-step-nobody-knows", "x.yaml:7: time_limits.lunch", top("time_limits: {lunch: 5m}"), ("is no key here", "did you mean launch?")),
    Row("times-not-a-mapping", "x.yaml:7: time_limits", top("time_limits: 5m"), ("must be a mapping, not the text '5m'", "write indented `key: value` lines below it")),
]  # fmt: skip

BROUGHT = [
    Row("script-missing", "x.yaml:1: script", instead("script: ok.sh", "description: x"), ("is missing", "add `script:` with the name of a file in include/scripts")),
    Row("script-and-scripts", "x.yaml:7: scripts", top("scripts: [ok.sh]"), ("stands beside `script`", "keep one of the two")),
    Row("scripts-empty", "x.yaml:1: scripts", instead("script: ok.sh", "scripts: []"), ("is empty", "name a script")),
    Row("scripts-of-numbers", "x.yaml:1: scripts.0", instead("script: ok.sh", "scripts: [5]"), ("must be text, not the number 5", QUOTES)),
    Row("script-empty-name", "x.yaml:1: script", instead("ok.sh", '""'), ("names no file", ONE_SCRIPT)),
    Row("script-name-with-nul", "x.yaml:1: script", instead("ok.sh", '"a\\0b"'), ("names no file", ONE_SCRIPT)),
    Row("script-name-of-2000", "x.yaml:1: script", instead("ok.sh", "s" * 2_000), ("names no file", ONE_SCRIPT)),
    Row("script-name-of-300", "x.yaml:1: script", instead("ok.sh", "s" * 300), ("there is no include/scripts/ss", "create it or correct the name")),
    Row("script-absolute", "x.yaml:1: script", instead("ok.sh", "/etc/passwd"), ("/etc/passwd leads out of include/scripts", ONE_SCRIPT)),
    Row("script-above", "x.yaml:1: script", instead("ok.sh", "../clouds.yaml"), ("../clouds.yaml leads out of include/scripts", ONE_SCRIPT)),
    Row("script-down-and-up", "x.yaml:1: script", instead("ok.sh", "sub/../../clouds.yaml"), ("leads out of include/scripts", ONE_SCRIPT)),
    Row("script-of-a-home", "x.yaml:1: script", instead("ok.sh", "~root/.profile"), ("~root/.profile leads out of include/scripts", ONE_SCRIPT)),
    Row("script-not-there", "x.yaml:1: script", instead("ok.sh", "gone.sh"), ("there is no include/scripts/gone.sh", "create it or correct the name")),
    Row("script-a-command", "x.yaml:1: script", instead("ok.sh", "ok.sh; touch pwned"), ("there is no include/scripts/ok.sh; touch pwned", "create it or correct the name")),
    Row("script-name-with-a-line-end", "x.yaml:1: script", instead("ok.sh", '"ok.sh\\n"'), ("the text does not begin with #!", SHEBANG)),
    Row("inline-without-interpreter", "x.yaml:2: scripts.0", instead("script: ok.sh", "scripts:\n  - |\n    echo hi\n"), ("the text does not begin with #!", SHEBANG)),
    Row("inline-interpreter-by-name", "x.yaml:1: script", instead("ok.sh", '"#!bash"'), ("the text does not begin with #!", SHEBANG)),
    Row("inline-interpreter-in-line-2", "x.yaml:1: script", instead("ok.sh", '"#!\\n/bin/sh\\n"'), ("the text does not begin with #!", SHEBANG)),
    Row("inline-windows-lines", "x.yaml:1: script", instead("ok.sh", '"#!/bin/sh\\r\\ntrue\\r\\n"'), ("the text has Windows line ends (line 1)", "save it with Unix line ends")),
    Row("inline-old-mac-lines", "x.yaml:1: script", instead("ok.sh", '"#!/bin/sh\\rtrue\\r"'), ("the text has a carriage return in its first line", "save it with Unix line ends")),
    Row("inline-nul", "x.yaml:1: script", instead("ok.sh", '"#!/bin/sh\\n\\0"'), ("the text holds a NUL character", "bring other data under files:")),
    Row("files-a-list", "x.yaml:7: files", top("files: [motd]"), ("must be a mapping, not a list", "write indented `key: value` lines below it")),
    Row("file-to-a-number", "x.yaml:7: files.motd", top("files: {motd: 5}"), ("must be text, not the number 5", QUOTES)),
    Row("file-to-nowhere", "x.yaml:7: files.motd", top('files: {motd: ""}'), ("'' is not an absolute path", TARGET)),
    Row("file-to-a-relative-path", "x.yaml:7: files.motd", top("files: {motd: etc/motd}"), ("'etc/motd' is not an absolute path", TARGET)),
    Row("file-to-a-folder", "x.yaml:7: files.motd", top("files: {motd: /etc/}"), ("'/etc/' is not a plain path of a file", TARGET)),
    Row("file-up-and-away", "x.yaml:7: files.motd", top("files: {motd: /etc/../root/.ssh/authorized_keys}"), ("is not a plain path of a file", TARGET)),
    Row("file-to-two-slashes", "x.yaml:7: files.motd", top("files: {motd: //host/share}"), ("is not a plain path of a file", TARGET)),
    Row("file-to-a-path-of-two-lines", "x.yaml:7: files.motd", top('files: {motd: "/etc/a\\nb"}'), (r"'/etc/a\nb' holds a control character", TARGET)),
    Row("file-to-a-path-of-2000", "x.yaml:7: files.motd", top("files: {motd: " + "/abcdefg" * 250 + "}"), ("the path is longer than 1024 bytes", TARGET)),
    Row("file-to-a-name-of-300", "x.yaml:7: files.motd", top("files: {motd: /" + "a" * 300 + "}"), ("or a name in it than 255", TARGET)),
    Row("files-to-one-place", "x.yaml:7: files.motd2", top("files: {motd: /etc/motd, motd2: /etc/motd}"), ("goes to /etc/motd, as motd does", "choose another path")),
    Row("file-from-above", "x.yaml:7: files.../clouds.yaml", top("files: {../clouds.yaml: /etc/x}"), ("leads out of include/files", "put it into include/files and write its name")),
    Row("file-not-there", "x.yaml:7: files.gone", top("files: {gone: /etc/x}"), ("there is no include/files/gone", "create it or correct the name")),
]  # fmt: skip

PARAMETERS = [
    Row("parameter-path", "x.yaml:7: parameters.PATH", top("parameters: {PATH: {type: string}}"), RESERVED),
    Row("parameter-of-the-linker", "x.yaml:7: parameters.LD_PRELOAD", top("parameters: {LD_PRELOAD: {type: string}}"), RESERVED),
    Row("parameter-of-ours", "x.yaml:7: parameters.IMAGESMITH_X", top("parameters: {IMAGESMITH_X: {type: string}}"), RESERVED),
    Row("parameter-of-airflows-form", "x.yaml:7: parameters.clouds", top("parameters: {clouds: {type: string}}"), RESERVED),
    Row("parameter-with-a-hyphen", "x.yaml:7: parameters.a-b", top("parameters: {a-b: {type: string}}"), VARIABLE),
    Row("parameter-with-a-digit-first", "x.yaml:7: parameters.1a", top("parameters: {1a: {type: string}}"), VARIABLE),
    Row("parameter-without-a-name", "x.yaml:7: parameters.", top('parameters: {"": {type: string}}'), VARIABLE),
    Row("parameter-of-two-lines", r"x.yaml:7: parameters.a\nb", top('parameters: {"a\\nb": {type: string}}'), VARIABLE),
    Row("parameter-a-command", "x.yaml:7: parameters.a;reboot", top("parameters: {a;reboot: {type: string}}"), VARIABLE),
    Row("parameter-not-ascii", "x.yaml:7: parameters.größe", top("parameters: {größe: {type: string}}"), VARIABLE),
    Row("parameter-of-65-letters", "x.yaml:7: parameters.aaaa", top("parameters: {" + "a" * 65 + ": {type: string}}"), VARIABLE),
    Row("parameter-of-no-type", "x.yaml:7: parameters.n.type", top("parameters: {n: {default: 5}}"), ("is missing", "add `type:`")),
    Row("parameter-of-an-unknown-type", "x.yaml:7: parameters.n.type", top("parameters: {n: {type: int}}"), ("'int' is not known", "use 'string', 'integer', 'number' or 'boolean'")),
    Row("parameter-of-two-types", "x.yaml:7: parameters.n.type", top("parameters: {n: {type: [string]}}"), ("is not known", "use 'string'")),
    Row("parameter-not-a-mapping", "x.yaml:7: parameters.n", top("parameters: {n: string}"), ("must be a mapping, not the text 'string'", "write indented")),
    Row("parameter-key-misspelt", "x.yaml:7: parameters.n.defualt", top("parameters: {n: {type: string, defualt: x}}"), ("is no key here", "did you mean default?")),
    Row("default-a-fraction", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: integer, default: 2.5}}"), ("2.5 is not a whole number", "write digits only, without quotes")),
    Row("default-true-as-a-number", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: integer, default: true}}"), ("True is not a whole number", "write digits only")),
    Row("default-beyond-64-bits", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: integer, default: 9223372036854775808}}"), ("is beyond 64 bits", "choose a smaller or plainer value")),
    Row("default-infinite", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: number, default: .inf}}"), ("inf is not a number", "write a number, without quotes")),
    Row("default-not-a-number", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: number, default: .nan}}"), ("nan is not a number", "write a number, without quotes")),
    Row("default-no-in-quotes", "x.yaml:7: parameters.n.default", top('parameters: {n: {type: boolean, default: "no"}}'), ("'no' is not true or false", "write true or false, without quotes")),
    Row("default-a-number-as-text", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: string, default: 5}}"), ("5 is not text", QUOTES)),
    Row("default-with-a-bell", "x.yaml:7: parameters.n.default", top('parameters: {n: {type: string, default: "a\\ab"}}'), ("holds a control character other than tab and line feed", "choose a smaller or plainer value")),
    Row("default-of-33-kB", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: string, default: " + "x" * 33_000 + "}}"), ("is 33000 bytes long, more than 32768", "choose a smaller or plainer value")),
    Row("choices-empty", "x.yaml:7: parameters.n.choices", top("parameters: {n: {type: string, choices: []}}"), ("the list is empty", "list the values or remove the key")),
    Row("choices-twice-the-same", "x.yaml:7: parameters.n.choices", top("parameters: {n: {type: string, choices: [a, a]}}"), ("a value stands there twice", "list each value once")),
    Row("choices-of-two-types", "x.yaml:7: parameters.n.choices", top("parameters: {n: {type: string, choices: [a, 5]}}"), ("5 is not text", QUOTES)),
    Row("choices-a-text", "x.yaml:7: parameters.n.choices", top("parameters: {n: {type: string, choices: a}}"), ("must be a list, not the text 'a'", "write [one, two]")),
    Row("default-not-among-the-choices", "x.yaml:7: parameters.n.default", top("parameters: {n: {type: string, choices: [a], default: b}}"), ("'b' is not one of the choices", "add it to the choices")),
    Row("secret-in-words", "x.yaml:7: parameters.t.secret", top('parameters: {t: {type: string, secret: "yes"}}'), ("must be true or false, not the text 'yes'", "write true or false")),
    Row("secret-a-number", "x.yaml:7: parameters.t.type", top("parameters: {t: {type: integer, secret: true}}"), ("a secret is text, not a whole number", "write type: string, or remove `secret:`")),
    Row("secret-with-a-default", "x.yaml:7: parameters.t.default", top("parameters: {t: {type: string, secret: true, default: x}}"), ("would be stored in the clear, and this parameter is secret", "remove it; the value is asked")),
    Row("secret-with-no-default", "x.yaml:7: parameters.t.default", top("parameters: {t: {type: string, secret: true, default: }}"), ("would be stored in the clear", "remove it; the value is asked")),
    Row("secret-with-a-default-of-another-type", "x.yaml:7: parameters.t.default", top("parameters: {t: {type: string, secret: true, default: 5}}"), ("would be stored in the clear", "remove it; the value is asked")),
    Row("secret-with-choices", "x.yaml:7: parameters.t.choices", top("parameters: {t: {type: string, secret: true, choices: [a, b]}}"), ("would be stored in the clear, and this parameter is secret", "remove it; the value is asked")),
    Row("secret-by-schedule", "x.yaml:8: parameters.t", top('schedule: "@daily"\nparameters: {t: {type: string, secret: true}}'), ("is secret, and builds by schedule have nobody to ask", "remove the schedule")),
    Row("secret-called-like-a-password", "x.yaml:7: parameters.password_db", top("parameters: {password_db: {type: string, secret: true}}"), ("is what the password of a cloud is called", "choose another, e.g. db_password")),
    Row("secret-misspelt", "x.yaml:7: parameters.t.secert", top("parameters: {t: {type: string, secert: true}}"), ("is no key here", "did you mean secret?")),
    Row("consistency-unknown", "x.yaml:7: consistency", top("consistency: strict"), ("'strict' is not known", "use 'report' or 'require'")),
    Row("consistency-true", "x.yaml:7: consistency", top("consistency: true"), ("True is not known", "use 'report' or 'require'")),
    Row("allow-a-mapping", "x.yaml:7: allow_differences", top('allow_differences: {package: "x"}'), ("must be a list, not a mapping", "write [one, two]")),
    Row("allow-a-word", "x.yaml:8: allow_differences.0", top("allow_differences:\n  - linux-image"), ("must be a mapping, not the text 'linux-image'", "write indented `key: value` lines")),
    Row("allow-without-reason", "x.yaml:8: allow_differences.0.reason", top("allow_differences:\n  - {package: x}"), ("is missing", "add `reason:`")),
    Row("allow-reason-empty", "x.yaml:8: allow_differences.0.reason", top('allow_differences:\n  - {package: x, reason: ""}'), ("is empty", "give it a value")),
    Row("allow-nothing-named", "x.yaml:8: allow_differences.0", top("allow_differences:\n  - {reason: why}"), ("names nothing", "name one of package, path, service, user, group, socket in each entry")),
    Row("allow-two-kinds", "x.yaml:8: allow_differences.0", top("allow_differences:\n  - {package: x, user: y, reason: why}"), ("names package and user", "name one of package, path, service, user, group, socket in each entry")),
    Row("allow-everything", "x.yaml:8: allow_differences.0.package", top('allow_differences:\n  - {package: "*", reason: why}'), ("'*' would allow everything", "name what may differ")),
    Row("allow-a-relative-path", "x.yaml:8: allow_differences.0.path", top("allow_differences:\n  - {path: etc/motd, reason: why}"), ("'etc/motd' is no path", "write an absolute path")),
    Row("allow-misspelt", "x.yaml:8: allow_differences.0.pakage", top("allow_differences:\n  - {pakage: x, reason: why}"), ("is no key here", "did you mean package?")),
    Row("parameter-named-rebuild", "x.yaml:7: parameters.rebuild", top("parameters: {rebuild: {type: string}}"), RESERVED),
    Row("scheduled-without-a-default", "x.yaml:8: parameters.n", top('schedule: "@daily"\nparameters: {n: {type: string}}'), ("builds by schedule have nobody to ask", "add `default:` or remove the schedule")),
    Row("rebuild-of-nobody", "x.yaml:7: rebuild_when", top("rebuild_when: parent"), ("has no parent: no cloud's image starts from another generator's", "write `source_image: {generator: NAME}` there, or remove it")),
    Row("rebuild-when-it-rains", "x.yaml:7: rebuild_when", top("rebuild_when: rain"), ("'rain' is not known", "use 'parent'")),
    Row("rebuild-at-once", "x.yaml:8: schedule", instead("ami-12345678", "{generator: good}") + 'rebuild_when: parent\nschedule: "@once"\n', ("'@once' does not go with rebuild_when", "remove one of the two")),
    Row("rebuild-without-a-default", "x.yaml:8: parameters.n", instead("ami-12345678", "{generator: good}") + "rebuild_when: parent\nparameters: {n: {type: string}}\n", ("builds by rebuild_when have nobody to ask", "add `default:` or remove the rebuild_when")),
    Row("skip-with-a-secret", "x.yaml:7: skip_if_unchanged", top("skip_if_unchanged: true\nparameters: {t: {type: string, secret: true}}"), ("cannot tell whether the secret parameter t is unchanged", "remove it, or the secret parameter")),
    Row("skip-in-words", "x.yaml:7: skip_if_unchanged", top("skip_if_unchanged: yes"), ("must be true or false, not the text 'yes'", "write true or false")),
]  # fmt: skip

ENTRIES = [
    Row("clouds-missing", "x.yaml:1: clouds", "script: ok.sh\n", ("is missing", "add `clouds:`")),
    Row("clouds-none", "x.yaml:2: clouds", "script: ok.sh\nclouds: {}\n", ("names no cloud", "name at least one of: ec2, hotel, site")),
    Row("clouds-a-list", "x.yaml:2: clouds", "script: ok.sh\nclouds: [ec2]\n", ("must be a mapping, not a list", "write indented")),
    Row("cloud-unknown", "x.yaml:3: clouds.ec3", instead("ec2", "ec3"), ("is no cloud in clouds.yaml", "did you mean ec2?")),
    Row("cloud-a-path", "x.yaml:3: clouds.../../etc", instead("ec2", "../../etc"), ("is no cloud in clouds.yaml", "the clouds in clouds.yaml are: ec2, hotel, site")),
    Row("cloud-without-an-entry", "x.yaml:2: clouds.ec2", "script: ok.sh\nclouds: {ec2: }\n", ("must be a mapping, not empty", "write indented")),
    Row("source-missing", "x.yaml:3: clouds.ec2.source_image", instead("    source_image: ami-12345678\n", ""), ("is missing", "add `source_image:`")),
    Row("source-a-number", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "5"), ("5 is neither text nor a mapping", SOURCE)),
    Row("source-no-id-of-ec2", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "debian-12"), ("'debian-12' is not the id of an EC2 image", "write ami-…, or {name: …, owner: …}")),
    Row("source-id-in-a-mapping", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{id: ami-1}"), ("an id needs no mapping", "write source_image: the-id")),
    Row("source-owner-alone", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{owner: self}"), ("needs a name", SOURCE)),
    Row("source-owner-a-number", "x.yaml:4: clouds.ec2.source_image.owner", instead("ami-12345678", "{name: debian-*, owner: 136693071363}"), ("must be text, not the number 136693071363", QUOTES)),
    Row("source-owner-unknown", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{name: debian-*, owner: debian}"), ("'debian' is not an owner on EC2", "write 12 digits in quotes, or self or amazon")),
    Row("source-properties-on-ec2", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{properties: {os: debian}}"), ("EC2 images have no properties to go by", "write {name: …, owner: …}")),
    Row("source-of-two-lines", "x.yaml:4: clouds.ec2.source_image.name", instead("ami-12345678", '{name: "a\\nb"}'), (LINE, "write it on one line")),
    Row("source-an-option-of-the-client", "x.yaml:4: clouds.site.source_image", instead("debian-12.gz", "--help", NIMBUS), ("'--help' is no name for an image of Nimbus", "write it as the site's client lists it")),
    Row("source-above-the-repository", "x.yaml:4: clouds.site.source_image", instead("debian-12.gz", "VMS/../../etc", NIMBUS), ("is no name for an image of Nimbus", "write it as the site's client lists it")),
    Row("source-two-words", "x.yaml:4: clouds.site.source_image", instead("debian-12.gz", "debian 12", NIMBUS), ("is no name for an image of Nimbus", "write it as the site's client lists it")),
    Row("source-properties-on-nimbus", "x.yaml:4: clouds.site.source_image", instead("debian-12.gz", "{properties: {os: debian}}", NIMBUS), ("Nimbus images have no properties to go by", "write the image's name")),
    Row("source-of-another-on-nimbus", "x.yaml:4: clouds.site.source_image", instead("debian-12.gz", "{name: x, owner: bob}", NIMBUS), ("one's own images and the common ones", "write owner: self, or none")),
    Row("source-of-two-kinds", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{generator: good, owner: self}"), ("names a generator and something else", "write {generator: name} alone")),
    Row("source-of-no-generator", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{generator: goot}"), ("there is no generator goot", "did you mean good?")),
    Row("source-of-no-name", "x.yaml:4: clouds.ec2.source_image.generator", instead("ami-12345678", '{generator: "../good"}'), ("'../good' is no name of a generator", "write the name of a file in include/generators")),
    Row("source-of-itself", "x.yaml:4: clouds.ec2.source_image", instead("ami-12345678", "{generator: x}"), ("goes in a circle: x from x", "let one of them start from an image of the cloud's own")),
    Row("source-of-a-generator-elsewhere", "x.yaml:4: clouds.hotel.source_image", instead("debian-12", "{generator: good}", OPENSTACK), ("good builds no image on hotel", "add hotel to generators/good.yaml")),
    Row("login-missing", "x.yaml:3: clouds.ec2.ssh_username", instead("    ssh_username: admin\n", ""), ("is missing", "add `ssh_username:`")),
    Row("login-two-words", "x.yaml:5: clouds.ec2.ssh_username", instead("admin", "root user"), LOGIN),
    Row("login-an-option-of-ssh", "x.yaml:5: clouds.ec2.ssh_username", instead("admin", "-oProxyCommand=reboot"), LOGIN),
    Row("login-a-command", "x.yaml:5: clouds.ec2.ssh_username", instead("admin", "$(reboot)"), LOGIN),
    Row("login-with-a-host", "x.yaml:5: clouds.ec2.ssh_username", instead("admin", "root@elsewhere"), LOGIN),
    Row("login-of-two-lines", "x.yaml:5: clouds.ec2.ssh_username", instead("admin", '"root\\n"'), LOGIN),
    Row("login-of-33-letters", "x.yaml:5: clouds.ec2.ssh_username", instead("admin", "a" * 33), LOGIN),
    Row("type-missing", "x.yaml:3: clouds.ec2.instance_type", instead("    instance_type: t3.small\n", ""), ("is missing", "add `instance_type:`, e.g. t3.small")),
    Row("type-of-two-lines", "x.yaml:6: clouds.ec2.instance_type", instead("t3.small", '"t3\\nsmall"'), (LINE, "write it on one line")),
    Row("type-with-a-blank-nobody-sees", "x.yaml:6: clouds.ec2.instance_type", instead("t3.small", "t3.small\u200b"), ("holds U+200B, which cannot be seen", "remove it")),
    Row("type-in-words-on-nimbus", "x.yaml:6: clouds.site.instance_type", f"{NIMBUS}    instance_type: big\n", ("'big' is no instance type of Nimbus", "write the memory in MB, e.g. 2048")),
    Row("type-a-raised-digit", "x.yaml:6: clouds.site.instance_type", f'{NIMBUS}    instance_type: "\u00b2"\n', ("is no instance type of Nimbus", "write the memory in MB")),
    Row("type-of-no-memory", "x.yaml:6: clouds.site.instance_type", f'{NIMBUS}    instance_type: "0"\n', ("'0' is no instance type of Nimbus", "write the memory in MB")),
    Row("type-of-9-TB", "x.yaml:6: clouds.site.instance_type", f'{NIMBUS}    instance_type: "9999999"\n', ("is no instance type of Nimbus", "write the memory in MB")),
    Row("image-name-empty", "x.yaml:7: clouds.ec2.image_name", entry('image_name: ""'), ("is empty", "give it a value or remove the key")),
    Row("image-name-unknown-field", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{vesion}"'), ("{vesion} stands for nothing", "did you mean version?")),
    Row("image-name-by-number", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{0}"'), ("{0} stands for nothing", "names can use: build_id, date, generator, version")),
    Row("image-name-open-brace", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{generator"'), ("has a brace without its partner", "write {generator}, {version}, {build_id} or {date}")),
    Row("image-name-doubled-braces", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{{generator}}"'), ("has a brace without its partner", "write {generator}")),
    Row("image-name-conversion", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{version!r}"'), ("{version!r} stands for nothing", "did you mean version?")),
    Row("image-name-attribute", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{generator.__class__}"'), ("{generator.__class__} stands for nothing", "did you mean generator?")),
    Row("image-name-too-short", "x.yaml:7: clouds.ec2.image_name", entry("image_name: ab"), ("the name has 2 characters (ab)", "EC2 wants 3 to 128")),
    Row("image-name-too-long", "x.yaml:7: clouds.ec2.image_name", entry(f'image_name: "{"x" * 120}-{{date}}"'), ("the name has 129 characters", "EC2 wants 3 to 128")),
    Row("image-name-with-a-colon", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "{generator}:{version}"'), ("EC2 image names cannot hold :", "use letters, digits and ( ) [ ] . / - ' @ _")),
    Row("image-name-of-two-lines", "x.yaml:7: clouds.ec2.image_name", entry('image_name: "a\\nb{date}"'), (LINE, "write it on one line")),
    Row("image-name-with-a-blank-before", "x.yaml:7: clouds.ec2.image_name", entry('image_name: " {generator}"'), ("begins or ends with a blank", "remove the blank")),
    Row("image-name-backwards", "x.yaml:7: clouds.hotel.image_name", f'{OPENSTACK}    image_name: "\\u202e{{generator}}"\n', ("holds U+202E, which cannot be seen", "remove it")),
    Row("image-name-of-256", "x.yaml:7: clouds.hotel.image_name", f'{OPENSTACK}    image_name: "{"x" * 248}{{date}}"\n', ("the name has 256 characters", "OpenStack wants 1 to 255")),
    Row("image-name-above-the-repository", "x.yaml:6: clouds.site.image_name", f'{NIMBUS}    image_name: "../{{generator}}"\n', ("'../x' is no name for an image of Nimbus", "use letters, digits and . _ -")),
    Row("image-name-an-option", "x.yaml:6: clouds.site.image_name", f'{NIMBUS}    image_name: "--common"\n', ("'--common' is no name for an image of Nimbus", "use letters, digits and . _ -")),
    Row("verify-in-words", "x.yaml:7: clouds.ec2.verify", entry("verify: never"), ("must be true or false, not the text 'never'", "write true or false")),
    Row("public-in-words", "x.yaml:7: clouds.ec2.public", entry("public: yes"), ("must be true or false, not the text 'yes'", "write true or false, without quotes")),
    Row("public-a-number", "x.yaml:7: clouds.ec2.public", entry("public: 1"), ("must be true or false, not the number 1", "write true or false")),
    Row("required-in-quotes", "x.yaml:7: clouds.ec2.required", entry('required: "true"'), ("must be true or false, not the text 'true'", "write true or false")),
    Row("disk-of-nothing", "x.yaml:7: clouds.ec2.disk_gib", entry("disk_gib: 0"), ("0 GiB is no size for a disk", "use 1 to 16384")),
    Row("disk-negative", "x.yaml:7: clouds.ec2.disk_gib", entry("disk_gib: -8"), ("-8 GiB is no size for a disk", "use 1 to 16384")),
    Row("disk-of-an-exabyte", "x.yaml:7: clouds.ec2.disk_gib", entry("disk_gib: 1073741824"), ("is no size for a disk", "use 1 to 16384")),
    Row("disk-a-fraction", "x.yaml:7: clouds.ec2.disk_gib", entry("disk_gib: 8.5"), ("must be a whole number, not 8.5", "write digits only, without quotes")),
    Row("disk-in-quotes", "x.yaml:7: clouds.ec2.disk_gib", entry('disk_gib: "8"'), ("must be a whole number, not the text '8'", "write digits only")),
    Row("tags-a-list", "x.yaml:7: clouds.ec2.tags", entry("tags: [a]"), ("must be a mapping, not a list", "write indented")),
    Row("tag-a-number", "x.yaml:7: clouds.ec2.tags.a", entry("tags: {a: 5}"), ("must be text, not the number 5", QUOTES)),
    Row("tag-of-a-build", "x.yaml:7: clouds.ec2.tags", entry('tags: {"ImageSmith:build": x}'), ("the tag ImageSmith:build is set by every build", "choose another name")),
    Row("tag-of-amazon", "x.yaml:7: clouds.ec2.tags", entry('tags: {"aws:x": x}'), ("begins with aws:, which EC2 keeps for itself", "choose another name")),
    Row("tag-without-a-name", "x.yaml:7: clouds.ec2.tags", entry('tags: {"": x}'), ("is empty", "give it a value or remove the key")),
    Row("tag-of-two-lines", "x.yaml:7: clouds.ec2.tags", entry('tags: {team: "a\\nb"}'), (LINE, "write it on one line")),
    Row("tags-41", "x.yaml:7: clouds.ec2.tags", entry("tags: {" + ", ".join(f"t{number}: x" for number in range(41)) + "}"), ("41 tags", "EC2 leaves room for 40 beside ours")),
    Row("tag-of-300-letters", "x.yaml:7: clouds.ec2.tags", entry(f"tags: {{team: {'x' * 300}}}"), ("the tag team is too long", "values up to 256 characters")),
    Row("tag-that-poses-as-ours", "x.yaml:7: clouds.hotel.tags", f"{OPENSTACK}    tags: {{Imagesmith-Build: x}}\n", ("the tag Imagesmith-Build is an image's own word", "choose another name")),
    Row("tag-of-two-words", "x.yaml:7: clouds.hotel.tags", f"{OPENSTACK}    tags: {{my team: x}}\n", ("the tag my team is no name for metadata", "use letters, digits and _ . -")),
    Row("tag-that-is-glances", "x.yaml:7: clouds.hotel.tags", f"{OPENSTACK}    tags: {{Visibility: public}}\n", ("the tag Visibility is an image's own word", "choose another name")),
]  # fmt: skip

VERIFICATION = [
    Row("verify-a-number", "x.yaml:7: verify", top("verify: 1"), ("must be true or false, not the number 1", "write true or false")),
    Row("tests-a-text", "x.yaml:7: tests", top("tests: ok.sh"), ("must be a list, not the text 'ok.sh'", "write")),
    Row("tests-a-number", "x.yaml:7: tests.0", top("tests: [5]"), ("must be text, not the number 5", QUOTES)),
    Row("tests-no-such-file", "x.yaml:7: tests.0", top("tests: [no.sh]"), ("no.sh", "include/scripts")),
    Row("tests-above", "x.yaml:7: tests.0", top("tests: [../../etc/passwd]"), ("../../etc/passwd", "include/scripts")),
    Row("tests-without-shebang", "x.yaml:7: tests.0", top('tests: ["dstat\\ntrue\\n"]'), ("the text", SHEBANG)),
    Row("tests-never-run", "x.yaml:7: tests", top("tests: [ok.sh]\nverify: false"), ("never run, as no image is verified", "remove `verify: false`, or the tests")),
    Row("time-limit-of-verify", "x.yaml:7: time_limits.verify", top("time_limits: {verify: soon}"), ("soon", TIME)),
    Row("verify-misspelt", "x.yaml:7: verfy", top("verfy: false"), ("verfy", "verify")),
]  # fmt: skip

ROWS = [*VERIFICATION, *FORM, *KEYS, *BROUGHT, *PARAMETERS, *ENTRIES]
