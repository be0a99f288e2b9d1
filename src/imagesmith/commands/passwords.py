"""Passwords of clouds that ask for one, and secret parameters: typed in where nobody sees them, or read from a pipe.

They are kept in memory only, and never taken from the command line, which others on the machine can read.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from imagesmith import settings
from imagesmith.core import PASSWORD_PREFIX
from imagesmith.errors import DefinitionError

PIPED = "-"


@dataclass(frozen=True)
class Question:
    """What goes into the conf as `key`; `problem` is what keeps an answer from being one."""

    key: str
    prompt: str
    refusal: str
    problem: Callable[[str], str | None]


def typed_in(
    name: str,
    conf: Mapping[str, Any],
    *,
    secrets: Collection[str] | None = None,
    ask: Callable[[str], str] = getpass.getpass,
    terminal: bool | None = None,
) -> dict[str, str]:
    """What to add to the conf of a build of generator `name`; nothing where nothing is asked that it has not.

    `secrets` are the build's secret parameters where they are not the generator's of today. `terminal` tells whether
    somebody can be asked. Raises DefinitionError where nobody can.
    """
    clouds = _asking(name, conf)
    missing = sorted(set(secrets_of(name) if secrets is None else secrets) - set(conf))
    if (clouds or missing) and not (sys.stdin.isatty() if terminal is None else terminal):
        raise DefinitionError(_nobody_to_ask(name, clouds, missing))
    questions = [_about_password(cloud) for cloud in clouds] + [_about_secret(secret) for secret in missing]
    return {question.key: _answer(question, ask) for question in questions}


def piped_in(name: str, given: Mapping[str, str], stdin: TextIO | None = None) -> dict[str, str]:
    """The secret parameters of generator `name` that are given as `-`: from standard input, of several a line each.

    Raises DefinitionError for one whose value stands on the command line.
    """
    stdin = stdin or sys.stdin
    secrets = [parameter for parameter in given if parameter in secrets_of(name)]
    for parameter in secrets:
        if given[parameter] != PIPED:
            raise DefinitionError(
                f"--param {parameter}: is secret, and others on this machine can read a command line; leave it out to "
                f"be asked for it, or write --param {parameter}={PIPED} and give it on standard input"
            )
    if not secrets or stdin.isatty():
        return {}
    texts = [stdin.read().removesuffix("\n")] if len(secrets) == 1 else stdin.read().splitlines()
    if len(texts) != len(secrets):
        raise DefinitionError(f"standard input has {len(texts)} lines; write one each for {', '.join(secrets)}")
    for parameter, text in zip(secrets, texts, strict=True):
        if problem := _secret_problem(text):
            raise DefinitionError(f"parameter {parameter}: standard input {problem}, so no build is started")
    return dict(zip(secrets, texts, strict=True))


def _about_password(cloud: str) -> Question:
    return Question(
        PASSWORD_PREFIX + cloud,
        f"Password for {cloud}: ",
        f"{cloud}: no password was given, so no build is started",
        lambda answer: None if answer else "is missing",
    )


def _about_secret(parameter: str) -> Question:
    return Question(
        parameter,
        f"Value for {parameter} (secret): ",
        f"parameter {parameter}: no value was given that can be one, so no build is started",
        _secret_problem,
    )


def _answer(question: Question, ask: Callable[[str], str]) -> str:
    problem: str | None = ""
    for _ in range(3):
        answer = ask(question.prompt)
        problem = question.problem(answer)
        if problem is None:
            return answer
    raise DefinitionError(f"{question.refusal}: it {problem}")


def _nobody_to_ask(name: str, clouds: list[str], secrets: list[str]) -> str:
    asking = [f"{', '.join(clouds)} asks for its password at every build"] if clouds else []
    asking += [f"{name} asks for {', '.join(secrets)} at every build"] if secrets else []
    cures = ["run this in one", "start the build in Airflow's form or over its REST API"]
    cures += ["leave the cloud out with --cloud"] if clouds else []
    cures += [f"give it on standard input with --param {secrets[0]}={PIPED}"] if secrets else []
    return f"{', and '.join(asking)}, and there is no terminal to ask at; {', or '.join(cures)}"


def _secret_problem(value: str) -> str | None:
    from imagesmith.parameters import secret_problem

    return secret_problem(value)


def secrets_of(name: str) -> frozenset[str]:
    """The secret parameters by this machine's files; none where they do not tell, which is said elsewhere."""
    path = settings.include_dir() / "generators" / f"{name}.yaml"
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return frozenset()  # Airflow has files of its own, and says what is missing
    if b"secret" not in content and b"\\" not in content:
        return frozenset()  # reading generators takes longer than asking Airflow

    from imagesmith.secret_parameters import secret_names

    return secret_names(settings.include_dir(), only=name) or frozenset()


def _asking(name: str, conf: Mapping[str, Any]) -> list[str]:
    from imagesmith.cloud_settings import FILE_NAME

    path = settings.include_dir() / FILE_NAME
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return []  # Airflow has files of its own, and says what is missing
    if b"ask" not in content:
        return []  # reading generators takes longer than asking Airflow

    from imagesmith.commands.choice import local_generator
    from imagesmith.plan import CLOUDS_PARAM

    found = local_generator(name)
    if found is None:
        return []
    generator, clouds = found
    chosen = conf.get(CLOUDS_PARAM) or list(generator.clouds)
    return [cloud for cloud in generator.clouds if cloud in chosen and clouds[cloud].asks_password]
