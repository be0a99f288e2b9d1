"""Words of the command line, judged before a command begins; argparse shows each refusal beside its option."""

from __future__ import annotations

import argparse
import re

from imagesmith.names import NAME_CURE, NAME_SHAPE

MOST_BUILDS = 1_000
_LONGEST_ID = 250  # as Airflow has them
_LONGEST_IMAGE = 600  # a cloud and a key of an image store


def name(word: str) -> str:
    """The word if a generator or a cloud can have it for a name."""
    if not NAME_SHAPE.fullmatch(word):
        raise argparse.ArgumentTypeError(f"{word!r:.80} is no name; {NAME_CURE}")
    return word


def build(word: str) -> str:
    """The word if it can be the id of a build or a run, or a generator's name."""
    if not word.strip() or not word.isprintable() or len(word) > _LONGEST_ID:
        raise argparse.ArgumentTypeError(f"{word!r:.80} is no id; copy one from `imagesmith status`")
    return word


def number_of_builds(word: str) -> int:
    """The number that the word is."""
    if not re.fullmatch(r"[0-9]{1,4}", word) or not 1 <= int(word) <= MOST_BUILDS:
        raise argparse.ArgumentTypeError(f"{word!r:.80} is no number of builds; write one from 1 to {MOST_BUILDS}")
    return int(word)


def image(word: str) -> str:
    """The word if it can be an image's id, CLOUD/ID or name."""
    if not word.strip() or not word.isprintable() or len(word) > _LONGEST_IMAGE:
        raise argparse.ArgumentTypeError(f"{word!r:.80} is no image; copy an id from `imagesmith images`")
    return word
