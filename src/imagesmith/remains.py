"""What `include/scripts/remains.sh` printed of a machine booted from an image: what of it must not be there."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from imagesmith.errors import InventoryUnreadable
from imagesmith.package_lists import plain

PARTS = ("imagesmith remains 1", "keys", "histories", "directories", "secrets", "end")
# A shorter value stands in files by chance.
SHORTEST_SECRET = 6
_KEY = re.compile(r"\b(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ (AAAA[A-Za-z0-9+/=]+)")


def search_words(secrets: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What to search for by the secret's name, and the names of those that are too short for that.

    A search goes by lines, so of a value of several lines its longest stands for it.
    """
    longest = {name: max(value.splitlines() or [""], key=len).strip() for name, value in secrets.items()}
    wanted = {name: word for name, word in longest.items() if len(word) >= SHORTEST_SECRET}
    return wanted, sorted(secrets.keys() - wanted.keys())


def given_words(wanted: Mapping[str, str]) -> str:
    """The line of shell in front of the script that gives it what to search for."""
    words = [f"{n}:{base64.b64encode(word.encode()).decode()}" for n, word in enumerate(wanted.values())]
    return f"secrets='{' '.join(words)}'\n" if words else ""


def judge(
    printed: bytes, *, own_key: str, meant: Iterable[str], own_directory: str, secrets: Sequence[str]
) -> list[str]:
    """What must not be there, a sentence each; none where all is well. Raises InventoryUnreadable.

    `own_key` is the key we came in with, `meant` are texts whose keys the image is to let in, `own_directory` is the
    verification's own, and `secrets` are the names of what was searched for.
    """
    parts = _parts(printed)
    said = [*_keys(parts["keys"], own_key.split()[1], "\n".join(meant))]
    said += [f"{path} holds a shell's history" for path in parts["histories"]]
    said += [f"{path} is left of a build" for path in parts["directories"] if not path.endswith(f"/{own_directory}")]
    for line in parts["secrets"]:
        number, _, path = line.partition(" ")
        if number.isascii() and number.isdigit() and int(number) < len(secrets):
            said.append(f"{path} holds the value of the secret parameter {secrets[int(number)]}")
    return said


def _keys(lines: Iterable[str], own: str, meant: str) -> Iterator[str]:
    for line in lines:
        path, _, text = line.partition(":")
        if text.lstrip().startswith("#"):
            continue
        for blob in _KEY.findall(text):
            if blob != own and blob not in meant:
                yield (
                    f"{path} lets in a key that ends in {blob.rstrip('=')[-12:]} and that no script, file or parameter "
                    "of the generator names"
                )


def _parts(printed: bytes) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    following = iter(PARTS)
    expected, current = next(following), [""]
    for raw in printed.split(b"\n"):
        if raw == f"== {expected}".encode():
            current = parts.setdefault(expected, [])
            if expected == "end":
                return parts
            expected = next(following)
        else:
            current.append(plain(raw))
    raise InventoryUnreadable(f"the machine's word on what is left of the build breaks off before {expected!r}")
