"""The names of generators' secret parameters, read off their files as they are now, mistakes and all."""

from __future__ import annotations

from pathlib import Path

from imagesmith.generator import generator_files
from imagesmith.yaml_source import read_document


def secret_names(include_dir: Path, *, only: str | None = None) -> frozenset[str] | None:
    """Of all generators, or of the one of that name (none for a name without a file); None if a file can't tell."""
    found: set[str] = set()
    for path in generator_files(include_dir)[0]:
        if only in (None, path.stem):
            names = _names(path)
            if names is None:
                return None
            found |= names
    return frozenset(found)


def _names(path: Path) -> set[str] | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if b"secret" not in content and b"\\" not in content:
        return set()  # a key can be written otherwise with an escape only; reading YAML takes a while
    document = read_document(path, shown_as=path.name)
    if not document.readable:
        return None
    parameters = document.value.get("parameters")
    entries = parameters.items() if isinstance(parameters, dict) else ()
    # What is neither true nor false is a mistake, which may have been meant.
    return {name for name, entry in entries if isinstance(entry, dict) and entry.get("secret") not in (None, False)}
