"""REST inside a real Airflow app: its users, its auth manager, its password gate, its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from imagesmith.sandbox.openstack.sites import PASSWORD

from .openstack_sites import HOTEL, Sites

USERS = {"ann": "admin", "uma": "user", "vic": "viewer"}
AT = "/imagesmith/api/v1"
JWT_SECRET = "orchestration-orchestration-orchestration-orchestration-0123456789"


@dataclass
class Api:
    """Airflow's whole app, with ours in it, and a token for each user."""

    client: TestClient
    tokens: dict[str, str]

    def ask(self, method: str, path: str, *, user: str | None = "ann", **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return self.client.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)

    def run(self, run_id: str, dag_id: str = "tools") -> dict[str, Any]:
        """What Airflow itself says of the run."""
        answer = self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def api(deployment: Any, tmp_path: Path) -> Iterator[Api]:
    """The API server's app in this process; Airflow has read no DAG of the deployment but those of tests before."""
    from airflow.api_fastapi.app import create_app, purge_cached_app

    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({user: f"{user}'s" for user in USERS}))
    users = ",".join(f"{user}:{role}" for user, role in USERS.items())
    deployment.patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", users)
    deployment.patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    deployment.patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", JWT_SECRET)
    purge_cached_app()
    app = create_app(apps="core")
    ours = next(route.app for route in app.routes if getattr(route, "path", "") == "/imagesmith")
    # The plugin is made once in a process, and each test has a catalog of its own.
    vars(ours._app.state.parts).pop("catalog", None)
    with TestClient(app, base_url="http://airflow") as client:
        tokens = {}
        for user in USERS:
            answer = client.post("/auth/token", json={"username": user, "password": f"{user}'s"})
            assert answer.status_code == 201, answer.text
            tokens[user] = answer.json()["access_token"]
        client.cookies.clear()
        yield Api(client, tokens)
    purge_cached_app()


