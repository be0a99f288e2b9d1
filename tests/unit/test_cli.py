"""The command line as a whole: each command over a catalog in a file and an Airflow that answers like one."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagesmith.airflow_client import AirflowClient, Run
from imagesmith.catalog.records import BuildState, NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.cli import main
from imagesmith.commands import demo
from imagesmith.core import TargetState
from imagesmith.errors import BuildFailed
from imagesmith.progress import follow

GENERATOR = """\
name: dstat
script: |
  #!/bin/sh
  true
parameters:
  extra: {type: string, default: ""}
  count: {type: integer, default: 1}
clouds:
  here: {source_image: {name: "base-*", owner: vendor}, ssh_username: admin, instance_type: small}
  there: {source_image: {name: "base-*", owner: vendor}, ssh_username: admin, instance_type: small}
"""


class Maker:
    """Does to the catalog what the tasks of a run do."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def begin(
        self,
        run_id: str,
        *,
        dag_id: str = "dstat",
        optional: tuple[str, ...] = (),
        clouds: tuple[str, ...] = ("here", "there"),
    ) -> str:
        """The id of a new build."""
        build_id = f"20260101-000000-{len(self.catalog.builds()):06d}"
        self.catalog.begin_build(
            build_id=build_id,
            generator=dag_id,
            version="0123456789ab",
            content={},
            dag_id=dag_id,
            run_id=run_id,
            requested_by="admin",
            requested_how="manual",
            plan={},
            deadline=datetime.now(UTC) + timedelta(hours=1),
            targets=[
                NewTarget(cloud, required=cloud not in optional, image_name=f"{dag_id}-{build_id}") for cloud in clouds
            ],
        )
        return build_id

    def succeed(self, build_id: str, cloud: str) -> None:
        """The target has its image."""
        self.catalog.advance_target(build_id, cloud, TargetState.LAUNCHING)
        self.catalog.update_target(build_id, cloud, source_image_id="base-1", instance_id=f"i-{cloud}")
        self.catalog.start_step(build_id, cloud, "launch_vm")
        self.catalog.end_step(build_id, cloud, "launch_vm")
        self.catalog.record_image(build_id, cloud, image_id=f"image-{cloud}", name="new")
        self.catalog.image_available(cloud, f"image-{cloud}")
        self.catalog.advance_target(build_id, cloud, TargetState.SUCCESSFUL)

    def fail(self, build_id: str, cloud: str, error: str) -> None:
        """The target failed in its first step."""
        self.catalog.advance_target(build_id, cloud, TargetState.LAUNCHING)
        self.catalog.start_step(build_id, cloud, "launch_vm")
        self.catalog.end_step(build_id, cloud, "launch_vm", error=error)
        self.catalog.fail_target(build_id, cloud, error)

    def end(self, build_id: str, state: BuildState) -> None:
        """The build's end is written down."""
        self.catalog.end_build(build_id, state)


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog's file with all tables, made once because that takes longer than any test here."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.db"
    catalog = Catalog(f"sqlite:///{path}")
    catalog.upgrade()
    catalog.close()
    return path


@pytest.fixture
def maker(tmp_path: Path, empty_catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    shutil.copy(empty_catalog, tmp_path / "catalog.db")
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", url)
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(tmp_path / "include"))
    catalog = Catalog(url)
    yield Maker(catalog)
    catalog.close()


@pytest.fixture
def include(tmp_path: Path, maker: Maker) -> Path:
    folder = tmp_path / "include"
    (folder / "generators").mkdir(parents=True)
    (folder / "generators" / "dstat.yaml").write_text(GENERATOR)
    world = tmp_path / "world.json"
    (folder / "clouds.yaml").write_text(
        f"here: {{type: memory, path: {world}}}\nthere: {{type: memory, path: {world}}}\n"
    )
    return folder


def _successful(maker: Maker) -> Any:
    def on_trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
        build_id = maker.begin(run_id, dag_id=dag_id)
        for cloud in ("here", "there"):
            maker.succeed(build_id, cloud)
        maker.end(build_id, BuildState.SUCCESSFUL)
        return "running"

    return on_trigger


# build


def test_build_starts_a_run_and_says_where_to_see_it(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "dstat"]) == 0
    ((_, run_id),) = airflow.runs
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"dstat: run {run_id} started"
    assert lines[1].startswith(f"{airflow.url}/dags/dstat/runs/")
    assert airflow.runs["dstat", run_id]["conf"] == {}


