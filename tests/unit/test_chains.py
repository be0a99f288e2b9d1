"""Chains of generators: what `validate` finds in them, at which line, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagesmith.generator import load_all, validate

from .built import a_project

TOP = "script: |\n  #!/bin/sh\n  true\n"
ENTRY = "  {cloud}: {{source_image: {source}, ssh_username: admin, instance_type: small}}\n"


def starting(**sources: str) -> str:
    """A generator's file with an entry for each cloud; a source `@NAME` is that generator's newest image."""
    entries = "".join(
        ENTRY.format(cloud=cloud, source=f"{{generator: {source[1:]}}}" if source.startswith("@") else source)
        for cloud, source in sources.items()
    )
    return f"{TOP}clouds:\n{entries}"


def findings(folder: Path, **generators: str) -> list[str]:
    return [str(found) for found in validate(include_dir=a_project(folder, **generators))]


def test_a_chain_of_three_is_fine_and_known(tmp_path: Path) -> None:
    include = a_project(
        tmp_path,
        base=starting(here="image-1", there="image-1"),
        middle=starting(here="@base", there="image-1"),
        top=starting(here="@middle"),
    )
    loaded = load_all(include)
    assert loaded.findings == []
    assert loaded.generators["middle"].parents == {"here": "base"}
    assert load_all(include, only="top").findings == []


@pytest.mark.parametrize(
    ("generators", "expected"),
    [
        (
            {"base": starting(here="image-1"), "top": starting(here="@bas")},
            ["5: clouds.here.source_image: there is no generator bas → did you mean base?"],
        ),
        (
            {"top": starting(here="@base")},
            ["5: clouds.here.source_image: there is no generator base → write that one first"],
        ),
        (
            {"base": starting(there="image-1"), "top": starting(here="@base")},
            ["5: clouds.here.source_image: base builds no image on here → add here to generators/base.yaml"],
        ),
        (
            {"top": starting(here="image-1", there="@top")},
            ["6: clouds.there.source_image: goes in a circle: top from top → "],
        ),
    ],
)
def test_a_chain_that_leads_nowhere(tmp_path: Path, generators: dict[str, str], expected: list[str]) -> None:
    found = findings(tmp_path, **generators)
    assert len(found) == len(expected)
    for line, text in zip(found, expected, strict=True):
        assert f"include/generators/top.yaml:{text}" in line


def test_a_circle_is_found_in_each_of_its_files_and_in_no_other(tmp_path: Path) -> None:
    found = findings(
        tmp_path,
        one=starting(here="@two"),
        two=starting(here="@three"),
        three=starting(here="image-1", there="@one"),
        outside=starting(here="@one"),
    )
    circles = [line for line in found if "goes in a circle" in line]
    assert [line.partition(":")[0] for line in circles] == [
        f"include/generators/{name}.yaml" for name in ("one", "three", "two")
    ]
    assert "one from two from three from one" in circles[0]
    assert [line for line in found if "outside" in line] == []


def test_a_circle_over_two_clouds_is_one(tmp_path: Path) -> None:
    """A rebuild of either would start one of the other, without end."""
    found = findings(tmp_path, one=starting(here="@two", there="image-1"), two=starting(here="image-1", there="@one"))
    assert len(found) == 2
    assert all("goes in a circle" in line for line in found)


def test_a_parent_with_mistakes_of_its_own_is_its_own_matter(tmp_path: Path) -> None:
    found = findings(tmp_path, base="clouds: [", top=starting(here="@base"))
    assert [line.partition(":")[0] for line in found] == ["include/generators/base.yaml"]


def test_one_file_is_checked_against_those_beside_it(tmp_path: Path) -> None:
    include = a_project(tmp_path, base=starting(there="image-1"), top=starting(here="@base"))
    assert "base builds no image on here" in str(validate([include / "generators" / "top.yaml"])[0])
    assert load_all(include, only="top").generators == {}
