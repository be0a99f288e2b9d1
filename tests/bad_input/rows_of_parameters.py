# ruff: noqa: E501 (a row is a line where it can be)
"""What may come as parameters and clouds of a build, typed (over REST, from the form) and as words of a command line."""

from __future__ import annotations

from .row import Row

WHOLE = "give a whole number"
CHOICES = "use plain or full"

# Values as JSON has them: where, what comes, what is said.
TYPED = [
    Row("typed-unknown", "there is no parameter extr", {"extr": "x"}, ("tools: ", "did you mean extra?")),
    Row("typed-nothing-like-it", "there is no parameter zzz", {"zzz": "x"}, ("its parameters are: count, debug, extra, flavour, ratio, token",)),
    Row("typed-empty-name", "there is no parameter ", {"": "x"}, ("its parameters are",)),
    Row("typed-name-in-capitals", "there is no parameter COUNT", {"COUNT": 1}, ("did you mean count?",)),
    Row("typed-name-of-ours", "there is no parameter IMAGESMITH_BUILD_ID", {"IMAGESMITH_BUILD_ID": "x"}, ("its parameters are",)),
    Row("typed-missing", "parameter token has no value", {"token": ...}, ("tools: ", "give text")),
    Row("typed-null-for-no-default", "parameter token", {"token": None}, ("None is not text", "give text")),
    Row("typed-integer-as-text", "parameter count", {"count": "3"}, ("'3' is not a whole number", WHOLE)),
    Row("typed-integer-true", "parameter count", {"count": True}, ("True is not a whole number", WHOLE)),
    Row("typed-integer-a-fraction", "parameter count", {"count": 2.5}, ("2.5 is not a whole number", WHOLE)),
    Row("typed-integer-null", "parameter count", {"count": None}, ("None is not a whole number", WHOLE)),
    Row("typed-integer-beyond-64-bits", "parameter count", {"count": 2**63}, ("is beyond 64 bits", WHOLE)),
    Row("typed-integer-as-a-large-float", "parameter count", {"count": 1e300}, ("is beyond 64 bits", WHOLE)),
    Row("typed-integer-a-list", "parameter count", {"count": [3]}, ("[3] is not a whole number", WHOLE)),
    Row("typed-number-not-a-number", "parameter ratio", {"ratio": float("nan")}, ("nan is not a number", "give a number")),
    Row("typed-number-infinite", "parameter ratio", {"ratio": float("-inf")}, ("-inf is not a number", "give a number")),
    Row("typed-number-false", "parameter ratio", {"ratio": False}, ("False is not a number", "give a number")),
    Row("typed-number-as-text", "parameter ratio", {"ratio": "0.5"}, ("'0.5' is not a number", "give a number")),
    Row("typed-boolean-as-text", "parameter debug", {"debug": "true"}, ("'true' is not true or false", "give true or false")),
    Row("typed-boolean-a-number", "parameter debug", {"debug": 1}, ("1 is not true or false", "give true or false")),
    Row("typed-text-a-number", "parameter extra", {"extra": 5}, ("5 is not text", "give text")),
    Row("typed-text-a-mapping", "parameter extra", {"extra": {"a": "b"}}, ("{'a': 'b'} is not text", "give text")),
    Row("typed-text-with-nul", "parameter extra", {"extra": "a\0b"}, ("holds a control character other than tab and line feed", "give text")),
    Row("typed-text-with-a-terminal-escape", "parameter extra", {"extra": "a\x1b[31m"}, (r"'a\x1b[31m'", "give text")),
    Row("typed-text-with-a-carriage-return", "parameter extra", {"extra": "a\rb"}, ("holds a control character", "give text")),
    Row("typed-text-half-a-character", "parameter extra", {"extra": "\ud800"}, ("is not text that UTF-8 can write", "give text")),
    Row("typed-text-of-64-KiB", "parameter extra", {"extra": "é" * 32_768}, ("is 65536 bytes long, more than 32768", "give text")),
    Row("typed-choice-unknown", "parameter flavour", {"flavour": "mad"}, ("'mad' is not one of the choices", CHOICES)),
    Row("typed-choice-in-capitals", "parameter flavour", {"flavour": "Plain"}, ("'Plain' is not one of the choices", CHOICES)),
    Row("typed-choice-empty", "parameter flavour", {"flavour": ""}, ("'' is not one of the choices", CHOICES)),
    Row("typed-password-of-a-cloud-that-asks-none", "there is no parameter password_ec3", {"password_ec3": "hunter2"}, ("its parameters are",)),
]  # fmt: skip

CLOUDS = [
    Row("clouds-chosen-none", "no cloud is chosen", [], ("tools: ", "choose at least one of: east, west")),
    Row("clouds-chosen-misspelt", "cloud wst is not one of this generator", ["wst"], ("tools: ", "did you mean west?")),
    Row("clouds-chosen-a-path", "cloud ../west is not one of this generator", ["../west"], ("tools: ",)),
    Row("clouds-chosen-empty-name", "is not one of this generator", ["east", ""], ("its clouds are: east, west",)),
    Row("clouds-chosen-a-number", "cloud 5 is not one of this generator", [5], ("its clouds are: east, west",)),
    Row("clouds-chosen-a-list-in-the-list", "is not one of this generator", [["east"]], ("did you mean east?",)),
    Row("clouds-chosen-a-text", "is no list", "east", ("east, west",)),
]  # fmt: skip

# NAME=VALUE, as somebody typed it.
WORDS = [
    Row("word-unknown", "there is no parameter cuont", {"cuont": "1"}, ("did you mean count?",)),
    Row("word-integer-in-letters", "parameter count", {"count": "many"}, ("'many' is not a whole number", WHOLE)),
    Row("word-integer-in-hex", "parameter count", {"count": "0x10"}, ("'0x10' is not a whole number", WHOLE)),
    Row("word-integer-empty", "parameter count", {"count": ""}, ("'' is not a whole number", WHOLE)),
    Row("word-integer-of-5000-digits", "parameter count", {"count": "9" * 5_000}, ("is not a whole number", WHOLE)),
    Row("word-integer-of-100-digits", "parameter count", {"count": "9" * 100}, ("is beyond 64 bits", WHOLE)),
    Row("word-number-with-a-comma", "parameter ratio", {"ratio": "0,5"}, ("'0,5' is not a number", "give a number")),
    Row("word-number-infinite", "parameter ratio", {"ratio": "1e999"}, ("inf is not a number", "give a number")),
    Row("word-boolean-yes", "parameter debug", {"debug": "yes"}, ("'yes' is not true or false", "give true or false")),
    Row("word-text-with-a-bell", "parameter extra", {"extra": "\a"}, ("holds a control character", "give text")),
    Row("word-choice-unknown", "parameter flavour", {"flavour": "$(reboot)"}, ("'$(reboot)' is not one of the choices", CHOICES)),
]  # fmt: skip
