# ruff: noqa: E501 (a row is a line where it can be)
"""Words of `imagesmith` that are refused: by argparse (exit code 2) or by the command (1)."""

from __future__ import annotations

import os

from .row import Row

NAME = "use a-z, 0-9 and hyphens, at most 63, starting with a letter or digit"
ID = "copy one from `imagesmith status`"
NUMBER = ("is no number of builds", "write one from 1 to 1000")
PARAM = "write --param NAME=VALUE"
IMAGE = "copy an id from `imagesmith images`"
PACKAGE = ("is no question for a package", "in quotes, e.g. 'openssl<3.0.15'")
NOT_TEXT = ("is not text in UTF-8", "write it anew")
# Bytes that are no UTF-8, as Python hands them on.
RAW = os.fsdecode(b"\xff\xfe")

# By argparse: exit code 2, its usage, and one line.
USAGE = [
    Row("cli-no-command", "COMMAND", [], ("the following arguments are required", "COMMAND")),
    Row("cli-unknown-command", "'biuld'", ["biuld", "dstat"], ("invalid choice", "build")),
    Row("cli-empty-command", "''", [""], ("invalid choice", "build")),
    Row("cli-command-a-path", "'../build'", ["../build"], ("invalid choice", "validate")),
    Row("cli-unknown-option", "--fast", ["build", "dstat", "--fast"], ("unrecognized arguments",)),
    Row("cli-option-without-value", "--cloud", ["build", "dstat", "--cloud"], ("expected one argument",)),
    Row("cli-option-given-a-value", "--wait", ["build", "dstat", "--wait=yes"], ("ignored explicit argument 'yes'",)),
    Row("cli-build-no-name", "NAME", ["build"], ("the following arguments are required",)),
    Row("cli-build-two-names", "web", ["build", "dstat", "web"], ("unrecognized arguments",)),
    Row("cli-build-empty-name", "argument NAME", ["build", ""], ("'' is no name", NAME)),
    Row("cli-build-a-path", "argument NAME", ["build", "../../etc/passwd"], ("'../../etc/passwd' is no name", NAME)),
    Row("cli-build-absolute-path", "argument NAME", ["build", "/etc/passwd"], ("'/etc/passwd' is no name", NAME)),
    Row("cli-build-a-file", "argument NAME", ["build", "dstat.yaml"], ("'dstat.yaml' is no name", NAME)),
    Row("cli-build-a-dag-of-ours", "argument NAME", ["build", "imagesmith_janitor"], ("'imagesmith_janitor' is no name", NAME)),
    Row("cli-build-a-command", "argument NAME", ["build", "$(reboot)"], ("'$(reboot)' is no name", NAME)),
    Row("cli-build-two-lines", "argument NAME", ["build", "a\nb"], (r"'a\nb' is no name", NAME)),
    Row("cli-build-terminal-escape", "argument NAME", ["build", "\x1b[2J"], (r"'\x1b[2J' is no name", NAME)),
    Row("cli-build-huge-name", "argument NAME", ["build", "a" * 100_000], ("is no name", NAME)),
    Row("cli-build-not-ascii", "argument NAME", ["build", "größe"], ("'größe' is no name", NAME)),
    Row("cli-build-cloud-a-path", "argument --cloud", ["build", "dstat", "--cloud", "../x"], ("'../x' is no name", NAME)),
    Row("cli-build-cloud-empty", "argument --cloud", ["build", "dstat", "--cloud", ""], ("'' is no name", NAME)),
    Row("cli-plan-a-path", "argument NAME", ["plan", "..%2fx"], ("'..%2fx' is no name", NAME)),
    Row("cli-plan-no-name", "NAME", ["plan", "--offline"], ("the following arguments are required",)),
    Row("cli-cancel-nothing", "BUILD", ["cancel"], ("the following arguments are required",)),
    Row("cli-cancel-empty", "argument BUILD", ["cancel", ""], ("'' is no id", ID)),
    Row("cli-cancel-blank", "argument BUILD", ["cancel", "  "], ("'  ' is no id", ID)),
    Row("cli-cancel-two-lines", "argument BUILD", ["cancel", "r1\nr2"], (r"'r1\nr2' is no id", ID)),
    Row("cli-status-empty", "argument BUILD", ["status", ""], ("'' is no id", ID)),
    Row("cli-status-terminal-escape", "argument BUILD", ["status", "\x9b31m"], ("is no id", ID)),
    Row("cli-status-huge", "argument BUILD", ["status", "x" * 100_000], ("is no id", ID)),
    Row("cli-status-limit-0", "argument --limit", ["status", "--limit", "0"], ("'0' is no number of builds", NUMBER[1])),
    Row("cli-status-limit-negative", "argument --limit", ["status", "--limit", "-1"], ("'-1' is no number of builds", NUMBER[1])),
    Row("cli-status-limit-in-words", "argument --limit", ["status", "--limit", "all"], ("'all' is no number of builds", NUMBER[1])),
    Row("cli-status-limit-a-fraction", "argument --limit", ["status", "--limit", "1.5"], NUMBER),
    Row("cli-status-limit-beyond-64-bits", "argument --limit", ["status", "--limit", "9" * 30], NUMBER),
    Row("cli-status-limit-raised-digit", "argument --limit", ["status", "--limit", "\u00b2"], NUMBER),
    Row("cli-images-generator-a-path", "argument --generator", ["images", "--generator", "../x"], ("'../x' is no name", NAME)),
    Row("cli-images-cloud-empty", "argument --cloud", ["images", "--cloud", ""], ("'' is no name", NAME)),
    Row("cli-images-a-word", "dstat", ["images", "dstat"], ("unrecognized arguments",)),
    Row("cli-show-nothing", "IMAGE", ["show"], ("the following arguments are required",)),
    Row("cli-show-empty", "argument IMAGE", ["show", ""], ("'' is no image", IMAGE)),
    Row("cli-show-terminal-escape", "argument IMAGE", ["show", "\x1b[2J"], (r"'\x1b[2J' is no image", IMAGE)),
    Row("cli-show-huge", "argument IMAGE", ["show", "x" * 100_000], ("is no image", IMAGE)),
    Row("cli-diff-one-image", "IMAGE", ["diff", "ami-1"], ("the following arguments are required",)),
    Row("cli-diff-second-of-two-lines", "argument IMAGE", ["diff", "ami-1", "a\nb"], (r"'a\nb' is no image", IMAGE)),
    Row("cli-lineage-two-shapes", "argument --json", ["lineage", "ami-1", "--dot", "--json"], ("not allowed with argument --dot",)),
    Row("cli-rebuild-empty", "argument BUILD", ["rebuild", ""], ("'' is no id", ID)),
    Row("cli-rebuild-a-parameter", "--param", ["rebuild", "b1", "--param", "a=1"], ("unrecognized arguments",)),
    Row("cli-search-nothing", "PACKAGE[<VERSION]", ["search"], ("the following arguments are required",)),
    Row("cli-catalog-nothing", "rebuild", ["catalog"], ("the following arguments are required",)),
    Row("cli-catalog-destroy", "'destroy'", ["catalog", "destroy"], ("invalid choice", "rebuild")),
    Row("cli-secret-a-word", "32", ["secret", "32"], ("unrecognized arguments",)),
    Row("cli-airflow-nothing", "up|down|status", ["airflow"], ("the following arguments are required",)),
    Row("cli-airflow-restart", "'restart'", ["airflow", "restart"], ("invalid choice", "up")),
    Row("cli-sandbox-nothing", "verb", ["sandbox"], ("the following arguments are required",)),
    Row("cli-sandbox-destroy", "'destroy'", ["sandbox", "destroy"], ("invalid choice", "reset")),
    Row("cli-sandbox-reset-a-word", "everything", ["sandbox", "reset", "everything"], ("unrecognized arguments",)),
    Row("cli-demo-a-word", "ec2", ["demo", "ec2"], ("unrecognized arguments",)),
    Row("cli-sbom-of-a-format", "--format", ["sbom", "ami-1", "--format", "swid"], ("invalid choice", "cyclonedx")),
    Row("cli-sbom-no-image", "argument IMAGE", ["sbom", " "], ("is no image", "copy an id from `imagesmith images`")),
    Row("cli-build-not-utf-8", r"the argument '\udcff\udcfe'", ["build", RAW], NOT_TEXT),
    Row("cli-param-not-utf-8", r"the argument 'extra=\udcff\udcfe'", ["build", "dstat", "--param", f"extra={RAW}"], NOT_TEXT),
    Row("cli-validate-not-utf-8", r"the argument '\udcff\udcfe'", ["validate", RAW], NOT_TEXT),
    Row("cli-status-not-utf-8", r"the argument '\udcff\udcfe'", ["status", RAW], NOT_TEXT),
    Row("cli-status-nul", r"the argument 'a\x00b'", ["status", "a\0b"], NOT_TEXT),
]  # fmt: skip

