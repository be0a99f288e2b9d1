"""Where a secret has left a trace: in the clear, or in the forms that texts take on their way through programs."""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy

CHUNK = 16 * 1024 * 1024


def forms(secret: str) -> dict[str, set[bytes]]:
    """What to look for, by the name of the form."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    escaped |= {json.dumps(once)[1:-1] for once in escaped}  # JSON in a text of JSON
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    quoted |= {_lower_hex(each) for each in quoted}
    return {
        "clear": {secret.encode(), secret.encode("utf-16-le")},
        "JSON": {each.encode() for each in escaped},
        "URL": {each.encode() for each in quoted},
        "HTML": {html.escape(secret).encode()},
        "base64": {form for offset in range(3) for form in _base64(secret.encode(), offset)},
        "hex": {secret.encode().hex().encode()},
    }


def _lower_hex(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _base64(secret: bytes, offset: int) -> Iterator[bytes]:
    """The characters that stand for the secret alone, when `offset` bytes of something else precede it."""
    whole = base64.b64encode(bytes(offset) + secret)
    first, last = -(-offset * 8 // 6), (offset + len(secret)) * 8 // 6
    yield whole[first:last]
    yield whole[first:last].translate(bytes.maketrans(b"+/", b"-_"))


def traces(secret: str, places: Iterable[tuple[str, bytes]]) -> list[str]:
    """`place: form` for each form found in the named places."""
    wanted = forms(secret)
    return [
        f"{place}: {form}"
        for place, data in places
        for form, needles in wanted.items()
        if any(needle in data for needle in needles)
    ]


def files_under(root: Path, *, without: Sequence[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """All files below a directory, the databases' own among them; large ones in overlapping pieces.

    `without` names directories that are left out.
    """
    for path in sorted(root.rglob("*")):
        if any(path.is_relative_to(each) for each in without):
            continue
        if path.is_file() and not path.is_symlink():
            yield from _pieces(path)


def _pieces(path: Path) -> Iterator[tuple[str, bytes]]:
    kept = b""
    try:
        with path.open("rb") as stream:
            while piece := stream.read(CHUNK):
                yield str(path), kept + piece
                kept = piece[-4096:]
    except FileNotFoundError:  # gone since it was listed
        return


def tables_of(url: str) -> Iterator[tuple[str, bytes]]:
    """Every table of a database, each value as the text or the bytes it is."""
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            for table in sqlalchemy.inspect(engine).get_table_names():
                rows = connection.execute(sqlalchemy.text(f'SELECT * FROM "{table}"')).fetchall()
                yield f"table {table}", b"\n".join(_text(value) for row in rows for value in row)
    finally:
        engine.dispose()


def _text(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return (json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)).encode()


def processes() -> Mapping[str, bytes]:
    """Command line and environment of every process of this moment."""
    seen = {}
    for entry in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ"):
            try:
                seen[f"{what} of process {entry.name}"] = (entry / what).read_bytes()
            except OSError:  # ended meanwhile, or not ours
                continue
    return seen
