"""Secret parameters on their way through a whole build: the script has them, and nothing else keeps them."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import make_url

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.sealing import is_sealed

VALUE = "Pl4nted s3cret/value"
PARAMETERS = {"token": {"type": "string", "secret": True}}
REVEAL = "#!/bin/sh\n# sandbox: reveal token\n# sandbox: print done\n"


def sealed(value: str = VALUE, *, generator: str = "tools") -> dict[str, str]:
    """The conf of a run whose value the API server has sealed."""
    from hooks.password_desk import AirflowDesk

    return {"token": AirflowDesk().seal(generator, "token", value)}


def rows_of(deployment) -> bytes:
    """All that is in the catalog."""
    with sqlite3.connect(make_url(os.environ["IMAGESMITH_CATALOG_URL"]).database) as database:
        return "\n".join(database.iterdump()).encode()


@pytest.mark.parametrize("patience", ["600", "0"])
def test_the_script_has_it_and_nothing_keeps_it(deployment, monkeypatch, patience):
    monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", patience)
    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    conf = sealed()
    run = deployment.run(conf=conf)
    assert (run.state, deployment.target(run).output_tail) == ("success", "***\ndone\n")
    build = deployment.build(run)
    assert (build.plan["secrets"], build.plan["parameters"], build.sealed_secrets) == (["token"], {}, None)
    rows = rows_of(deployment)
    assert b"done" in rows and VALUE.encode() not in rows and conf["token"].encode() not in rows
    assert deployment.site.left() == []


def test_while_the_build_runs_only_the_sealed_value_is_kept(deployment):
    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    run = deployment.run(conf=sealed(), without="publish")
    build = deployment.build(run)
    assert build.sealed_secrets is not None and is_sealed(build.sealed_secrets["token"])
    assert VALUE.encode() not in rows_of(deployment)


def test_the_error_of_a_script_that_shows_it_hides_it(deployment, capfd, caplog):
    deployment.generator(parameters=PARAMETERS, script=f"{REVEAL}# sandbox: exit 3\n")
    run = deployment.run(conf=sealed())
    target = deployment.target(run)
    assert (run.state, target.state) == ("failed", TargetState.FAILED)
    assert "exited 3; the last it printed:\n***\ndone" in target.error
    assert deployment.build(run).sealed_secrets is None
    said = "".join(capfd.readouterr()) + caplog.text
    assert "exited 3" in said and VALUE not in said
    assert VALUE.encode() not in rows_of(deployment)


def test_a_value_that_came_past_the_gate_makes_no_run(deployment):
    from airflow.sdk.exceptions import ParamValidationError

    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    with pytest.raises(ParamValidationError):
        deployment.run(conf={"token": VALUE})
    assert deployment.catalog.builds() == []


def test_a_run_without_it_launches_nothing(deployment):
    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    run = deployment.run()
    assert (run.state, run.tasks["begin"]) == ("failed", "failed")
    assert (deployment.catalog.builds(), deployment.site.instances()) == ([], {})


@pytest.mark.parametrize("generator", ["others", "tools"])
def test_a_value_for_another_generator_launches_nothing(deployment, generator):
    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    deployment.generator("others", parameters=PARAMETERS, script=REVEAL)
    run = deployment.run(conf=sealed(generator=generator))
    assert (run.state == "success") == (generator == "tools")
    if generator == "others":
        assert "token was not sealed for token of tools" in deployment.target(run).error
        assert deployment.site.instances() == {}


def test_a_cleared_build_whose_secrets_are_gone_says_so(deployment, caplog, capfd):
    deployment.generator(parameters=PARAMETERS, script=f"{REVEAL}# sandbox: exit 3\n")
    run = deployment.run(conf=sealed())
    launched = deployment.site.instances()
    again = deployment.run(again=run)
    assert (again.state, again.tasks["begin"]) == ("failed", "failed")
    assert "had the secret parameters token, which were removed" in "".join(capfd.readouterr()) + caplog.text
    assert deployment.site.instances() == launched
    assert deployment.build(run).attempt == 1


def test_the_janitor_removes_it_from_a_build_that_nobody_ended(deployment):
    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    run = deployment.run(conf=sealed(), without=r".*(customize|snapshot_image|terminate)|publish")
    build_id = deployment.build(run).build_id
    deployment.catalog.restart_build(build_id, deadline=datetime.now(UTC) - timedelta(days=2))
    assert deployment.catalog.build(build_id).sealed_secrets is not None
    assert deployment.run("imagesmith_janitor", conf={"dry_run": False}).state == "success"
    ended = deployment.catalog.build(build_id)
    assert (ended.state, ended.sealed_secrets) == (BuildState.CANCELLED, None)


def test_at_the_end_of_a_run_its_conf_holds_none(deployment):
    from listeners import run_ends

    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    run = SimpleNamespace(dag_id="tools", run_id="never-began", conf={**sealed(), "clouds": ["first"]})
    run_ends.on_dag_run_failed(run, "")
    assert run.conf == {"clouds": ["first"]}


def test_the_desk_knows_what_is_secret(deployment):
    from hooks.password_desk import AirflowDesk

    deployment.generator(parameters=PARAMETERS, script=REVEAL)
    deployment.generator("others", parameters={"key": {"type": "string", "secret": True}}, script=REVEAL)
    desk = AirflowDesk()
    assert desk.secrets_of("tools") == {"token"}
    assert desk.secrets_of("imagesmith_janitor") == frozenset()
    assert desk.secrets_of(None) == {"token", "key"}
