"""What a call waits for its account's budget, and when it is told to come again."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagesmith import budget
from imagesmith.budget import WAITS_S, SharedBudget
from imagesmith.catalog.store import Catalog
from imagesmith.errors import CloudBusy, Transient


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times: list[float] = []
    monkeypatch.setattr(budget, "wait_in_thread", times.append)
    return times


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    opened = Catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    opened.upgrade()
    return opened


def test_a_call_waits_for_its_turn(catalog: Catalog, slept: list[float]) -> None:
    shared = SharedBudget(catalog, "ec2", per_s=1)
    for _ in range(4):
        shared.spend("look")
    assert slept[:3] == pytest.approx([0, 0, 0], abs=0.9)
    assert 0 < slept[3] <= WAITS_S


def test_who_would_wait_long_comes_again(catalog: Catalog, slept: list[float]) -> None:
    shared = SharedBudget(catalog, "ec2", per_s=1)
    with pytest.raises(CloudBusy, match=r"ec2: look: not asked .* 1 calls a second \(calls_per_second of ec2") as busy:
        for _ in range(9):
            shared.spend("look")
    assert isinstance(busy.value, Transient)
    assert len(slept) < 9


def test_too_many_calls_of_one_process_stop_all(catalog: Catalog, slept: list[float]) -> None:
    one, other = SharedBudget(catalog, "ec2"), SharedBudget(catalog, "ec2")
    for _ in range(3):
        one.overspent()  # the same spate
    other.spend("look")
    assert 0 < slept[0] <= 1