def read_dags() -> None:
    """What the dag-processor does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    from .conftest import PROJECT

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(
        DagBag(PROJECT / "dags", bundle_path=PROJECT / "dags", bundle_name="dags-folder"), "dags-folder", None
    )


def start(api: Api, *, user: str = "uma", **wanted: Any) -> Any:
    return api.ask("POST", f"{AT}/builds", user=user, json={"generator": "tools", **wanted})


def test_a_build_started_here_is_a_run_as_any_other(deployment: Any, api: Api) -> None:
    deployment.generator("nobody-elses")
    assert start(api, generator="nobody-elses").status_code == 409, "Airflow has not read it"
    deployment.generator(parameters={"extra": {"type": "string", "default": ""}})
    read_dags()
    answer = start(api, parameters={"extra": "vim"}, clouds=["first"], note="by hand")
    assert answer.status_code == 202, answer.text
    run = api.run(answer.json()["run_id"])
    assert run["conf"] == {"extra": "vim", "clouds": ["first"]}
    assert (run["triggering_user_name"], run["run_type"], run["note"]) == ("uma", "manual", "by hand")
    followed = api.ask("GET", answer.headers["Location"], user="vic").json()
    assert (followed["state"], followed["build"]) == ("queued", None)
    wrong = start(api, clouds=["mars"])
    assert wrong.status_code == 422
    assert "'mars' is not one of ['first']" in wrong.json()["detail"]


def test_rights_are_those_of_airflows_auth_manager(deployment: Any, api: Api) -> None:
    deployment.generator()
    read_dags()
    done = deployment.build(deployment.run()).build_id
    seen = api.ask("GET", f"{AT}/generators/tools", user="vic")
    assert seen.json()["may"] == {"build": False, "edit": False, "delete": False}
    changed = {"document": {**seen.json()["document"], "description": "other"}}
    guarded = {"If-Match": seen.headers["ETag"]}
    refused = [
        start(api, user="vic"),
        api.ask("PUT", f"{AT}/generators/tools", user="vic", json=changed, headers=guarded),
        api.ask("DELETE", f"{AT}/generators/tools", user="vic", headers=guarded),
        api.ask("POST", f"{AT}/generators", user="vic", json={"name": "new", **changed}),
        api.ask("POST", f"{AT}/builds/{done}/cancel", user="vic"),
        api.ask("POST", f"{AT}/builds/{done}/retry", user="vic"),
        api.ask("POST", f"{AT}/clouds/first/tests", user="vic"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 7
    assert api.ask("GET", f"{AT}/builds/{done}", user="vic").json()["state"] == "successful"
    assert api.ask("GET", f"{AT}/images", user="vic").json()["total"] == 1
    connections = [api.ask("GET", f"{AT}/clouds/first", user=user).json()["connection"] for user in ("ann", "vic")]
    assert connections == [True, None]
    saved = api.ask("PUT", f"{AT}/generators/tools", user="uma", json=changed, headers=guarded)
    assert (saved.status_code, saved.json()["description"]) == (200, "other")


def test_nobody_unknown_comes_in_and_no_other_sites_page_writes(deployment: Any, api: Api) -> None:
    deployment.generator()
    read_dags()
    assert api.ask("GET", f"{AT}/builds", user=None).status_code == 401
    forged = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."}
    assert api.ask("GET", f"{AT}/builds", user=None, headers=forged).status_code == 401
    cookie = {"Cookie": f"_token={api.tokens['uma']}"}
    assert api.ask("GET", f"{AT}/builds", user=None, headers=cookie).status_code == 200
    wanted = {"json": {"generator": "tools"}}
    assert api.ask("POST", f"{AT}/builds", user=None, headers=cookie, **wanted).status_code == 403
    guarded = {**cookie, "X-Requested-With": "page"}
    foreign = {**guarded, "Origin": "https://elsewhere.example"}
    assert api.ask("POST", f"{AT}/builds", user=None, headers=foreign, **wanted).status_code == 403
    answer = api.ask("POST", f"{AT}/builds", user=None, headers=guarded, **wanted)
    assert answer.status_code == 202, answer.text
    assert api.run(answer.json()["run_id"])["triggering_user_name"] == "uma"


def test_a_failed_build_is_retried_where_it_failed(deployment: Any, api: Api) -> None:
    deployment.clouds("second")
    deployment.generator(clouds={"first": {}, "second": {"image_name": "second-{build_id}", "source_image": "ami-0"}})
    failed = deployment.run()
    build = deployment.build(failed)
    before = deployment.site.images()
    assert (str(build.state), len(before)) == ("failed", 1)
    answer = api.ask("POST", f"{AT}/builds/{build.build_id}/retry", user="uma")
    assert answer.status_code == 202, answer.text
    tasks = api.ask("GET", f"/api/v2/dags/tools/dagRuns/{failed.run_id}/taskInstances").json()["task_instances"]
    cleared = {task["task_id"] for task in tasks if task["state"] is None}
    again = {f"second.{step}" for step in ("launch_vm", "customize", "snapshot_image", "terminate")}
    # Airflow clears the teardowns of what it clears, and `begin` has them all; this one finds nothing to remove.
    assert cleared == {"begin", "publish", "first.terminate", *again}
    assert api.run(failed.run_id)["state"] == "queued"
    assert api.ask("POST", f"{AT}/builds/{build.build_id}/retry", user="uma").status_code == 409


def test_a_cloud_is_tested_where_its_connection_is(deployment: Any, api: Api) -> None:
    read_dags()
    answer = api.ask("POST", f"{AT}/clouds/first/tests", user="uma")
    assert answer.status_code == 202, answer.text
    run = deployment.run("imagesmith_test_cloud", conf={"cloud": "first"})
    told = api.ask("GET", f"{AT}/clouds/first/tests/{run.run_id}").json()
    assert (told["ended"], told["reachable"], told["problem"]) == (True, True, "")
    assert told["identity"].startswith("arn:aws:")
    deployment.connection("first", secret="not-the-secret")
    run = deployment.run("imagesmith_test_cloud", conf={"cloud": "first"})
    told = api.ask("GET", f"{AT}/clouds/first/tests/{run.run_id}").json()
    assert (told["reachable"], told["identity"]) == (False, "")
    assert "first: " in told["problem"]


def test_a_clouds_own_images_are_listed_where_its_connection_is(deployment: Any, api: Api) -> None:
    read_dags()
    answer = api.ask("POST", f"{AT}/clouds/first/listings", user="uma", json={"search": "simulated"})
    assert answer.status_code == 202, answer.text
    assert api.ask("POST", f"{AT}/clouds/first/listings", user="vic", json={}).status_code == 403
    run = deployment.run("imagesmith_list_cloud", conf={"cloud": "first", "search": "simulated"})
    told = api.ask("GET", f"{AT}/clouds/first/listings/{run.run_id}").json()
    assert (told["ended"], told["problem"], "t3.small" in told["instance_types"]) == (True, "", True)
    assert told["images"] and all("simulated" in image["name"] for image in told["images"])
    deployment.connection("first", secret="not-the-secret")
    run = deployment.run("imagesmith_list_cloud", conf={"cloud": "first", "search": ""})
    told = api.ask("GET", f"{AT}/clouds/first/listings/{run.run_id}").json()
    assert (told["images"], "first: " in told["problem"]) == ([], True)


def test_a_password_is_sealed_before_anything_is_stored(deployment: Any, api: Api) -> None:
    openstack = Sites(deployment)
    openstack.generator(HOTEL)
    read_dags()
    missing = start(api)
    assert (missing.status_code, "asks for its password" in missing.json()["detail"]) == (422, True)
    wrong = start(api, passwords={HOTEL: "not the password"})
    assert (wrong.status_code, "does not take this password" in wrong.json()["detail"]) == (422, True)
    assert "not the password" not in wrong.text
    answer = start(api, passwords={HOTEL: PASSWORD})
    assert answer.status_code == 202, answer.text
    assert api.run(answer.json()["run_id"])["conf"][f"password_{HOTEL}"].startswith("sealed.1.")
    past = start(api, parameters={f"password_{HOTEL}": PASSWORD})
    assert past.status_code == 422
    assert PASSWORD not in answer.text + past.text
