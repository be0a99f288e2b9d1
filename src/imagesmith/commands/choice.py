"""NAME, `--cloud` and `--param`: which generator, where and with what, as `build` and `plan` take them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imagesmith import settings
from imagesmith.commands import words
from imagesmith.errors import DefinitionError

if TYPE_CHECKING:
    from imagesmith.cloud_settings import CloudSettings
    from imagesmith.generator import Generator
    from imagesmith.plan import Plan


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Adds the three to a command."""
    parser.add_argument(
        "name", type=words.name, metavar="NAME", help="the generator: a file's name in include/generators"
    )
    parser.add_argument(
        "--cloud",
        type=words.name,
        action="append",
        default=[],
        metavar="CLOUD",
        help="build only there; may be given several times; all of the generator's clouds by default",
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the generator; may be given several times; a secret one is asked for, or with NAME=- "
        "read from standard input",
    )


def conf_of(args: argparse.Namespace) -> dict[str, Any]:
    """The run's conf: typed values where the generator's file is here, else the text for Airflow to judge.

    Secret parameters come from standard input where they are given as `-`. Raises DefinitionError for what does not
    fit, before anything is started.
    """
    given = given_parameters(args.param)
    if not given and not args.cloud:
        return {}  # nothing to judge, and reading generators takes longer than asking Airflow

    from imagesmith.commands.passwords import piped_in, secrets_of
    from imagesmith.plan import CLOUDS_PARAM

    secrets = piped_in(args.name, given)
    given = {name: value for name, value in given.items() if name not in secrets_of(args.name)}
    plan = local_plan(args.name, given, clouds=args.cloud)
    values: dict[str, Any] = {**given}
    if plan is not None:
        values = {name: plan.parameters[name] for name in given}
    values |= secrets
    return {**values, CLOUDS_PARAM: list(args.cloud)} if args.cloud else values


def given_parameters(pairs: Sequence[str]) -> dict[str, str]:
    """The values of `NAME=VALUE`, each name once."""
    given: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not name or not sign:
            lacks = "value" if name else "name"
            raise DefinitionError(f"--param {pair[:80]}: has no {lacks}; write --param NAME=VALUE")
        if not name.isidentifier():
            raise DefinitionError(f"--param {name[:80]!r}: is no name of a parameter; write --param NAME=VALUE")
        if name in given:
            raise DefinitionError(f"--param {name[:80]} is given twice; keep one of them")
        given[name] = value
    return given


def local_plan(name: str, given: Mapping[str, str], *, clouds: Sequence[str]) -> Plan | None:
    """What a build from this machine's files would be, or None where the generator has no file here."""
    from imagesmith.plan import freeze, new_build_id, parameters_from_text

    found = local_generator(name)
    if found is None:
        return None
    generator, known_clouds = found
    created = datetime.now(UTC).replace(microsecond=0)
    return freeze(
        generator,
        known_clouds,
        build_id=new_build_id(created, name),
        created=created,
        parameters=parameters_from_text(generator, given),
        chosen_clouds=clouds or None,
    )


def local_generator(name: str) -> tuple[Generator, Mapping[str, CloudSettings]] | None:
    """The generator and the clouds from this machine's files, or None where it has no file here.

    Raises DefinitionError with every mistake in it.
    """
    from imagesmith.cloud_settings import read_clouds
    from imagesmith.generator import FOLDER, load_generator

    include = settings.include_dir()
    path = include / FOLDER / f"{name}.yaml"
    if not path.is_file():
        return None
    read = read_clouds(include)
    generator, findings = load_generator(path, read.clouds, include_dir=include, broken_clouds=read.broken)
    if generator is None:
        raise DefinitionError(f"{name} has mistakes; mend them:\n" + "\n".join(map(str, findings)))
    return generator, read.clouds
