"""What the catalog promises, on SQLite and on PostgreSQL, both real."""

import multiprocessing
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Engine, MetaData, Text, create_engine, event, inspect, text
from sqlalchemy.exc import IntegrityError

from imagesmith.catalog import database, schema_version
from imagesmith.catalog.board import Turn
from imagesmith.catalog.records import BuildState, NewTarget, ResourceRecord
from imagesmith.catalog.schema import Base
from imagesmith.catalog.store import Catalog
from imagesmith.core import ImageState, Ledger, ResourceKind, TargetState
from imagesmith.errors import BuildStateError, SetupError

from .databases import BUILD, HOUR, NOON, Clock, an_inventory, begin, begin_another, driver_url, kill_the_others, sql

INSTANCE = ResourceKind.INSTANCE
SNAPSHOT = ResourceKind.SNAPSHOT


# --- the schema -----------------------------------------------------------------------------------


def shape(engine: Engine) -> dict[str, Any]:
    """All that a schema consists of, read back from the database."""
    seen = inspect(engine)
    return {
        table: {
            "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)],
            "primary": seen.get_pk_constraint(table),
            "foreign": sorted(map(repr, seen.get_foreign_keys(table))),
            "unique": sorted(map(repr, seen.get_unique_constraints(table))),
            "indexes": sorted(index_shape(index) for index in seen.get_indexes(table)),
        }
        for table in seen.get_table_names()
        if table != schema_version.VERSION_TABLE
    }


def index_shape(index: Any) -> str:
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return repr({**index, "dialect_options": options})


def differences(connection: Connection, metadata: MetaData) -> list[Any]:
    options = {"version_table": schema_version.VERSION_TABLE, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_models_and_migrations_agree(url: str) -> None:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        assert differences(connection, Base.metadata) == []
    migrated = shape(engine)
    Base.metadata.drop_all(engine)
    assert shape(engine) == {}
    Base.metadata.create_all(engine)
    assert shape(engine) == migrated and len(migrated) == 11
    engine.dispose()


def test_a_model_without_its_migration_is_noticed(url: str) -> None:
    changed = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        table.to_metadata(changed)
    changed.tables["builds"].append_column(Column("colour", Text))
    with create_engine(driver_url(url)).connect() as connection:
        assert "colour" in repr(differences(connection, changed))


def test_migrations_go_down_and_up_again(url: str) -> None:
    config = schema_version.alembic_config()
    with create_engine(driver_url(url)).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == [schema_version.VERSION_TABLE]
    Catalog(url).upgrade()
    Catalog(url).check()


def test_check_says_what_an_empty_database_lacks(empty_url: str) -> None:
    with pytest.raises(SetupError, match="make up"):
        Catalog(empty_url).check()
    Catalog(empty_url).upgrade()
    Catalog(empty_url).check()


def test_use_before_the_upgrade_names_the_cure(empty_url: str) -> None:
    with pytest.raises(SetupError, match="make up"):
        Catalog(empty_url).builds()


def test_a_schema_from_the_future_is_left_alone(url: str) -> None:
    sql(url, f"UPDATE {schema_version.VERSION_TABLE} SET version_num = '9999'")
    for use in (Catalog(url).check, Catalog(url).upgrade):
        with pytest.raises(SetupError, match="newer Imagesmith"):
            use()


def test_upgrade_keeps_what_is_there(catalog: Catalog, url: str) -> None:
    build = begin(catalog)
    Catalog(url).upgrade()
    assert Catalog(url).build(BUILD) == build


def test_another_applications_alembic_table_is_not_touched(empty_url: str) -> None:
    Catalog(empty_url)  # makes the directory
    table = "CREATE TABLE alembic_version (version_num VARCHAR(32))"
    sql(empty_url, table, "INSERT INTO alembic_version VALUES ('airflow')")
    Catalog(empty_url).upgrade()
    assert sql(empty_url, "SELECT version_num FROM alembic_version") == [("airflow",)]


# --- many at once ---------------------------------------------------------------------------------


def upgrade_and_begin(url: str, start: Any, answers: Any) -> None:
    """What a process does in the tests below; run in a process of its own."""
    start.wait()
    try:
        opened = Catalog(url)
        opened.upgrade()
        answers.put(begin(opened).created_at.isoformat())
    except Exception as error:  # noqa: BLE001  (the parent must hear of any)
        answers.put(repr(error))


def test_processes_that_set_up_and_begin_at_once_give_one_build(empty_url: str) -> None:
    forking = multiprocessing.get_context("fork")
    start, answers = forking.Event(), forking.Queue()
    crowd = [forking.Process(target=upgrade_and_begin, args=(empty_url, start, answers)) for _ in range(6)]
    for process in crowd:
        process.start()
    start.set()
    got = {answers.get(timeout=60) for _ in crowd}
    for process in crowd:
        process.join()
    catalog = Catalog(empty_url)
    assert got == {begin(catalog).created_at.isoformat()}
    assert len(catalog.builds()) == 1 and len(catalog.targets(BUILD)) == 2
    assert sql(empty_url, "SELECT count(*) FROM generator_versions") == [(1,)]


def test_threads_that_set_up_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: Catalog(empty_url).upgrade(), range(6)))
    Catalog(empty_url).check()


