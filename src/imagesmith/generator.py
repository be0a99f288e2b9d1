"""Generators as loaded from `include/generators`: whole, checked, and with a version made from their content.

A file with a mistake gives findings and no generator; it never hides the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from imagesmith import settings as deployment
from imagesmith.allowances import Allowance, Consistency
from imagesmith.chains import Chains, parent_in
from imagesmith.cloud_settings import FILE_NAME, CloudSettings, read_clouds
from imagesmith.content import Script, UploadFile, read_files, read_scripts, read_tests
from imagesmith.definition import CloudEntry, GeneratorFile, TimeLimits
from imagesmith.documents import read_section
from imagesmith.findings import Finding, did_you_mean, in_order
from imagesmith.image_names import DEFAULT, sample, template_problem
from imagesmith.names import NAME_CURE, NAME_SHAPE
from imagesmith.parameters import Parameter, name_problem, own_problems
from imagesmith.yaml_source import Document, KeyPath, read_bytes, read_document

FOLDER = "generators"

# DAGs of our own would collide with generators of these names.
_RESERVED_NAMES = ("imagesmith", "maintenance", "janitor")


class Generator(BaseModel):
    """A generator without mistakes, and everything it consists of."""

    model_config = ConfigDict(frozen=True, ignored_types=(cached_property,))

    name: str
    description: str
    scripts: tuple[Script, ...]
    tests: tuple[Script, ...] = ()
    verify: bool = True
    files: tuple[UploadFile, ...]
    parameters: dict[str, Parameter]
    schedule: str | None
    rebuild_when: Literal["parent"] | None = None
    skip_if_unchanged: bool = False
    time_limit_s: int
    time_limits: TimeLimits
    consistency: Consistency = "report"
    allow_differences: tuple[Allowance, ...] = ()
    clouds: dict[str, CloudEntry]

    @cached_property
    def version(self) -> str:
        """12 hex digits of all that shapes the images: the same content is the same version everywhere.

        Name, scripts, files, parameters and the clouds' entries count. What starts a build or leaves it out
        (schedule, `rebuild_when`, `skip_if_unchanged`), descriptions, time limits, tests, what may differ, names of
        files in `include` and the way the YAML is written change no image and are left out.
        """
        canonical = json.dumps(self._content(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def parents(self) -> dict[str, str]:
        """The generators whose images this one starts from, by cloud."""
        sources = {cloud: entry.source_image.generator for cloud, entry in self.clouds.items()}
        return {cloud: parent for cloud, parent in sources.items() if parent}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of its secret parameters."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.secret)

    def verifies(self, cloud: str) -> bool:
        """Whether the image saved on that cloud is booted before it counts: the cloud's own word, else the file's."""
        own = self.clouds[cloud].verify
        return self.verify if own is None else own

    @cached_property
    def script_sha256(self) -> str:
        """Of the one script's text; of several, of their own hashes, a line each."""
        if len(self.scripts) == 1:
            return self.scripts[0].sha256
        lines = "".join(f"{script.sha256}\n" for script in self.scripts)
        return hashlib.sha256(lines.encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        # Without defaults, so that a key which a later release adds does not make every generator look new.
        return {
            "name": self.name,
            "scripts": [script.sha256 for script in self.scripts],
            "files": {file.path: file.sha256 for file in self.files},
            "parameters": {
                name: parameter.model_dump(exclude={"description"}, exclude_defaults=True)
                for name, parameter in self.parameters.items()
            },
            "clouds": {
                name: entry.model_dump(exclude={"time_limits", "verify"}, exclude_defaults=True)
                for name, entry in self.clouds.items()
            },
        }


@dataclass(frozen=True)
class Loaded:
    """All generators that can be built, the clouds, and every mistake found on the way."""

    generators: dict[str, Generator]
    clouds: dict[str, CloudSettings]
    findings: list[Finding]


def load_all(include_dir: Path, *, only: str | None = None) -> Loaded:
    """Every generator of the folder, or only the one of that name; a bad file never hides the others."""
    read = read_clouds(include_dir)
    generators: dict[str, Generator] = {}
    findings = list(read.findings)
    paths, stray = generator_files(include_dir)
    findings += stray
    chains = Chains(include_dir / FOLDER)
    for path in paths:
        if only not in (None, path.stem):
            continue
        generator, found = load_generator(
            path, read.clouds, include_dir=include_dir, broken_clouds=read.broken, chains=chains
        )
        findings += found
        if generator is not None:
            generators[generator.name] = generator
    return Loaded(generators, read.clouds, in_order(findings))


def generator_files(include_dir: Path) -> tuple[list[Path], list[Finding]]:
    """The files that describe generators, by name, and a finding for each that only looks like one."""
    folder = include_dir / FOLDER
    shown = f"{include_dir.name}/{FOLDER}"
    if not folder.is_dir():
        return [], [Finding(shown, 0, "", "there is no such folder", "create it; generators lie in it")]
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    stray = [
        Finding(f"{shown}/{path.name}", 0, "", "files of generators end in .yaml", f"name it {path.stem}.yaml")
        for path in visible
        if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml"
    ]
    return [path for path in visible if path.suffix == ".yaml"], stray


def load_generator(
    path: Path,
    clouds: Mapping[str, CloudSettings],
    *,
    include_dir: Path,
    broken_clouds: Collection[str] = (),
    chains: Chains | None = None,
) -> tuple[Generator | None, list[Finding]]:
    """The generator of the file, or None and every mistake in it.

    `broken_clouds` are names that clouds.yaml has but that cannot be used; the finding then says so. `chains` knows the
    generators beside this one, by default those of its own folder.
    """
    document = read_document(path, shown_as=_shown(path, include_dir))
    beside = chains or Chains(path.parent)
    return _judged(document, path.stem, clouds, include_dir=include_dir, broken_clouds=broken_clouds, chains=beside)


def judge_text(
    raw: bytes,
    name: str,
    clouds: Mapping[str, CloudSettings],
    *,
    include_dir: Path,
    broken_clouds: Collection[str] = (),
) -> tuple[Generator | None, list[Finding]]:
    """The generator that a file of that name with this content would be, or None and every mistake in it."""
    document = read_bytes(raw, shown_as=f"{include_dir.name}/{FOLDER}/{name}.yaml")
    beside = Chains(include_dir / FOLDER)
    return _judged(document, name, clouds, include_dir=include_dir, broken_clouds=broken_clouds, chains=beside)


def _judged(
    document: Document,
    name: str,
    clouds: Mapping[str, CloudSettings],
    *,
    include_dir: Path,
    broken_clouds: Collection[str],
    chains: Chains,
) -> tuple[Generator | None, list[Finding]]:
    if not document.readable:
        return None, document.findings
    parsed = read_section(GeneratorFile, document.value, document=document, at=())
    _check_name(name, document)
    _check_parameters(document)
    _check_clouds(document, clouds, broken=broken_clouds, generator=name)
    _check_chain(document, chains, generator=name)
    _check_tests(document)
    scripts = read_scripts(document, include_dir / "scripts")
    tests = read_tests(document, include_dir / "scripts")
    files = read_files(document, include_dir / "files")
    if parsed is None or document.findings:
        return None, in_order(document.findings)
    return _generator(name, parsed, scripts=scripts, tests=tests, files=files), []


def validate(paths: Sequence[Path] | None = None, *, include_dir: Path | None = None) -> list[Finding]:
    """Every mistake in the given files, or in all there are.

    A generator's file outside a folder `generators` is checked against the deployment's clouds and scripts.
    """
    default = include_dir or deployment.include_dir()
    if not paths:
        return load_all(default).findings
    findings: list[Finding] = []
    for path in paths:
        absolute = path.absolute()
        if path.name == FILE_NAME:
            findings += read_clouds(absolute.parent).findings
            continue
        home = absolute.parent.parent if absolute.parent.name == FOLDER else default
        read = read_clouds(home)
        findings += load_generator(absolute, read.clouds, include_dir=home, broken_clouds=read.broken)[1]
    return in_order(findings)


def _shown(path: Path, include_dir: Path) -> str:
    if path.is_relative_to(include_dir):
        return f"{include_dir.name}/{path.relative_to(include_dir)}"
    return str(path)


def _generator(
    name: str,
    parsed: GeneratorFile,
    *,
    scripts: Sequence[Script],
    tests: Sequence[Script],
    files: Sequence[UploadFile],
) -> Generator:
    return Generator(
        name=name,
        description=parsed.description.strip(),
        scripts=tuple(scripts),
        tests=tuple(tests),
        verify=parsed.verify,
        files=tuple(files),
        parameters=parsed.parameters,
        schedule=parsed.schedule,
        rebuild_when=parsed.rebuild_when,
        skip_if_unchanged=parsed.skip_if_unchanged,
        time_limit_s=parsed.time_limit,
        time_limits=parsed.time_limits,
        consistency=parsed.consistency,
        allow_differences=tuple(parsed.allow_differences),
        clouds=parsed.clouds,
    )


def _check_name(stem: str, document: Document) -> None:
    name = document.value.get("name")
    if isinstance(name, str) and name != stem:
        cure = f"write name: {stem}, or rename the file to {name}.yaml"
        document.report(("name",), f"{name!r} is not the file's name", cure)
    if not NAME_SHAPE.fullmatch(stem):
        document.report(("name",), f"{stem!r} is not a name for a generator", f"rename the file: {NAME_CURE}")
    elif stem in _RESERVED_NAMES or stem.startswith("imagesmith-"):
        document.report(("name",), f"{stem!r} is kept for Imagesmith's own DAGs", "rename the file")


def _mapping(value: object) -> dict[str, Any]:
    """The value if it is a mapping; what else it is has its finding already."""
    return value if isinstance(value, dict) else {}


def _check_parameters(document: Document) -> None:
    for name, value in _mapping(document.value.get("parameters")).items():
        secret = _mapping(value).get("secret") is True
        problem = name_problem(name, secret=secret)
        if problem:
            document.report(("parameters", name), *problem)
        for key, message, cure in own_problems(_mapping(value)):
            document.report(("parameters", name, key), message, cure)
        if isinstance(value, dict):
            _check_unattended(document, name, value, secret=secret)


def _check_unattended(document: Document, name: str, value: Mapping[str, Any], *, secret: bool) -> None:
    """What a parameter must have where builds begin, or are left out, with nobody there to be asked."""
    starts = [key for key in ("schedule", "rebuild_when") if document.value.get(key)]
    if starts and (secret or value.get("default") is None):
        what, cure = ("is secret", "") if secret else ("has no default", "add `default:` or ")
        message = f"{what}, and builds by {starts[0]} have nobody to ask"
        document.report(("parameters", name), message, f"{cure}remove the {starts[0]}")
    if secret and document.value.get("skip_if_unchanged") is True:
        message = f"cannot tell whether the secret parameter {name} is unchanged: its value is kept nowhere"
        document.report(("skip_if_unchanged",), message, "remove it, or the secret parameter")


def _check_tests(document: Document) -> None:
    """Tests run on the image that is booted to verify it, and nowhere else."""
    entries = _mapping(document.value.get("clouds")).values()
    verified = any(_mapping(entry).get("verify", document.value.get("verify", True)) is not False for entry in entries)
    if document.value.get("tests") and entries and not verified:
        document.report(("tests",), "never run, as no image is verified", "remove `verify: false`, or the tests")


def _check_clouds(
    document: Document, clouds: Mapping[str, CloudSettings], *, broken: Collection[str], generator: str
) -> None:
    entries = document.value.get("clouds")
    if entries == {}:
        document.report(("clouds",), "names no cloud", f"name at least one of: {', '.join(sorted(clouds))}")
    for name, entry in _mapping(entries).items():
        if name in clouds:
            _check_entry(document, _mapping(entry), name=name, settings=clouds[name], generator=generator)
        elif name in broken:
            document.report(("clouds", name), f"cannot be used: it has mistakes in {FILE_NAME}", "mend those first")
        else:
            cure = did_you_mean(name, list(clouds), things=f"the clouds in {FILE_NAME} are")
            document.report(("clouds", name), f"is no cloud in {FILE_NAME}", cure)


def _check_entry(
    document: Document, entry: Mapping[str, Any], *, name: str, settings: CloudSettings, generator: str
) -> None:
    at: KeyPath = ("clouds", name)
    if settings.needs_instance_type and entry and entry.get("instance_type") is None:
        document.report((*at, "instance_type"), "is missing", "add `instance_type:`, e.g. t3.small")
    instance_type = entry.get("instance_type")
    if isinstance(instance_type, str) and instance_type:
        _report(document, (*at, "instance_type"), settings.instance_type_problem(instance_type))
    template = entry.get("image_name") or DEFAULT
    if isinstance(template, str) and template_problem(template) is None:
        _report(document, (*at, "image_name"), settings.image_name_problem(sample(template, generator)))
    source = entry.get("source_image")
    words = {"id": source} if isinstance(source, str) else _texts(source)
    if parent_in(entry):
        words = {}  # an image of ours, found by the catalog
    problem = settings.source_image_problem(
        image_id=words.get("id", ""),
        name=words.get("name", ""),
        owner=words.get("owner", ""),
        properties=_texts(_mapping(source).get("properties")),
    )
    _report(document, (*at, "source_image"), problem)
    _report(document, (*at, "tags"), settings.tags_problem(_texts(entry.get("tags"))))


def _check_chain(document: Document, chains: Chains, *, generator: str) -> None:
    parents = {cloud: parent_in(entry) for cloud, entry in _mapping(document.value.get("clouds")).items()}
    for cloud, parent in parents.items():
        if parent and NAME_SHAPE.fullmatch(parent):
            at: KeyPath = ("clouds", cloud, "source_image")
            _report(document, at, chains.problem(generator, cloud=cloud, parent=parent))
    if document.value.get("rebuild_when") != "parent":
        return
    if not any(parents.values()):
        cure = "write `source_image: {generator: NAME}` there, or remove it"
        document.report(("rebuild_when",), "has no parent: no cloud's image starts from another generator's", cure)
    if document.value.get("schedule") == "@once":
        document.report(("schedule",), "'@once' does not go with rebuild_when", "remove one of the two")


def _texts(value: object) -> dict[str, str]:
    return {key: text for key, text in _mapping(value).items() if isinstance(text, str)}


def _report(document: Document, at: KeyPath, problem: tuple[str, str] | None) -> None:
    if problem:
        document.report(at, *problem)