def test_build_sends_typed_values_and_the_chosen_clouds(airflow: Any, include: Path) -> None:
    assert main(["build", "dstat", "--param", "count=3", "--param", "extra=a=b", "--cloud", "there"]) == 0
    (run,) = airflow.runs.values()
    assert run["conf"] == {"count": 3, "extra": "a=b", "clouds": ["there"]}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--param", "count=x"], "parameter count: 'x' is not a whole number"),
        (["--param", "counts=1"], "there is no parameter counts; did you mean count?"),
        (["--param", "count"], "--param count: has no value; write --param NAME=VALUE"),
        (["--param", "count=1", "--param", "count=2"], "--param count is given twice"),
        (["--cloud", "her"], "cloud her is not one of this generator; did you mean here?"),
    ],
)
def test_build_starts_nothing_when_a_word_is_wrong(
    airflow: Any, include: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert main(["build", "dstat", *words]) == 1
    assert complaint in capsys.readouterr().err
    assert airflow.runs == {}


def test_build_leaves_the_judgement_to_airflow_where_the_file_is_not_here(airflow: Any, maker: Maker) -> None:
    assert main(["build", "dstat", "--param", "count=3"]) == 0
    (run,) = airflow.runs.values()
    assert run["conf"] == {"count": "3"}


def test_build_waits_for_a_file_that_airflow_has_not_read_yet(
    airflow: Any, include: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del airflow.dags["dstat"]
    monkeypatch.setattr("imagesmith.commands.build.time.sleep", lambda _seconds: airflow.add_dag("dstat"))
    assert main(["build", "dstat"]) == 0
    assert "its file is here, so Airflow will read it soon" in capsys.readouterr().out


def test_build_wait_tells_a_success_with_image_and_parent(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.on_trigger = _successful(maker)
    assert main(["build", "dstat", "--wait"]) == 0
    shown = capsys.readouterr().out
    assert "of dstat 0123456789ab: successful in" in shown
    assert "image-there" in shown
    assert "made from base-1" in shown


def test_build_wait_json_prints_nothing_else_on_standard_output(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.on_trigger = _successful(maker)
    assert main(["build", "dstat", "--wait", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "successful"
    assert {target["cloud"]: target["image_id"] for target in document["targets"]} == {
        "here": "image-here",
        "there": "image-there",
    }


def test_build_wait_fails_with_the_reason_of_a_required_target(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
        build_id = maker.begin(run_id)
        maker.succeed(build_id, "here")
        maker.fail(build_id, "there", "there: the script ended with 3")
        maker.end(build_id, BuildState.FAILED)
        return "running"

    airflow.on_trigger = on_trigger
    assert main(["build", "dstat", "--wait"]) == 1
    shown = capsys.readouterr().out
    assert "reason    there: the script ended with 3" in shown
    assert not any("logs" in call for call in airflow.calls)


def test_build_wait_succeeds_when_only_an_optional_target_failed(airflow: Any, maker: Maker) -> None:
    def on_trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
        build_id = maker.begin(run_id, optional=("there",))
        maker.succeed(build_id, "here")
        maker.fail(build_id, "there", "no room")
        maker.end(build_id, BuildState.SUCCESSFUL)
        return "running"

    airflow.on_trigger = on_trigger
    assert main(["build", "dstat", "--wait"]) == 0


def test_build_wait_fetches_the_reason_that_only_a_tasks_log_has(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> str:
        build_id = maker.begin(run_id)
        for cloud in ("here", "there"):
            maker.catalog.fail_target(build_id, cloud, "never got to its end", state=TargetState.CANCELLED)
        maker.end(build_id, BuildState.CANCELLED)
        return "running"

    airflow.on_trigger = on_trigger
    task = {"task_id": "here.launch_vm", "state": "failed", "try_number": 1, "error": "no connection named here"}
    airflow.tasks = {"here.launch_vm": task}
    assert main(["build", "dstat", "--wait"]) == 1
    assert "here.launch_vm: no connection named here" in capsys.readouterr().out


def test_build_wait_tells_why_a_build_never_began(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.on_trigger = lambda dag_id, run_id, conf: "failed"
    task = {"task_id": "begin", "state": "failed", "try_number": 1, "error": "there is no parameter foo"}
    airflow.tasks = {"begin": task}
    assert main(["build", "dstat", "--wait"]) == 1
    complaint = capsys.readouterr().err
    assert "is failed before its build began:\nbegin: there is no parameter foo" in complaint


def test_commands_say_how_to_start_airflow(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_PASSWORD", "x")
    assert main(["build", "dstat"]) == 1
    assert "start it with `make up`" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["build", "cancel", "status", "images", "secret"])
def test_a_command_starts_without_what_is_slow_to_import(command: str) -> None:
    code = (
        "import sys\nfrom imagesmith.cli import main\n"
        f"try:\n    main([{command!r}, '--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'sqlalchemy', 'pydantic', 'rich', 'httpx', 'boto3', 'asyncssh'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


# following


class _Clock:
    """Time that passes only in pauses; each pause lets the next thing happen."""

    def __init__(self, *events: Any) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._events = list(events)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        if self._events:
            self._events.pop(0)()


def test_following_shows_each_state_and_ends_with_the_builds_record(airflow: Any, maker: Maker) -> None:
    client = AirflowClient(airflow.api)
    run = client.trigger("dstat", {})
    build_id = "20260101-000000-000000"
    clock = _Clock(
        lambda: maker.begin(run.run_id),
        lambda: maker.succeed(build_id, "here"),
        lambda: maker.fail(build_id, "there", "no room"),
        lambda: maker.end(build_id, BuildState.FAILED),
    )
    looks = [
        look and (str(look.state), [str(each.target.state) for each in look.targets])
        for look in follow(run, catalog=maker.catalog, airflow=client, pause=clock.pause, clock=clock)
    ]
    assert looks == [
        None,
        ("submitted", ["submitted", "submitted"]),
        ("running", ["successful", "submitted"]),
        ("running", ["successful", "failed"]),
        ("failed", ["successful", "failed"]),
    ]
    assert clock.pauses[-1] < clock.pauses[1], "once the targets have ended, moments count"


def test_following_ends_when_the_run_ended_without_its_last_task(airflow: Any, maker: Maker) -> None:
    client = AirflowClient(airflow.api)
    run = client.trigger("dstat", {})
    maker.begin(run.run_id)
    clock = _Clock(lambda: client.fail_run("dstat", run.run_id))
    with pytest.raises(BuildFailed, match="is failed and left build 20260101-000000-000000 submitted; see http"):
        list(follow(run, catalog=maker.catalog, airflow=client, pause=clock.pause, clock=clock))
    assert clock.now < 10


def test_following_outlives_an_api_server_that_is_away(airflow: Any, maker: Maker) -> None:
    client = AirflowClient(airflow.api)
    run = client.trigger("dstat", {})
    build_id = maker.begin(run.run_id)
    airflow.refusal = (503, {"detail": "starting"})

    def ended() -> None:
        for cloud in ("here", "there"):
            maker.succeed(build_id, cloud)
        maker.end(build_id, BuildState.SUCCESSFUL)

    clock = _Clock(*[lambda: None] * 30, ended)
    looks = list(follow(run, catalog=maker.catalog, airflow=client, pause=clock.pause, clock=clock))
    assert looks[-1] is not None
    assert looks[-1].successful


def test_following_notices_a_run_that_was_deleted(airflow: Any, maker: Maker) -> None:
    client = AirflowClient(airflow.api)
    clock = _Clock()
    with pytest.raises(BuildFailed, match="run r1 is deleted before its build began"):
        list(
            follow(Run("dstat", "r1", "queued"), catalog=maker.catalog, airflow=client, pause=clock.pause, clock=clock)
        )


# cancel


def test_cancel_fails_the_run_of_a_build(airflow: Any, maker: Maker) -> None:
    assert main(["build", "dstat"]) == 0
    ((_, run_id),) = airflow.runs
    build_id = maker.begin(run_id)
    assert main(["cancel", build_id]) == 0
    assert airflow.runs["dstat", run_id]["state"] == "failed"


def test_cancel_takes_the_id_of_a_run_that_has_no_build_yet(airflow: Any, maker: Maker) -> None:
    assert main(["build", "dstat"]) == 0
    ((_, run_id),) = airflow.runs
    assert main(["cancel", run_id]) == 0
    assert airflow.runs["dstat", run_id]["state"] == "failed"


def test_cancel_says_when_there_is_nothing_to_end(
    airflow: Any, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cancel", "nope"]) == 1
    assert "neither a build nor a run of that id" in capsys.readouterr().err
    airflow.on_trigger = lambda dag_id, run_id, conf: "success"
    assert main(["build", "dstat"]) == 0
    ((_, run_id),) = airflow.runs
    assert main(["cancel", run_id]) == 1
    assert "is over: success" in capsys.readouterr().err


# status, images, secret


def test_status_lists_builds_newest_first(maker: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    maker.begin("r1")
    maker.succeed(maker.begin("r2"), "here")
    assert main(["status"]) == 0
    heading, newest, oldest = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "BUILD"
    assert newest.startswith("20260101-000000-000001")
    assert "here successful image-here" in newest
    assert oldest.startswith("20260101-000000-000000")


@pytest.mark.parametrize("word", ["20260101-000000-000000", "r1", "dstat"])
def test_status_shows_one_build_by_any_of_its_names(
    maker: Maker, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    maker.succeed(maker.begin("r1"), "here")
    assert main(["status", word]) == 0
    shown = capsys.readouterr().out
    assert "image-here" in shown
    assert "launch_vm" in shown


def test_status_of_what_nobody_knows(maker: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "nope"]) == 1
    assert "nope: neither a build nor a generator that was built" in capsys.readouterr().err


def test_images_are_shown_with_what_they_were_made_from(maker: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    build_id = maker.begin("r1")
    for cloud in ("here", "there"):
        maker.succeed(build_id, cloud)
    maker.catalog.image_deleted("there", "image-there")
    assert main(["images"]) == 0
    shown = capsys.readouterr().out
    assert "image-here" in shown
    assert "base-1" in shown
    assert "image-there" not in shown
    assert main(["images", "--all", "--cloud", "there", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert (image["image_id"], image["state"]) == ("image-there", "gone")


def test_each_secret_is_new_and_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret"]) == 0
    assert main(["secret"]) == 0
    first, second = capsys.readouterr().out.split()
    assert first != second
    assert len(base64.urlsafe_b64decode(first)) == 32


# demo


def test_demo_shows_each_image_with_its_parent_and_how_to_look_inside(maker: Maker) -> None:
    build_id = maker.begin("r1")
    for cloud in ("here", "there"):
        maker.succeed(build_id, cloud)
    shown = "\n".join(demo.images_shown("dstat", "r1"))
    for words in ("image-here", "image-there", "parent image  base-1", "--image-id image-here", "dstat --version"):
        assert words in shown


def test_demo_shows_how_to_look_into_an_image_on_openstack(maker: Maker) -> None:
    build_id = maker.begin("r1", clouds=("openstack-sierra",))
    maker.succeed(build_id, "openstack-sierra")
    shown = "\n".join(demo.images_shown("dstat", "r1"))
    assert "any OpenStack client" in shown and "grep -A1 ^openstack-sierra" in shown
    assert "aws" not in shown


def test_demo_shows_how_to_look_into_an_image_on_nimbus(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "a home"))
    build_id = maker.begin("r1", clouds=("nimbus-hotel-kvm",))
    maker.succeed(build_id, "nimbus-hotel-kvm")
    shown = "\n".join(demo.images_shown("dstat", "r1"))
    files = tmp_path / "a home" / "sandbox" / "nimbus" / "cloud-client"
    client = f"'{files}/bin/cloud-client.sh' --conf '{files}/conf/nimbus-hotel-kvm.conf'"
    name = maker.catalog.images(build_id=build_id)[0].name
    assert f"{client} --history-dir look-nimbus-hotel-kvm --run --hours 1 --name {name} " in shown
    assert "root@$address dstat --version" in shown and "ssh -n " in shown and "--terminate" in shown
    assert "aws" not in shown and "OpenStack" not in shown


# plan


ANSWER = {
    "cloud": "here",
    "identity": "memory:world",
    "source_image_id": "image-base-2",
    "source_image_name": "base-20260201",
    "image_name": "new",
    "problems": [],
}


def _answering(airflow: Any, **changes: Any) -> None:
    airflow.on_trigger = lambda dag_id, run_id, conf: "success"
    airflow.results["ask"] = {"version": "0123456789ab", "answers": [{**ANSWER, **changes}]}


def test_plan_shows_what_would_be_done_without_asking(
    include: Path, maker: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "dstat", "--offline", "--cloud", "here", "--param", "count=2"]) == 0
    shown = capsys.readouterr().out
    for words in ("inline-1", "count = 2", "base-* of owner vendor", "small, SSH as admin", "launch 10m"):
        assert words in shown
    assert "there" not in shown


def test_plan_asks_the_clouds_through_airflow(airflow: Any, include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _answering(airflow)
    assert main(["plan", "dstat", "--cloud", "here", "--param", "count=2"]) == 0
    (run,) = airflow.runs.values()
    assert run["conf"] == {"generator": "dstat", "clouds": ["here"], "parameters": {"extra": "", "count": 2}}
    shown = capsys.readouterr().out
    assert "here answers: yes" in shown
    assert "image-base-2 base-20260201" in shown


def test_plan_ends_with_1_when_a_cloud_says_no(airflow: Any, include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _answering(airflow, problems=["here: the key is wrong"])
    assert main(["plan", "dstat", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["answers"][0]["problems"] == ["here: the key is wrong"]
    assert "text" not in document["plan"]["scripts"][0]


def test_plan_without_airflow_shows_the_rest_and_says_so(
    include: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_PASSWORD", "x")
    assert main(["plan", "dstat"]) == 1
    shown = capsys.readouterr().out
    assert "base-* of owner vendor" in shown
    assert "the clouds were not asked: Airflow does not answer" in shown


def test_plan_of_a_generator_that_is_not_there(include: Path, maker: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "nope"]) == 1
    assert "generators/nope.yaml" in capsys.readouterr().err
