"""Generators' files as they lie in `include/generators`, read again only when something they rest on has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagesmith import settings
from imagesmith.chains import Chains
from imagesmith.cloud_settings import FILE_NAME, CloudsFile, read_clouds
from imagesmith.findings import Finding
from imagesmith.generator import FOLDER, Generator, generator_files, judge_text
from imagesmith.names import NAME_SHAPE
from imagesmith.web.problems import not_found
from imagesmith.yaml_source import MAX_BYTES, read_bytes

Stamp = tuple[tuple[str, int, int, int], ...]
# A page of the list and the next ones; more would only be memory.
MOST_KEPT = 2_000


@dataclass(frozen=True)
class Entry:
    """One generator's file: what it holds, what is wrong with it, and the generator if nothing is."""

    name: str
    raw: bytes = field(repr=False)
    generator: Generator | None
    findings: list[Finding]

    @property
    def etag(self) -> str:
        """Changes with every byte of the file."""
        return etag_of(self.raw)

    @property
    def text(self) -> str:
        """What the file holds; bytes that are no UTF-8 are shown as replaced."""
        return self.raw.decode("utf-8", "replace")

    @property
    def document(self) -> dict[str, Any] | None:
        """The file's keys and values, None where it can't be read as YAML."""
        document = read_bytes(self.raw, shown_as=self.name)
        return document.value if document.readable else None


def etag_of(raw: bytes) -> str:
    """The strong entity tag of a file."""
    return f'"{hashlib.sha256(raw).hexdigest()[:32]}"'


class Shelf:
    """The deployment's generators; safe to share between threads."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[list[Path], Stamp, Entry]] = {}
        self._clouds: tuple[Stamp, CloudsFile] | None = None

    @property
    def include_dir(self) -> Path:
        """Where they lie, with their scripts and clouds.yaml."""
        return settings.include_dir()

    def names(self) -> list[str]:
        """All names of generators' files that are names, in their order."""
        paths, _ = generator_files(self.include_dir)
        return [path.stem for path in paths if NAME_SHAPE.fullmatch(path.stem)]

    def path(self, name: str) -> Path:
        """Where the generator of that name lies or would lie; a Problem for what is no name."""
        if not NAME_SHAPE.fullmatch(name):
            raise not_found(f"generator {name[:80]!r}")
        return self.include_dir / FOLDER / f"{name}.yaml"

    def clouds(self) -> CloudsFile:
        """The clouds a generator may name."""
        # Every generator is judged by them, so a page of fifty would read them fifty times.
        stamp = _stamp([self.include_dir / FILE_NAME])
        kept = self._clouds
        if kept is None or not stamp or kept[0] != stamp:
            kept = self._clouds = (stamp, read_clouds(self.include_dir))
        return kept[1]

    def entry(self, name: str) -> Entry:
        """The generator's file as it is now; a Problem where there is none."""
        path = self.path(name)
        kept = self._kept.get(path)
        if kept and kept[1] == _stamp(kept[0]):
            return kept[2]
        entry = self.judged(name, _raw(path))
        if entry.generator is not None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            paths = self._rests_on(path, entry.generator)
            self._kept[path] = (paths, _stamp(paths), entry)
        return entry

    def now(self, name: str) -> Entry:
        """The same, read whatever was read before: who writes must know."""
        return self.judged(name, _raw(self.path(name)))

    def judged(self, name: str, raw: bytes) -> Entry:
        """What a file of that name with this content would be."""
        clouds = self.clouds()
        generator, findings = judge_text(
            raw, name, clouds.clouds, include_dir=self.include_dir, broken_clouds=clouds.broken
        )
        return Entry(name, raw, generator, findings)

    def _rests_on(self, path: Path, generator: Generator) -> list[Path]:
        """What the generator consists of, and what else it is judged by."""
        include = self.include_dir
        scripts = [include / "scripts" / script.name for script in (*generator.scripts, *generator.tests)]
        files = [include / "files" / file.name for file in generator.files]
        above = Chains(path.parent).files(generator.parents.values())
        return [path, include / FILE_NAME, *scripts, *files, *above]


def _stamp(paths: Iterable[Path]) -> Stamp:
    """Changes when one of the files does, as far as the file system tells."""
    found = []
    for path in paths:
        try:
            about = path.stat()
        except OSError:  # a script inside the generator's own file has none, and a generator further up may be missing
            continue
        found.append((str(path), about.st_mtime_ns, about.st_size, about.st_ino))
    return tuple(found)


def _raw(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise not_found(f"generator {path.stem}")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise not_found(f"generator {path.stem} that can be read ({error.strerror})") from error