def test_threads_that_share_a_catalog_lose_nothing(catalog: Catalog) -> None:
    begin(catalog)

    def work(number: int) -> None:
        ledger = catalog.ledger(BUILD, "ec2" if number % 2 else "hotel")
        ledger.intend(INSTANCE, f"vm-{number}")
        ledger.made(INSTANCE, f"vm-{number}", f"i-{number}")
        catalog.update_target(BUILD, "ec2", output_offset=number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    assert sorted(r.resource_id or "" for r in catalog.resources()) == sorted(f"i-{n}" for n in range(40))


def test_writers_stand_in_line_and_need_no_second_try(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_FOR_S", 0)
    begin(catalog)
    with ThreadPoolExecutor(8) as threads:
        rows = threads.map(lambda n: catalog.intend_resource(BUILD, "ec2", INSTANCE, f"vm-{n}").id, range(40))
        assert len(set(rows)) == 40


def test_many_threads_intend_the_same_thing_once(catalog: Catalog) -> None:
    begin(catalog)
    with ThreadPoolExecutor(8) as threads:
        rows = set(threads.map(lambda _: catalog.intend_resource(BUILD, "ec2", INSTANCE, "vm").id, range(24)))
    assert len(rows) == 1 == len(catalog.resources())


def read_and_write(catalog: Catalog, answers: Any) -> None:
    answers.put(catalog.update_target(BUILD, "ec2", address="192.0.2.9").address)


def test_a_forked_child_uses_a_connection_of_its_own(catalog: Catalog) -> None:
    build = begin(catalog)
    forking = multiprocessing.get_context("fork")
    answers = forking.Queue()
    children = [forking.Process(target=read_and_write, args=(catalog, answers)) for _ in range(3)]
    for child in children:
        child.start()
    mine = [catalog.build(BUILD) for _ in range(50)]
    assert [answers.get(timeout=30) for _ in children] == ["192.0.2.9"] * 3
    for child in children:
        child.join()
    assert set(map(repr, mine)) == {repr(build)}
    assert catalog.target(BUILD, "ec2").address == "192.0.2.9"


# --- lost connections -----------------------------------------------------------------------------


def cut_once_before(catalog: Catalog, statement: str, url: str) -> list[int]:
    """Cuts all connections the first time such a statement is due; the answer then holds how many it were."""
    cut: list[int] = []

    def look(_connection: object, _cursor: object, due: str, *_rest: object) -> None:
        if not cut and due.startswith(statement):
            cut.append(kill_the_others(url))

    event.listen(catalog._database._writer, "before_cursor_execute", look)
    return cut


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_work_survives_a_connection_lost_in_the_midst_of_it(catalog: Catalog, url: str) -> None:
    cut = cut_once_before(catalog, "INSERT INTO targets", url)
    build = begin(catalog)
    assert cut and cut[0] >= 1
    assert catalog.builds() == [build] and len(catalog.targets(BUILD)) == 2
    cut = cut_once_before(catalog, "INSERT INTO steps", url)
    step = catalog.start_step(BUILD, "ec2", "launch_vm")
    assert cut and cut[0] >= 1
    assert catalog.steps(BUILD) == [step]


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_work_survives_idle_connections_that_were_cut(catalog: Catalog, url: str) -> None:
    begin(catalog)
    assert kill_the_others(url) >= 1
    assert catalog.build(BUILD).build_id == BUILD


def test_a_writer_waits_for_another_process_to_finish(catalog: Catalog, url: str) -> None:
    begin(catalog)
    engine = create_engine(driver_url(url))
    with closing(engine.raw_connection()) as other:
        cursor = other.cursor()
        if "sqlite" in url:
            other.driver_connection.isolation_level = None  # type: ignore[union-attr]
            cursor.execute("BEGIN IMMEDIATE")
        else:
            cursor.execute("SELECT 1 FROM targets FOR UPDATE")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(catalog.update_target, BUILD, "ec2", script_index=3)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            other.rollback()
            assert waiting.result(timeout=10).script_index == 3
    engine.dispose()


def test_a_lasting_lock_ends_in_an_error_that_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagesmith.errors import Transient

    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 10)
    monkeypatch.setattr(database, "RETRY_FOR_S", 0.2)
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    catalog.upgrade()
    with closing(sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Transient, match="locked"):
            begin(catalog)
        assert catalog.builds() == [], "readers are not kept out by a writer"


# --- builds ---------------------------------------------------------------------------------------


def test_begin_remembers_everything(catalog: Catalog, url: str) -> None:
    build = begin(catalog)
    assert build == Catalog(url).build(BUILD) == catalog.find_build("dstat", "manual__1")
    assert (build.state, build.attempt, build.error, build.ended_at) == (BuildState.SUBMITTED, 1, "", None)
    assert build.plan == {"parameters": {"extra": "ncdu"}, "limit_s": 7200.5}
    first, second = catalog.targets(BUILD)
    assert (first.cloud, first.required, first.image_name, first.state) == (
        "ec2",
        True,
        "dstat-1",
        "submitted",
    )
    assert (second.cloud, second.required, second.started_at, second.output_offset) == (
        "hotel",
        False,
        None,
        0,
    )
    version = catalog.generator_version("dstat", "0123456789ab")
    assert version and version.content["scripts"] == ["#!/bin/bash\nsync\n"]


def test_begin_again_changes_nothing(catalog: Catalog, clock: Clock) -> None:
    build = begin(catalog)
    catalog.advance_target(BUILD, "ec2", TargetState.LAUNCHING)
    before = catalog.build(BUILD), catalog.targets(BUILD)
    clock.pass_s(60)
    again = begin(catalog, build_id="other", plan={}, deadline=NOON + 9 * HOUR, targets=[NewTarget("third")])
    assert again == replace(build, state=BuildState.RUNNING)
    assert (catalog.build(BUILD), catalog.targets(BUILD)) == before


def test_a_build_id_of_another_run_is_refused_whole(catalog: Catalog) -> None:
    begin(catalog)
    with pytest.raises(BuildStateError, match="manual__1"):
        begin(catalog, run_id="manual__2", version="ffffffffffff")
    assert catalog.find_build("dstat", "manual__2") is None
    assert catalog.generator_version("dstat", "ffffffffffff") is None


def test_the_same_content_is_one_version(catalog: Catalog, url: str) -> None:
    begin_another(catalog, 1)
    begin_another(catalog, 2)
    begin_another(catalog, 3, version="ba9876543210")
    rows = sql(url, "SELECT version FROM generator_versions ORDER BY version")
    assert rows == [("0123456789ab",), ("ba9876543210",)]


def test_builds_come_newest_first_and_can_be_narrowed(catalog: Catalog, clock: Clock) -> None:
    for number in range(4):
        begin_another(catalog, number, generator="even" if number % 2 == 0 else "odd")
        clock.pass_s(1)
    catalog.end_build(f"{BUILD}-0", BuildState.SUCCESSFUL)

    def numbers(**narrowed: Any) -> list[int]:
        return [int(build.build_id[-1]) for build in catalog.builds(**narrowed)]

    assert numbers() == [3, 2, 1, 0]
    assert numbers(only_open=True) == [3, 2, 1]
    assert numbers(generator="even", only_open=True) == [2]
    assert numbers(limit=2) == [3, 2]


def test_the_first_end_of_a_build_stands(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    assert catalog.set_build_state(BUILD, BuildState.RUNNING).ended_at is None
    clock.pass_s(30)
    ended = catalog.end_build(BUILD, BuildState.FAILED, "ec2: no room")
    assert (ended.state, ended.error, ended.ended_at) == (BuildState.FAILED, "ec2: no room", clock.now)
    clock.pass_s(30)
    assert catalog.end_build(BUILD, BuildState.CANCELLED, "too late") == ended
    assert catalog.set_build_state(BUILD, BuildState.RUNNING) == ended == catalog.build(BUILD)


def test_running_is_no_end(catalog: Catalog) -> None:
    begin(catalog)
    with pytest.raises(ValueError, match="running"):
        catalog.end_build(BUILD, BuildState.RUNNING)


def test_what_is_not_there_is_named(catalog: Catalog) -> None:
    begin(catalog)
    unknown_builds: list[Callable[[], object]] = [
        lambda: catalog.build("lost"),
        lambda: catalog.target("lost", "ec2"),
        lambda: catalog.end_build("lost", BuildState.FAILED),
        lambda: catalog.intend_resource("lost", "ec2", INSTANCE, "vm"),
    ]
    for ask in unknown_builds:
        with pytest.raises(BuildStateError, match="lost: no such build"):
            ask()
    unknown_targets: list[Callable[[], object]] = [
        lambda: catalog.target(BUILD, "moon"),
        lambda: catalog.start_step(BUILD, "moon", "launch_vm"),
        lambda: catalog.ledger(BUILD, "moon").made(INSTANCE, "vm", "i-1"),
    ]
    for ask in unknown_targets:
        with pytest.raises(BuildStateError, match="no target on moon"):
            ask()
    assert catalog.find_build("dstat", "lost") is None


# --- restart --------------------------------------------------------------------------------------


def fill(catalog: Catalog, cloud: str) -> None:
    """A target that has seen everything."""
    catalog.update_target(
        BUILD,
        cloud,
        instance_id="i-1",
        address="192.0.2.1",
        source_image_id="ami-source",
        source_image_name="debian-12",
        script_index=2,
        output_offset=5 * 2**40,
        output_tail="done\n",
        cleanup_started_at=NOON,
        customized_instance_id="i-1",
        host_key="ssh-ed25519 AAAA",
    )


def test_restart_gives_unsuccessful_targets_a_fresh_attempt(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    for cloud in ("ec2", "hotel"):
        fill(catalog, cloud)
        catalog.advance_target(BUILD, cloud, TargetState.SAVING)
    catalog.advance_target(BUILD, "hotel", TargetState.SUCCESSFUL)
    catalog.fail_target(BUILD, "ec2", "the cloud gave up on the image")
    catalog.end_build(BUILD, BuildState.FAILED, "ec2 failed")
    kept = catalog.target(BUILD, "hotel")
    pristine = begin_another(catalog, 2).build_id

    restarted = catalog.restart_build(BUILD, deadline=NOON + 5 * HOUR)

    assert (restarted.attempt, restarted.state, restarted.error) == (2, BuildState.RUNNING, "")
    assert (restarted.ended_at, restarted.deadline) == (None, NOON + 5 * HOUR)
    fresh = replace(
        catalog.target(pristine, "ec2"),
        build_id=BUILD,
        attempt=2,
        source_image_id="ami-source",
        source_image_name="debian-12",
    )
    assert catalog.target(BUILD, "ec2") == fresh
    assert catalog.target(BUILD, "hotel") == kept


def test_a_restart_that_comes_twice_counts_once(catalog: Catalog) -> None:
    begin(catalog)
    first = catalog.restart_build(BUILD, deadline=NOON + 2 * HOUR)
    catalog.advance_target(BUILD, "ec2", TargetState.LAUNCHING)
    east = timezone(timedelta(hours=5))
    assert catalog.restart_build(BUILD, deadline=(NOON + 2 * HOUR).astimezone(east)) == first
    assert catalog.target(BUILD, "ec2").state is TargetState.LAUNCHING
    assert catalog.restart_build(BUILD, deadline=NOON + 3 * HOUR).attempt == 3


# --- targets --------------------------------------------------------------------------------------


def test_a_target_keeps_what_was_learned_and_only_that_changes(catalog: Catalog, url: str) -> None:
    begin(catalog)
    fill(catalog, "ec2")
    seen = Catalog(url).target(BUILD, "ec2")
    assert (seen.output_offset, seen.cleanup_started_at, seen.customized) == (5 * 2**40, NOON, True)
    assert catalog.update_target(BUILD, "ec2", instance_id="i-2") == replace(seen, instance_id="i-2")
    assert not catalog.target(BUILD, "ec2").customized, "another instance was customized"
    assert not catalog.target(BUILD, "hotel").customized, "no instance at all"


def test_an_unknown_column_is_refused(catalog: Catalog) -> None:
    begin(catalog)
    for changes in ({"colour": "red"}, {"state": TargetState.SUCCESSFUL}, {"attempt": 9}):
        with pytest.raises(TypeError, match=next(iter(changes))):
            catalog.update_target(BUILD, "ec2", **changes)


def test_the_output_tail_is_bounded_and_ends_whole(catalog: Catalog) -> None:
    begin(catalog)
    tail = catalog.update_target(BUILD, "ec2", output_tail="é" * 40_000 + "x").output_tail
    assert tail == "é" * 32_767 + "x", "64 KiB, without the half of a letter"


def test_the_build_runs_and_the_clock_starts_with_the_first_target(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    assert catalog.advance_target(BUILD, "ec2", TargetState.SUBMITTED).started_at is None
    assert catalog.build(BUILD).state is BuildState.SUBMITTED
    started = clock.pass_s(5)
    catalog.advance_target(BUILD, "ec2", TargetState.LAUNCHING)
    clock.pass_s(5)
    target = catalog.advance_target(BUILD, "ec2", TargetState.CUSTOMIZING)
    assert (target.state, target.started_at, target.ended_at) == (TargetState.CUSTOMIZING, started, None)
    assert catalog.build(BUILD).state is BuildState.RUNNING
    ended = clock.pass_s(5)
    done = catalog.advance_target(BUILD, "ec2", TargetState.SUCCESSFUL)
    assert (done.started_at, done.ended_at) == (started, ended)


@pytest.mark.parametrize("end", [state for state in TargetState if state.ended])
def test_an_ended_target_is_never_moved(catalog: Catalog, clock: Clock, end: TargetState) -> None:
    begin(catalog)
    ended = catalog.advance_target(BUILD, "ec2", end)
    clock.pass_s(60)
    for state in TargetState:
        assert catalog.advance_target(BUILD, "ec2", state) == ended
    assert catalog.fail_target(BUILD, "ec2", "", state=TargetState.CANCELLED) == ended


def test_targets_that_go_on_are_counted_over_all_builds(catalog: Catalog) -> None:
    assert catalog.live_targets() == 0
    begin(catalog)
    abandoned = begin_another(catalog, 2).build_id
    assert catalog.live_targets() == 4
    catalog.fail_target(BUILD, "ec2", "script exited 3")
    catalog.end_build(abandoned, BuildState.CANCELLED)
    assert catalog.live_targets() == 1


def test_the_first_reason_is_the_cause(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    failed = catalog.fail_target(BUILD, "ec2", "script exited 3")
    assert (failed.state, failed.error, failed.ended_at) == (TargetState.FAILED, "script exited 3", NOON)
    clock.pass_s(9)
    assert catalog.fail_target(BUILD, "ec2", "cancelled", state=TargetState.CANCELLED) == failed


def test_a_target_that_was_cancelled_without_a_reason_takes_a_later_one(catalog: Catalog) -> None:
    begin(catalog)
    catalog.advance_target(BUILD, "ec2", TargetState.CANCELLED)
    later = catalog.fail_target(BUILD, "ec2", "run marked failed by anna")
    assert (later.state, later.error) == (TargetState.CANCELLED, "run marked failed by anna")


def test_success_cannot_fail_afterwards(catalog: Catalog) -> None:
    begin(catalog)
    good = catalog.advance_target(BUILD, "ec2", TargetState.SUCCESSFUL)
    assert catalog.fail_target(BUILD, "ec2", "clean-up went wrong") == good
    with pytest.raises(ValueError, match="successful"):
        catalog.fail_target(BUILD, "hotel", "nonsense", state=TargetState.SUCCESSFUL)


# --- steps ----------------------------------------------------------------------------------------


def test_a_killed_step_gets_no_new_time(catalog: Catalog, clock: Clock, url: str) -> None:
    begin(catalog)
    first = catalog.start_step(BUILD, "ec2", "customize")
    clock.pass_s(100)
    assert Catalog(url, clock=clock).start_step(BUILD, "ec2", "customize") == first


def test_an_ended_step_is_opened_anew(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    catalog.start_step(BUILD, "ec2", "customize")
    clock.pass_s(10)
    failed = catalog.end_step(BUILD, "ec2", "customize", "connection lost")
    assert (failed.started_at, failed.ended_at, failed.error) == (NOON, clock.now, "connection lost")
    clock.pass_s(10)
    assert catalog.end_step(BUILD, "ec2", "customize") == failed, "its first end stands"
    again = catalog.start_step(BUILD, "ec2", "customize")
    assert (again.started_at, again.ended_at, again.error) == (clock.now, None, "")
    assert catalog.steps(BUILD) == [again]


def test_each_attempt_has_its_own_steps(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    catalog.start_step(BUILD, "ec2", "launch_vm")
    catalog.fail_target(BUILD, "ec2", "no room")
    catalog.restart_build(BUILD, deadline=NOON + 2 * HOUR)
    clock.pass_s(1)
    with pytest.raises(BuildStateError, match="attempt 2"):
        catalog.end_step(BUILD, "ec2", "launch_vm")
    catalog.start_step(BUILD, "ec2", "launch_vm")
    catalog.start_step(BUILD, "hotel", "launch_vm")
    assert [step.attempt for step in catalog.steps(BUILD, cloud="ec2")] == [1, 2]
    assert len(catalog.steps(BUILD)) == 3


# --- resources ------------------------------------------------------------------------------------


def only(rows: list[ResourceRecord]) -> ResourceRecord:
    assert len(rows) == 1
    return rows[0]


def test_the_life_of_a_resource(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    ledger: Ledger = catalog.ledger(BUILD, "ec2")
    ledger.intend(INSTANCE, "vm")
    intended = only(catalog.resources(build_id=BUILD, cloud="ec2"))
    assert (intended.kind, intended.resource_id, intended.intended_at, intended.made_at) == (
        INSTANCE,
        None,
        NOON,
        None,
    )
    made_at = clock.pass_s(1)
    ledger.made(INSTANCE, "vm", "i-1")
    clock.pass_s(1)
    ledger.intend(INSTANCE, "vm")
    ledger.made(INSTANCE, "vm", "i-1")
    assert only(catalog.resources()) == replace(intended, resource_id="i-1", made_at=made_at)
    gone_at = clock.pass_s(1)
    ledger.gone(INSTANCE, "i-1")
    clock.pass_s(1)
    ledger.gone(INSTANCE, "i-1")
    assert catalog.resources() == []
    assert only(catalog.resources(include_gone=True)).gone_at == gone_at


def test_a_name_is_used_again_once_its_thing_is_gone(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    ledger = catalog.ledger(BUILD, "ec2")
    ledger.made(INSTANCE, "vm", "i-1")
    ledger.gone(INSTANCE, "i-1")
    clock.pass_s(60)
    ledger.intend(INSTANCE, "vm")
    row = only(catalog.resources(include_gone=True))
    assert (row.resource_id, row.made_at, row.gone_at, row.intended_at) == (None, None, None, clock.now)


def test_no_id_is_ever_lost(catalog: Catalog) -> None:
    begin(catalog)
    ledger = catalog.ledger(BUILD, "ec2")
    ledger.intend(SNAPSHOT, "image")
    for made in ("snap-1", "snap-2", "snap-1", "snap-3", "snap-2"):
        ledger.made(SNAPSHOT, "image", made)
    assert sorted((r.resource_id, r.name) for r in catalog.resources()) == [
        ("snap-1", "image#snap-1"),
        ("snap-2", "image#snap-2"),
        ("snap-3", "image"),
    ]
    for made in ("snap-1", "snap-2", "snap-3"):
        ledger.gone(SNAPSHOT, made)
    assert catalog.resources() == []


def test_a_thing_made_without_an_intent_or_after_its_end_is_still_written_down(catalog: Catalog) -> None:
    begin(catalog)
    ledger = catalog.ledger(BUILD, "ec2")
    ledger.made(INSTANCE, "vm", "i-1")
    ledger.gone(INSTANCE, "i-1")
    ledger.made(INSTANCE, "vm", "i-1")
    assert only(catalog.resources()).resource_id == "i-1"


def test_an_end_closes_only_what_it_names(catalog: Catalog) -> None:
    begin(catalog)
    for cloud in ("ec2", "hotel"):
        catalog.ledger(BUILD, cloud).made(INSTANCE, "vm", "7")
    catalog.ledger(BUILD, "ec2").made(ResourceKind.VOLUME, "disk", "7")
    catalog.ledger(BUILD, "ec2").gone(INSTANCE, "7")
    catalog.ledger(BUILD, "ec2").gone(INSTANCE, "never heard of")
    left = [(row.cloud, row.kind) for row in catalog.resources()]
    assert left == [("hotel", INSTANCE), ("ec2", ResourceKind.VOLUME)]


def test_an_intent_is_given_up_only_while_nothing_was_made(catalog: Catalog) -> None:
    begin(catalog)
    catalog.intend_resource(BUILD, "ec2", INSTANCE, "vm")
    assert catalog.abandon_resource(BUILD, "ec2", INSTANCE, "vm") is True
    assert catalog.abandon_resource(BUILD, "ec2", INSTANCE, "unheard of") is True
    catalog.made_resource(BUILD, "ec2", INSTANCE, "vm", "i-1")
    assert catalog.abandon_resource(BUILD, "ec2", INSTANCE, "vm") is False
    assert only(catalog.resources()).resource_id == "i-1"


# --- images ---------------------------------------------------------------------------------------


def test_the_life_of_an_image(catalog: Catalog, clock: Clock, url: str) -> None:
    begin(catalog)
    catalog.update_target(BUILD, "ec2", source_image_id="ami-source")
    image = catalog.record_image(BUILD, "ec2", image_id="ami-1", name="dstat-1", public=True)
    assert (image.generator, image.version, image.source_image_id) == ("dstat", "0123456789ab", "ami-source")
    assert (image.state, image.public, image.created_at) == (ImageState.PENDING, True, NOON)
    available_at = clock.pass_s(90)
    catalog.image_available("ec2", "ami-1")
    clock.pass_s(1)
    assert catalog.record_image(BUILD, "ec2", image_id="ami-1", name="other").name == "dstat-1"
    known = catalog.image_available("ec2", "ami-1")
    assert known == replace(image, state=ImageState.AVAILABLE, available_at=available_at)
    assert Catalog(url).images() == [known]
    deleted_at = clock.pass_s(1)
    for _ in range(2):
        catalog.image_deleted("ec2", "ami-1")
        clock.pass_s(1)
    assert catalog.images() == []
    end = replace(known, state=ImageState.GONE, deleted_at=deleted_at)
    assert catalog.images(include_deleted=True) == [end] == [catalog.image_available("ec2", "ami-1")]


def test_images_come_newest_first_and_can_be_narrowed(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    other = begin_another(catalog, 2, generator="other").build_id
    catalog.record_image(BUILD, "ec2", image_id="1", name="a")
    clock.pass_s(1)
    catalog.record_image(BUILD, "hotel", image_id="1", name="a")
    clock.pass_s(1)
    catalog.record_image(other, "ec2", image_id="3", name="b")

    def found(**narrowed: Any) -> list[tuple[str, str]]:
        return [(image.cloud, image.image_id) for image in catalog.images(**narrowed)]

    assert found() == [("ec2", "3"), ("hotel", "1"), ("ec2", "1")]
    assert found(generator="dstat") == found(build_id=BUILD) == [("hotel", "1"), ("ec2", "1")]
    assert found(cloud="ec2") == [("ec2", "3"), ("ec2", "1")]


def test_an_image_belongs_to_one_build(catalog: Catalog) -> None:
    begin(catalog)
    other = begin_another(catalog, 2).build_id
    catalog.record_image(BUILD, "ec2", image_id="ami-1", name="a")
    with pytest.raises(BuildStateError, match=BUILD):
        catalog.record_image(other, "ec2", image_id="ami-1", name="a")
    with pytest.raises(BuildStateError, match="ami-9"):
        catalog.image_available("ec2", "ami-9")
    catalog.image_deleted("ec2", "ami-9")


@pytest.mark.parametrize("again", [BUILD, f"{BUILD}-2"])
def test_an_image_saved_under_the_id_of_one_that_was_deleted_is_a_new_one(
    catalog: Catalog, clock: Clock, again: str
) -> None:
    begin(catalog)
    begin_another(catalog, 2, version="ba9876543210")
    catalog.record_image(BUILD, "ec2", image_id="VMS/me/img", name="img", public=True)
    catalog.image_available("ec2", "VMS/me/img")
    catalog.image_verified("ec2", "VMS/me/img")
    catalog.image_deleted("ec2", "VMS/me/img")
    saved_at = clock.pass_s(60)
    digest = catalog.record_inventory(an_inventory(("bash", "5.2")))
    catalog.update_target(again, "ec2", source_image_id="ami-2", inventory_digest=digest)
    image = catalog.record_image(again, "ec2", image_id="VMS/me/img", name="img")
    assert (image.build_id, image.version) == (again, catalog.build(again).version)
    assert (image.state, image.public, image.created_at) == (ImageState.PENDING, False, saved_at)
    assert (image.source_image_id, image.inventory_digest) == ("ami-2", digest)
    assert (image.available_at, image.verified_at, image.deleted_at) == (None, None, None)
    assert catalog.images(include_deleted=True) == [image]
    assert catalog.image_available("ec2", "VMS/me/img").state is ImageState.AVAILABLE
    assert only(catalog.images(build_id=again)).available_at == saved_at


def save_as_img(catalog: Catalog, build_id: str) -> None:
    """A driver's save under an id that is a name, and so was free."""
    ledger = catalog.ledger(build_id, "ec2")
    ledger.intend(ResourceKind.IMAGE, "img")
    ledger.made(ResourceKind.IMAGE, "img", "VMS/me/img")
    catalog.record_image(build_id, "ec2", image_id="VMS/me/img", name="img")


def test_an_image_that_somebody_removed_gives_way_to_the_one_saved_under_its_id(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    other = begin_another(catalog, 2).build_id
    save_as_img(catalog, BUILD)
    catalog.image_available("ec2", "VMS/me/img")
    clock.pass_s(60)
    save_as_img(catalog, other)
    assert only(catalog.images()).build_id == other
    assert only(catalog.images()).state is ImageState.PENDING
    left = only(catalog.resources(include_gone=False))
    assert (left.build_id, left.resource_id) == (other, "VMS/me/img"), "the first build has nothing there to delete"


def test_an_image_of_another_build_that_may_be_there_is_kept(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    other = begin_another(catalog, 2).build_id
    catalog.ledger(other, "ec2").intend(ResourceKind.IMAGE, "img")
    clock.pass_s(1)
    save_as_img(catalog, BUILD)
    for _ in range(2):
        with pytest.raises(BuildStateError, match=f"by build {BUILD}; put {{build_id}} into image_name"):
            save_as_img(catalog, other)
        catalog.image_available("ec2", "VMS/me/img")
    assert (only(catalog.images()).build_id, len(catalog.resources())) == (BUILD, 2)


def test_a_retry_that_saves_where_the_end_of_its_first_image_was_not_noted(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    save_as_img(catalog, BUILD)
    catalog.image_available("ec2", "VMS/me/img")
    catalog.ledger(BUILD, "ec2").gone(ResourceKind.IMAGE, "VMS/me/img")  # and there the process was killed
    clock.pass_s(60)
    save_as_img(catalog, BUILD)
    image = only(catalog.images())
    assert (image.state, image.available_at) == (ImageState.PENDING, None)
    save_as_img(catalog, BUILD)
    assert only(catalog.images()) == image, "the same save, entered again"


# --- what the database itself holds ---------------------------------------------------------------

BROKEN = {
    "a build of no version": "UPDATE builds SET version = 'none'",
    "a run with two builds": "UPDATE builds SET dag_id = 'dstat', run_id = 'manual__1'",
    "a target of no build": "UPDATE targets SET build_id = 'none'",
    "a step of no target": "UPDATE steps SET cloud = 'moon'",
    "a resource of no target": "UPDATE resources SET cloud = 'moon'",
    "two resources of one name": "UPDATE resources SET name = 'vm'",
    "an image of no target": "UPDATE images SET build_id = 'none'",
    "a build without a plan": "UPDATE builds SET plan = NULL",
    "a build with targets, deleted": "DELETE FROM builds",
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_database_refuses(catalog: Catalog, what: str) -> None:
    begin(catalog)
    begin_another(catalog, 2)
    for name in ("vm", "vm-2"):
        catalog.intend_resource(BUILD, "ec2", INSTANCE, name)
    catalog.start_step(BUILD, "ec2", "launch_vm")
    catalog.record_image(BUILD, "ec2", image_id="ami-1", name="a")
    with pytest.raises(IntegrityError):
        catalog._database.write(lambda session: session.execute(text(BROKEN[what])))
    assert catalog.build(BUILD).plan


def test_times_keep_their_moment_whatever_their_zone(catalog: Catalog) -> None:
    west = timezone(-timedelta(hours=9, minutes=30))
    build = begin(catalog, deadline=datetime(2026, 10, 25, 2, 30, 0, 1, tzinfo=west))
    assert build.deadline == datetime(2026, 10, 25, 12, 0, 0, 1, tzinfo=UTC)
    for moment in (build.deadline, build.created_at):
        assert moment.utcoffset() == timedelta(0)


TEXTS = [
    "naïve façade — 日本語 🛠 \u202e",
    "\x1b[31mred\x1b[0m\r\n\t",
    "'; DROP TABLE builds; --",
    "%s {x} :y $1",
]


@pytest.mark.parametrize("written", TEXTS)
def test_any_text_comes_back_as_it_was(catalog: Catalog, written: str) -> None:
    begin(catalog, plan={written: [written]}, requested_by=written, content={"text": written + "\0\ud800"})
    assert catalog.update_target(BUILD, "ec2", output_tail=written).output_tail == written
    assert catalog.fail_target(BUILD, "ec2", written).error == written
    build = catalog.build(BUILD)
    assert (build.plan, build.requested_by) == ({written: [written]}, written)
    version = catalog.generator_version("dstat", "0123456789ab")
    assert version and version.content == {"text": written + "\0\ud800"}


def test_bytes_no_database_holds_do_not_fail_a_build(catalog: Catalog) -> None:
    begin(catalog)
    catalog.fail_target(BUILD, "ec2", "binary \0 and half a letter \udcff")
    assert catalog.target(BUILD, "ec2").error == "binary \N{REPLACEMENT CHARACTER} and half a letter ?"


def test_two_threads_fail_one_target_and_one_reason_stands(catalog: Catalog) -> None:
    begin(catalog)
    together = threading.Barrier(8)

    def fail(number: int) -> str:
        together.wait()
        return catalog.fail_target(BUILD, "ec2", f"reason {number}").error

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(fail, range(8))) == {catalog.target(BUILD, "ec2").error}


def test_an_inventory_is_stored_once_for_its_content(catalog: Catalog) -> None:
    inventory = an_inventory(("bash", "5.2"), ("dstat", "0.7"))
    digest = catalog.record_inventory(inventory)
    assert catalog.record_inventory(an_inventory(("bash", "5.2"), ("dstat", "0.7"))) == digest == inventory.digest
    assert catalog.inventory(digest) == inventory
    assert catalog.inventory("0" * 64) is None


def test_inventories_share_packages_and_many_of_them_fit(catalog: Catalog) -> None:
    many = [(f"package-{number}", "1") for number in range(2_500)]
    first, second = an_inventory(*many), an_inventory(*many, ("more", "1"))
    assert catalog.record_inventory(first) != catalog.record_inventory(second)
    assert catalog.inventory(second.digest) == second


def test_an_image_has_the_inventory_its_target_had(catalog: Catalog) -> None:
    build = begin(catalog)
    digest = catalog.record_inventory(an_inventory(("bash", "5.2")))
    catalog.update_target(build.build_id, "ec2", inventory_digest=digest)
    image = catalog.record_image(build.build_id, "ec2", image_id="ami-1", name="one")
    assert (image.inventory_digest, image.verified_at) == (digest, None)
    verified = catalog.image_verified("ec2", "ami-1")
    assert verified.verified_at is not None
    assert catalog.image_verified("ec2", "ami-1") == verified


def save(catalog: Catalog, build_id: str, cloud: str) -> None:
    catalog.record_image(build_id, cloud, image_id=f"image-of-{build_id}", name="an image")


def test_pages_of_builds_are_those_of_the_generators_that_may_be_seen(catalog: Catalog, clock: Clock) -> None:
    first = begin(catalog)
    clock.pass_s(1)
    others = [begin_another(catalog, number, generator="other") for number in range(2, 5)]
    catalog.end_build(others[1].build_id, BuildState.FAILED, "no room")
    page, total = catalog.builds_page(generators={"other"}, limit=2, offset=1)
    assert ([each.generator for each in page], total) == (["other", "other"], 3)
    failed, total = catalog.builds_page(generators={"other", first.generator}, state=BuildState.FAILED, limit=5)
    assert ([each.build_id for each in failed], failed[0].error, total) == ([others[1].build_id], "no room", 1)
    assert failed[0].targets == {target.cloud: target.state for target in catalog.targets(failed[0].build_id)}
    assert catalog.builds_page(generators=set(), limit=5) == ([], 0)
    assert catalog.built_generators() == {"other", first.generator}


def test_the_latest_build_of_each_generator(catalog: Catalog, clock: Clock) -> None:
    old = begin(catalog)
    clock.pass_s(1)
    new = begin_another(catalog, 2)
    assert (old.generator, catalog.latest_builds([new.generator, "never"])[new.generator].build_id) == (
        new.generator,
        new.build_id,
    )
    assert set(catalog.latest_builds([new.generator, "never"])) == {new.generator}
    versions, total = catalog.versions_page(new.generator, limit=5)
    assert total == len(versions) == len({old.version, new.version})
    assert sum(version.builds for version in versions) == 2


def test_pages_of_images_are_filtered(catalog: Catalog, clock: Clock) -> None:
    build = begin(catalog)
    cloud = catalog.targets(build.build_id)[0].cloud
    save(catalog, build.build_id, cloud)
    here = {"generators": {build.generator}, "limit": 5}
    image = catalog.find_image(cloud, f"image-of-{build.build_id}")
    assert image is not None and catalog.images_page(**here) == ([image], 1)
    assert catalog.images_page(**here, cloud="elsewhere") == ([], 0)
    assert catalog.images_page(**here, saved_after=NOON + HOUR) == ([], 0)
    assert catalog.images_page(**here, saved_before=NOON + HOUR, saved_after=NOON) == ([image], 1)
    assert catalog.images_page(generators={"other"}, limit=5) == ([], 0)
    catalog.image_deleted(cloud, image.image_id)
    assert catalog.images_page(**here)[1] == 0
    assert catalog.images_page(**here, include_deleted=True)[1] == 1
    assert catalog.find_image(cloud, "nothing") is None


def test_the_newest_successful_image_is_found_by_what_it_was_made_of(catalog: Catalog, clock: Clock) -> None:
    for number, (version, source) in enumerate([("v1", "ami-a"), ("v2", "ami-a"), ("v2", "ami-b"), ("v3", "ami-a")]):
        build = begin_another(catalog, number, version=version)
        catalog.update_target(build.build_id, "ec2", source_image_id=source)
        catalog.record_image(build.build_id, "ec2", image_id=f"ami-{number}", name="one")
        clock.pass_s(1)
        catalog.image_available("ec2", f"ami-{number}")
        if version != "v3":
            catalog.advance_target(build.build_id, "ec2", TargetState.SUCCESSFUL)

    def ids(**wanted: Any) -> list[str]:
        found = catalog.successful_images("dstat", cloud="ec2", limit=10, **wanted)
        return [image.image_id for image in found]

    assert ids() == ["ami-2", "ami-1", "ami-0"], "the newest has an image, but its target is not successful"
    assert ids(version="v2") == ["ami-2", "ami-1"]
    assert ids(version="v2", source_image_id="ami-a") == ["ami-1"]
    assert [image.image_id for image in catalog.successful_images("dstat", cloud="ec2")] == ["ami-2"]
    assert catalog.successful_images("dstat", cloud="hotel") == catalog.successful_images("other", cloud="ec2") == []
    catalog.image_deleted("ec2", "ami-2")
    assert ids() == ["ami-1", "ami-0"]
    gone = catalog.image("ec2", "ami-2")
    assert gone is not None
    assert gone.deleted_at is not None
    assert catalog.image("hotel", "ami-2") is None


def test_a_target_that_keeps_an_image_is_successful_with_it(catalog: Catalog) -> None:
    begin(catalog)
    kept = catalog.keep_image(BUILD, "ec2", "ami-0")
    assert (kept.state, kept.kept_image_id, kept.instance_id) == (TargetState.SUCCESSFUL, "ami-0", "")
    assert kept.ended_at is not None
    assert catalog.keep_image(BUILD, "ec2", "ami-1") == kept, "it has ended"
    assert catalog.build(BUILD).state is BuildState.RUNNING
    catalog.fail_target(BUILD, "hotel", "no room")
    assert catalog.keep_image(BUILD, "hotel", "ami-0").kept_image_id == ""


def test_a_build_knows_until_when_its_images_were_made_known(catalog: Catalog, clock: Clock) -> None:
    begin(catalog)
    catalog.end_build(BUILD, BuildState.FAILED)
    assert catalog.restart_build(BUILD, deadline=NOON + 2 * HOUR).announced_at is None
    ended = catalog.end_build(BUILD, BuildState.SUCCESSFUL)
    assert ended.ended_at is not None
    clock.pass_s(60)
    assert catalog.restart_build(BUILD, deadline=NOON + 3 * HOUR).announced_at == ended.ended_at
    catalog.end_build(BUILD, BuildState.FAILED)
    assert catalog.restart_build(BUILD, deadline=NOON + 4 * HOUR).announced_at == ended.ended_at


def test_a_statement_is_kept_until_a_later_end_has_another(catalog: Catalog) -> None:
    begin(catalog)
    catalog.record_provenance(BUILD, '{"payload": "1"}')
    catalog.record_provenance(BUILD, '{"payload": "2"}')
    assert catalog.build(BUILD).provenance == '{"payload": "2"}'


# The board


def ask(catalog: Catalog, *keys: str, tick_s: float = 0, since: datetime | None = None) -> Turn:
    return catalog.note_questions("account", "look", keys, tick_s=tick_s, since=since)


def answer(catalog: Catalog, turn: Turn, *, failed: bool = False, **found: str) -> None:
    written = {key: {"value": word} for key, word in found.items()}
    catalog.answer_questions("account", "look", turn, written, failed=failed)


def come_again(catalog: Catalog, turn: Turn, *keys: str) -> Turn:
    return catalog.next_turn("account", "look", keys, ticket=turn.ticket, tick_s=0)


def test_one_asks_for_all_who_wait_and_all_read_the_answer(catalog: Catalog) -> None:
    first = ask(catalog, "a")
    assert (first.ask, first.number) == (("a",), 1)
    second, third = ask(catalog, "b"), ask(catalog, "b", "c")
    assert (second.ask, third.ask) == ((), ())
    assert second.wait_s > 0
    answer(catalog, first, a="seen")
    begun = come_again(catalog, second, "b")
    assert begun.ask == ("b", "c")
    answer(catalog, begun, b="two", c="three")
    assert come_again(catalog, second, "b").answers == {"b": {"value": "two"}}
    assert come_again(catalog, third, "b", "c").answers == {"b": {"value": "two"}, "c": {"value": "three"}}


def test_an_answer_asked_for_before_the_need_is_no_answer(catalog: Catalog) -> None:
    first = ask(catalog, "a")
    needs_it_later = ask(catalog, "a")
    answer(catalog, first, a="stale")
    begun = come_again(catalog, needs_it_later, "a")
    assert (begun.answers, begun.ask) == ({}, ("a",))


def test_who_takes_any_answer_since_a_moment_asks_for_nothing(catalog: Catalog, clock: Clock) -> None:
    before = clock()
    clock.pass_s(1)
    turn = ask(catalog, "a")
    begun = clock()
    clock.pass_s(1)
    answer(catalog, turn, a="found")
    assert ask(catalog, "a", since=begun).answers == {"a": {"value": "found"}}
    assert ask(catalog, "a", since=before).answers == {"a": {"value": "found"}}
    assert ask(catalog, "a", since=clock()).answers == {}, "it was asked for before that"


def test_trouble_is_no_answer_for_who_comes_later(catalog: Catalog, clock: Clock) -> None:
    turn = ask(catalog, "a")
    catalog.answer_questions("account", "look", turn, {"a": {"error": "CloudBusy"}}, failed=False)
    assert ask(catalog, "a", since=clock() - HOUR).ask == ("a",)


def test_rounds_keep_their_distance(catalog: Catalog, clock: Clock) -> None:
    first = ask(catalog, "a", tick_s=5)
    assert (first.ask, first.wait_s) == ((), 5), "others may come"
    clock.pass_s(2)
    second = ask(catalog, "b", tick_s=5)
    assert (second.ask, second.wait_s) == ((), 3)
    clock.pass_s(3)
    begun = catalog.next_turn("account", "look", ["a"], ticket=first.ticket, tick_s=5)
    assert begun.ask == ("a", "b")
    answer(catalog, begun, a="one", b="two")
    clock.pass_s(1)
    assert ask(catalog, "a", tick_s=5).wait_s == 5


def test_who_dies_while_it_asks_is_waited_for_so_long_and_no_longer(catalog: Catalog, clock: Clock) -> None:
    killed, waiting = ask(catalog, "a"), ask(catalog, "a")
    clock.pass_s(14)
    assert come_again(catalog, waiting, "a").ask == ()
    clock.pass_s(2)
    heir = come_again(catalog, waiting, "a")
    assert heir.ask == ("a",)
    answer(catalog, heir, a="new")
    answer(catalog, killed, a="old")
    assert come_again(catalog, waiting, "a").answers == {"a": {"value": "new"}}, "it lived and is late"


def test_who_is_slow_and_tells_so_is_not_replaced(catalog: Catalog, clock: Clock) -> None:
    slow, waiting = ask(catalog, "a"), ask(catalog, "a")
    clock.pass_s(14)
    catalog.renew_lease("account", "look", slow.number)
    clock.pass_s(14)
    assert come_again(catalog, waiting, "a").ask == ()


def test_trouble_slows_everybody_down_more_each_time_until_it_ends(catalog: Catalog, clock: Clock) -> None:
    for pause_s in (1, 2, 4, 8, 16, 30, 30):
        answer(catalog, ask(catalog, "a"), failed=True, a="busy")
        assert ask(catalog, "other").wait_s == pause_s
        clock.pass_s(pause_s)
    answer(catalog, ask(catalog, "a"), a="well")
    assert ask(catalog, "a").ask


def test_accounts_and_kinds_do_not_wait_for_each_other(catalog: Catalog) -> None:
    for account, kind in (("one", "look"), ("one", "name"), ("two", "look")):
        turn = catalog.note_questions(account, kind, ["a"], tick_s=0, since=None)
        assert turn.ask == ("a",)


def test_old_notes_are_forgotten(catalog: Catalog, clock: Clock, url: str) -> None:
    answer(catalog, ask(catalog, "a"), a="one")
    clock.pass_s(3601)
    answer(catalog, ask(catalog, "b"), b="two")
    assert sql(url, "SELECT key FROM questions") == [("b",)]


def test_many_who_ask_at_the_same_moment_are_one_round(catalog: Catalog) -> None:
    with ThreadPoolExecutor(8) as threads:
        turns = list(threads.map(lambda number: ask(catalog, f"key-{number}"), range(24)))
    assert len([turn for turn in turns if turn.ask]) == 1


# The budget of calls


def pay(catalog: Catalog, cloud: str = "ec2") -> float:
    return catalog.pay_for_call(cloud, per_s=2, longest_s=1)


def test_some_calls_come_at_once_and_all_others_at_their_pace(catalog: Catalog, clock: Clock) -> None:
    assert [pay(catalog) for _ in range(5)] == [0, 0, 0, 0, 0]
    assert [pay(catalog), pay(catalog)] == [0.5, 1]
    assert [pay(catalog), pay(catalog)] == [1.5, 1.5], "who would wait longer has not paid"
    clock.pass_s(0.5)
    assert pay(catalog) == 1
    clock.pass_s(60)
    assert pay(catalog) == 0, "what was not spent is no more than a few calls"
    assert [pay(catalog) for _ in range(5)] == [0, 0, 0, 0, 0.5]


def test_too_many_calls_stop_everybody_longer_each_time(catalog: Catalog, clock: Clock) -> None:
    for pause_s in (1, 2, 4, 8, 16, 30, 30):
        catalog.stop_calls("ec2")
        catalog.stop_calls("ec2")  # of another who was under way
        assert catalog.pay_for_call("ec2", per_s=2, longest_s=0) == pause_s
        clock.pass_s(pause_s)
        assert pay(catalog) == 0
    clock.pass_s(91)
    catalog.stop_calls("ec2")
    assert catalog.pay_for_call("ec2", per_s=2, longest_s=0) == 1, "that was long ago"


def test_each_cloud_has_a_budget_of_its_own(catalog: Catalog) -> None:
    catalog.stop_calls("ec2")
    assert pay(catalog, "hotel") == 0
    assert pay(catalog) > 0


def test_many_who_pay_at_the_same_moment_all_pay(catalog: Catalog) -> None:
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: catalog.pay_for_call("ec2", per_s=2, longest_s=60), range(24)))
    assert sorted(waits) == [*[0] * 5, *(number / 2 for number in range(1, 20))]


# What builds use together

GROUP = ResourceKind.SECURITY_GROUP


def use(catalog: Catalog, number: int, group_id: str = "sg-1") -> str:
    """A build that has launched into the group."""
    build = begin_another(catalog, number)
    ledger = catalog.ledger(build.build_id, "ec2")
    ledger.intend(GROUP, "ssh")
    ledger.made(GROUP, "ssh", group_id)
    ledger.intend(INSTANCE, f"vm-{number}")
    return build.build_id


def test_what_a_launch_has_used_is_known_to_the_next(catalog: Catalog) -> None:
    begin(catalog)
    ledger: Ledger = catalog.ledger(BUILD, "ec2")
    assert ledger.shared(GROUP, "ssh") == ""
    ledger.intend(GROUP, "ssh")
    ledger.made(GROUP, "ssh", "sg-1")
    assert ledger.shared(GROUP, "ssh") == "", "its rule may be missing yet"
    ledger.intend(INSTANCE, "vm")
    assert ledger.shared(GROUP, "ssh") == "sg-1"
    assert catalog.ledger(BUILD, "hotel").shared(GROUP, "ssh") == ""
    ledger.gone(GROUP, "sg-1")
    assert ledger.shared(GROUP, "ssh") == ""


def test_the_last_who_uses_it_has_to_delete_it(catalog: Catalog) -> None:
    one, other = use(catalog, 1), use(catalog, 2)
    assert catalog.let_go(one, "ec2", GROUP, "sg-1")
    assert catalog.resources(build_id=one)[-1].kind is INSTANCE, "the group's row is closed"
    assert not catalog.let_go(other, "ec2", GROUP, "sg-1")
    assert [row.kind for row in catalog.resources(build_id=other)] == [GROUP, INSTANCE]


def test_who_is_about_to_use_it_counts(catalog: Catalog) -> None:
    one, other = use(catalog, 1), begin_another(catalog, 2).build_id
    catalog.ledger(other, "ec2").intend(GROUP, "ssh")
    assert catalog.let_go(one, "ec2", GROUP, "sg-1")


def test_of_many_who_let_go_at_once_one_is_the_last(catalog: Catalog) -> None:
    builds = [use(catalog, number) for number in range(12)]
    with ThreadPoolExecutor(8) as threads:
        freed = list(threads.map(lambda build_id: catalog.let_go(build_id, "ec2", GROUP, "sg-1"), builds))
    assert freed.count(False) == 1