# By the command itself: exit code 1 and what it says, on standard error.
COMMANDS = [
    Row("cli-build-unknown", "dsta", ["build", "dsta"], ("Airflow has no such generator", "did you mean dstat?")),
    Row("cli-build-a-broken-file", "broken has mistakes", ["build", "broken", "--cloud", "here"], ("include/generators/broken.yaml:1: script: is missing", "add `script:`")),
    Row("cli-plan-a-broken-file", "broken has mistakes", ["plan", "broken", "--offline"], ("include/generators/broken.yaml:1: script: is missing", "add `script:`")),
    Row("cli-plan-unknown", "nope: there is no file", ["plan", "nope"], ("generators/nope.yaml", "`imagesmith validate` reads all there are")),
    Row("cli-cloud-unknown", "cloud her is not one of this generator", ["build", "dstat", "--cloud", "her"], ("dstat: ", "did you mean here?")),
    Row("cli-cloud-of-another-generator", "cloud elsewhere is not one of this generator", ["plan", "dstat", "--cloud", "elsewhere"], ("dstat: ", "did you mean")),
    Row("cli-param-without-value", "--param count", ["build", "dstat", "--param", "count"], ("has no value", PARAM)),
    Row("cli-param-without-name", "--param =3", ["build", "dstat", "--param", "=3"], ("has no name", PARAM)),
    Row("cli-param-empty", "--param ", ["build", "dstat", "--param", ""], ("has no name", PARAM)),
    Row("cli-param-twice", "--param count", ["build", "dstat", "--param", "count=1", "--param", "count=2"], ("is given twice", "keep one of them")),
    Row("cli-param-unknown", "there is no parameter counts", ["build", "dstat", "--param", "counts=1"], ("dstat: ", "did you mean count?")),
    Row("cli-param-the-clouds", "there is no parameter clouds", ["build", "dstat", "--param", "clouds=here"], ("its parameters are: count, extra",)),
    Row("cli-param-a-password", "there is no parameter password_here", ["build", "dstat", "--param", "password_here=hunter2"], ("its parameters are: count, extra",)),
    Row("cli-param-of-another-type", "parameter count", ["build", "dstat", "--param", "count=x"], ("'x' is not a whole number", "give a whole number")),
    Row("cli-param-terminal-escape", "parameter extra", ["build", "dstat", "--param", "extra=\x1b[2J"], (r"'\x1b[2J' holds a control character", "give text")),
    Row("cli-param-of-40-kB", "parameter extra", ["build", "dstat", "--param", f"extra={'x' * 40_000}"], ("is 40000 bytes long, more than 32768", "give text")),
    Row("cli-param-name-of-two-lines", r"--param 'a\nb'", ["build", "dstat", "--param", "a\nb=1"], ("is no name of a parameter", PARAM)),
    Row("cli-param-a-secret", "--param token", ["build", "keyed", "--param", "token=hunter2"], ("others on this machine can read a command line", "leave it out to be asked for it, or write --param token=-")),
    Row("cli-param-a-secret-in-a-question", "parameter token", ["plan", "keyed", "--param", "token=hunter2"], ("is secret, so its value is not taken here", "leave it out")),
    Row("cli-secret-and-nobody-to-ask", "keyed asks for token at every build", ["build", "keyed"], ("no terminal to ask at", "give it on standard input with --param token=-")),
    Row("cli-param-in-a-question", "parameter count", ["plan", "dstat", "--param", "count=1.5"], ("'1.5' is not a whole number", "give a whole number")),
    Row("cli-cancel-unknown", "nope: ", ["cancel", "nope"], ("neither a build nor a run of that id", "see `imagesmith status`")),
    Row("cli-cancel-a-path", "../../x: ", ["cancel", "../../x"], ("neither a build nor a run of that id", "see `imagesmith status`")),
    Row("cli-cancel-any-run", "%: ", ["cancel", "%"], ("neither a build nor a run of that id", "see `imagesmith status`")),
    Row("cli-status-unknown", "nope: ", ["status", "nope"], ("neither a build nor a generator that was built", "see `imagesmith status`")),
    Row("cli-status-sql", "' OR 1=1 --", ["status", "' OR 1=1 --"], ("neither a build nor a generator that was built", "see `imagesmith status`")),
    Row("cli-provenance-unknown", "nope: ", ["provenance", "nope"], ("neither a build nor a generator that was built", "see `imagesmith status`")),
    Row("cli-verify-nothing-there", "/nowhere/x.json: cannot be read", ["verify", "/nowhere/x.json"], ("No such file", "name the file that `imagesmith provenance` wrote")),
    Row("cli-verify-a-folder", ".: cannot be read", ["verify", "."], ("Is a directory", "name the file that `imagesmith provenance` wrote")),
    Row("cli-verify-without-a-key", "IMAGESMITH_SECRET is not set", ["verify", "include/generators/dstat.yaml"], ("no key of this deployment", "give `imagesmith verify` its public key with --key")),
    Row("cli-verify-no-key", "include/generators/dstat.yaml: is no public key in PEM", ["verify", "include/clouds.yaml", "--key", "include/generators/dstat.yaml"], ("give the file that `imagesmith key -o FILE` wrote",)),
    Row("cli-key-without-a-secret", "IMAGESMITH_SECRET is not set", ["key"], ("no key of this deployment", "set the deployment's secret")),
    Row("cli-sbom-unknown", "nope: ", ["sbom", "nope"], ("see `imagesmith images --all`",)),
    Row("cli-show-unknown", "ami-9: ", ["show", "ami-9"], ("no image of that id or name was saved", "see `imagesmith images --all`")),
    Row("cli-show-sql", "' OR 1=1 --: ", ["show", "' OR 1=1 --"], ("no image of that id or name was saved", "see `imagesmith images --all`")),
    Row("cli-show-any-image", "%: ", ["show", "%"], ("no image of that id or name was saved", "see `imagesmith images --all`")),
    Row("cli-diff-unknown", "here/ami-9: ", ["diff", "here/ami-9", "ami-8"], ("no image of that id or name was saved", "see `imagesmith images --all`")),
    Row("cli-lineage-unknown", "../x: ", ["lineage", "../x"], ("no image of that id or name was saved", "see `imagesmith images --all`")),
    Row("cli-rebuild-unknown", "nope: ", ["rebuild", "nope"], ("neither a build nor a generator that was built", "see `imagesmith status`")),
    Row("cli-search-empty", "''", ["search", ""], PACKAGE),
    Row("cli-search-no-version", "'openssl<'", ["search", "openssl<"], PACKAGE),
    Row("cli-search-two-signs", "'openssl==3'", ["search", "openssl==3"], PACKAGE),
    Row("cli-search-terminal-escape", r"'\x1b[2J'", ["search", "\x1b[2J"], PACKAGE),
    Row("cli-search-huge", "'xxx", ["search", "x" * 100_000], PACKAGE),
    Row("cli-search-unknown-manager", "'brew:wget'", ["search", "brew:wget"], ("brew is no package manager", "use one of dpkg, rpm, apk, pacman, pip, npm, gem")),
    Row("cli-catalog-rebuild-old-airflow", "imagesmith_catalog_rebuild: ", ["catalog", "rebuild"], ("Airflow has no such generator", "it has")),
    Row("cli-demo-unknown-cloud", "cloud mars is not one of this generator", ["demo", "--clouds", "mars"], ("dstat: ", "its clouds are: here, there")),
    Row("cli-demo-second-cloud-unknown", "cloud ther is not one of this generator", ["demo", "--clouds", "here, ther"], ("dstat: ", "did you mean there?")),
    Row("cli-demo-no-cloud", "--clouds ,", ["demo", "--clouds", ","], ("names no cloud", "write CLOUD,CLOUD or leave it out")),
]  # fmt: skip

