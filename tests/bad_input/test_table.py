"""The table as a whole: large enough, and each row a case of its own."""

from __future__ import annotations

from collections import Counter

import pytest

from . import (
    rows_of_clouds,
    rows_of_command_line,
    rows_of_connections,
    rows_of_disk,
    rows_of_environment,
    rows_of_generators,
    rows_of_parameters,
    rows_of_rest,
    rows_of_web,
)
from .row import Row

GROUPS: dict[str, list[Row]] = {
    "generator files": rows_of_generators.ROWS,
    "clouds.yaml": [*rows_of_clouds.ROWS, *rows_of_clouds.WHOLE],
    "files beside them": rows_of_disk.ROWS,
    "parameters": [*rows_of_parameters.TYPED, *rows_of_parameters.CLOUDS, *rows_of_parameters.WORDS],
    "connections": [
        *rows_of_connections.EC2,
        *rows_of_connections.OPENSTACK,
        *rows_of_connections.NIMBUS,
        *rows_of_connections.OPENING,
    ],
    "command line": [
        *rows_of_command_line.USAGE,
        *rows_of_command_line.COMMANDS,
        *rows_of_command_line.FILES,
        *rows_of_command_line.NOTHING,
        *rows_of_command_line.BENCH,
    ],
    "environment": [
        *rows_of_environment.COMMANDS,
        *rows_of_environment.PATIENCE,
        *rows_of_environment.SECRETS,
        *rows_of_environment.RECORDED,
        *rows_of_environment.KEYS,
        *rows_of_environment.FIRST_START,
    ],
    "requests to our REST": [*rows_of_web.REFUSED, *rows_of_web.DATA],
    "REST bodies": [*rows_of_rest.GATE, *rows_of_rest.CONF, *rows_of_rest.BODY],
}


def test_the_table_is_large_and_no_row_stands_in_it_twice(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for group in GROUPS.values() for row in group]
    with capsys.disabled():
        counts = ", ".join(f"{len(group)} {name}" for name, group in GROUPS.items())
        print(f"\nbad input: {len(rows)} rows ({counts})")
    assert len(rows) >= 200
    assert [id_ for id_, count in Counter(row.id for row in rows).items() if count > 1] == []
    assert all(row.says and all(row.says) for row in rows)