# Exit code 1, and findings on standard output.
FILES = [
    Row("cli-validate-nothing-there", "/nowhere/x.yaml: ", ["validate", "/nowhere/x.yaml"], ("there is no such file", "check the name")),
    Row("cli-validate-a-folder", "include/.: ", ["validate", "include"], ("it is not a regular file", "name a file")),
    Row("cli-validate-a-device", "/dev/zero: ", ["validate", "/dev/zero"], ("it is not a regular file", "name a file")),
    Row("cli-validate-empty-name", "it is not a regular file", ["validate", ""], ("name a file",)),
    Row("cli-validate-name-of-300", "aaaa: ", ["validate", "a" * 300], ("the file cannot be read: File name too long", "check its owner and mode")),
    Row("cli-validate-terminal-escape", r"\x1b[2J: ", ["validate", "\x1b[2J"], ("there is no such file", "check the name")),
    Row("cli-validate-as-json", '"file": "include/generators/broken.yaml"', ["validate", "--json", "include/generators/broken.yaml"], ('"message": "is missing"', '"cure": "add `script:`')),
]  # fmt: skip

# Not refused: nothing fits, and that is said with the word that nothing fits to.
NOTHING = [
    Row("cli-search-nothing-fits", "no image with nothing<1 is known", ["search", "nothing<1"], ("`--all` looks at deleted ones",)),
    Row("cli-images-unknown-cloud", "on cloud mars", ["images", "--cloud", "mars"], ("no image", "`imagesmith images --all` shows all there are")),
    Row("cli-images-unknown-generator", "of generator dsta", ["images", "--generator", "dsta"], ("no image", "`imagesmith images --all` shows all there are")),
]  # fmt: skip

# `python -m bench`: exit code 2.
BENCH = [
    Row("bench-runs-0", "argument --runs", ["--runs", "0"], ("'0' is no whole number from 1 on", "write digits only")),
    Row("bench-runs-in-words", "argument --runs", ["--runs", "many"], ("'many' is no whole number from 1 on", "write digits only")),
    Row("bench-minutes-not-a-number", "argument --minutes", ["--minutes", "nan"], ("'nan' is no whole number from 1 on", "write digits only")),
    Row("bench-targets-with-a-hole", "argument --targets", ["--targets", "1,,6"], ("'' is no whole number from 1 on", "write digits only")),
    Row("bench-set-without-value", "argument --set", ["--set", "AIRFLOW__CORE__PARALLELISM"], ("is no NAME=VALUE", "write --set NAME=VALUE")),
    Row("bench-unknown-cloud", "argument --cloud", ["--cloud", "azure"], ("invalid choice: 'azure'", "ec2")),
]  # fmt: skip
