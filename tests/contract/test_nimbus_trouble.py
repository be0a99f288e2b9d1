"""What the Nimbus driver does when its client hangs or is killed, and when what it remembers is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagesmith.clouds import nimbus as driver
from imagesmith.clouds import nimbus_client as client
from imagesmith.clouds.nimbus import Folder, NimbusCloud
from imagesmith.core import ImageQuery, ImageState, InstanceState, Resource, ResourceKind, SaveRequest
from imagesmith.errors import CloudBusy, CredentialsRefused, InstanceLost, NameTaken, SaveFailed, SaveInterrupted

from .nimbus_site import NimbusSite

KVM = "nimbus-hotel-kvm"


@pytest.fixture
def site(sandbox_endpoint, tmp_path):
    site = NimbusSite(sandbox_endpoint, KVM, tmp_path / "home")
    yield site
    site.close()


def _folder(site: NimbusSite, instance_id: str) -> Folder:
    return Folder(site.home / "nimbus" / KVM / instance_id.rpartition("#")[0])


def _request(site: NimbusSite, instance_id: str, **changes: Any) -> SaveRequest:
    return replace(site.save_request(instance_id), **changes)


def _begin_save(site: NimbusSite, instance_id: str, *, wait_for: str = "", **changes: Any) -> tuple[SaveRequest, str]:
    """A save whose client runs; with `wait_for`, once the workspace is in that state."""
    request = _request(site, instance_id, **changes)
    image_id = site.cloud().save(request, site.ledger)
    number = instance_id.rpartition("#")[2]
    _until(lambda: not wait_for or site.workspace(number)["state"] == wait_for)
    return request, image_id


def _kill_save(site: NimbusSite, instance_id: str) -> None:
    pid = _save_pid(site, instance_id)
    os.killpg(pid, signal.SIGKILL)
    _until(lambda: not client.is_running(pid))


def _until(done: Any) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _secrets(pid: int = 0) -> list[Path]:
    """The directories with secrets of this process, or of another."""
    found = client.secrets_root().glob("imagesmith-nimbus-*")
    return [each for each in found if (each / "pid").read_text() == str(pid or os.getpid())]


def _save_pid(site: NimbusSite, instance_id: str) -> int:
    return int((_folder(site, instance_id).path / "save.pid").read_text().split()[0])


def test_the_tags_of_an_image_outlive_the_machine_that_saved_it(site, tmp_path):
    image_id, _ = site.image_id()
    tags = {"imagesmith:build": "20260101-000000-abcdef", "imagesmith:digest": "d" * 64}
    site.cloud().finish_image(image_id, tags=tags, public=False)
    shutil.rmtree(site.home)
    elsewhere = site.cloud(home=tmp_path / "another")
    found = elsewhere.find_images()
    assert [(each.id, each.build_id) for each in found] == [(image_id, "20260101-000000-abcdef")]
    assert tags.items() <= found[0].tags.items()
    assert site.cloud(user=1).find_images() == []
    assert elsewhere.find_source_image(ImageQuery(name="*", owner="self")).id == image_id
    elsewhere.delete(found)
    assert elsewhere.find_images() == []
    assert elsewhere._store.list("imagesmith") == []


def test_a_save_whose_client_is_killed_while_the_service_saves(site):
    instance_id = site.running()
    site.settings(image_s=6.0)
    request, image_id = _begin_save(site, instance_id, wait_for="ReadyingForTransport")
    _kill_save(site, instance_id)
    assert site.image(image_id).state is ImageState.PENDING
    assert site.cloud().save(request, site.ledger) == image_id
    assert site.until_image(image_id, ImageState.AVAILABLE).name == request.name
    pid = _save_pid(site, instance_id)
    site.cloud().delete(site.cloud().find_resources(request.build_id))
    assert _secrets(pid) == []


def test_a_save_whose_client_is_killed_before_it_asks_is_begun_anew(site):
    instance_id = site.running()
    site.fault("save", "hang_before", seconds=60)
    request, image_id = _begin_save(site, instance_id)
    _until(lambda: not site.planned())
    _kill_save(site, instance_id)
    with pytest.raises(SaveInterrupted, match="did not get so far that the service saves: it was ended"):
        site.image(image_id)
    assert site.cloud().save(request, site.ledger) == image_id
    site.until_image(image_id, ImageState.AVAILABLE)


def test_a_save_that_hangs_after_it_has_told_of_its_end_is_over(site):
    instance_id = site.running()
    site.fault("save", "hang_at_end", seconds=60)
    request, image_id = _begin_save(site, instance_id)
    site.until_image(image_id, ImageState.AVAILABLE)
    assert site.workspaces() == []  # the client has ended the workspace itself
    pid = _save_pid(site, instance_id)
    assert client.is_running(pid)
    left = site.cloud().delete([Resource(ResourceKind.INSTANCE, instance_id, name=request.name)])
    assert left == []
    _until(lambda: not client.is_running(pid))
    _until(lambda: _secrets(pid) == [])


def test_a_save_is_followed_from_a_machine_that_knows_nothing_of_it(site, tmp_path):
    instance_id = site.running()
    site.settings(image_s=6.0)
    request, image_id = _begin_save(site, instance_id, wait_for="ReadyingForTransport")
    elsewhere = site.cloud(home=tmp_path / "elsewhere")
    assert elsewhere.observe_images([image_id])[image_id].state is ImageState.PENDING
    assert elsewhere.save(replace(request, retried=True), site.ledger) == image_id
    _until(lambda: elsewhere.observe_images([image_id])[image_id].state is ImageState.AVAILABLE)


def test_a_save_begun_on_another_machine_with_the_same_files(site):
    instance_id = site.running()
    site.settings(image_s=6.0)
    request, image_id = _begin_save(site, instance_id)
    written = _folder(site, instance_id).path / "save.json"
    written.write_text(json.dumps({**json.loads(written.read_text()), "host": "another"}))
    assert site.image(image_id).state is ImageState.PENDING
    assert site.cloud().save(request, site.ledger) == image_id
    site.until_image(image_id, ImageState.AVAILABLE)


def test_an_image_that_a_killed_client_did_not_get_saved(site):
    instance_id = site.running()
    site.settings(image_s=6.0)
    site.fault("save", "corrupt", text="no space left in the repository")
    _, image_id = _begin_save(site, instance_id, wait_for="ReadyingForTransport")
    _kill_save(site, instance_id)
    assert "no space left in the repository" in site.until_image(image_id, ImageState.FAILED).reason


def test_a_name_whose_save_was_cut_off_is_saved_by_the_next_attempt(site):
    build_id = site.fresh("build")
    first = site.running(build_id=build_id)
    site.fault("save", "hang_before", seconds=60)
    request, image_id = _begin_save(site, first, build_id=build_id)
    _until(lambda: not site.planned())
    _kill_save(site, first)
    site.cloud().delete([Resource(ResourceKind.INSTANCE, first), Resource(ResourceKind.IMAGE, image_id)])
    second = site.cloud().launch(site.launch_request(build_id=build_id, attempt=2), site.ledger)
    site.until_instance(second, InstanceState.RUNNING)
    site.settings(image_s=2.0)
    assert site.cloud().save(replace(request, instance_id=second), site.ledger) == image_id
    assert site.image(image_id).state is ImageState.PENDING
    site.until_image(image_id, ImageState.AVAILABLE)
    images = [each for each in site.cloud().find_resources(build_id) if each.kind is ResourceKind.IMAGE]
    assert [each.id for each in images] == [image_id]


@pytest.mark.parametrize("who", ["we", "somebody"])
def test_what_somebody_saves_under_the_name_of_a_deleted_image_is_not_ours(site, tmp_path, who):
    build_id, theirs = site.fresh("build"), site.cloud(home=tmp_path / "theirs")
    instance_id = site.running(build_id=build_id)
    request, image_id = _begin_save(site, instance_id, build_id=build_id)
    site.until_image(image_id, ImageState.AVAILABLE)
    site.cloud().finish_image(image_id, tags={}, public=False)
    (site.cloud() if who == "we" else theirs).delete([Resource(ResourceKind.IMAGE, image_id)])
    other = theirs.launch(site.launch_request(), site.ledger)
    site.until_instance(other, InstanceState.RUNNING)
    theirs.save(replace(request, instance_id=other, build_id=site.fresh("other")), site.ledger)
    _until(lambda: theirs.observe_images([image_id])[image_id].state is ImageState.AVAILABLE)

    assert site.cloud().find_resources(build_id) == []
    assert site.cloud().find_image_named(request.name).build_id != build_id
    if who == "somebody":
        assert site.image(image_id).state is ImageState.GONE
        with pytest.raises(SaveFailed, match="somebody deleted it"):
            site.cloud().finish_image(image_id, tags={}, public=False)
        site.cloud().delete([Resource(ResourceKind.IMAGE, image_id)])
        assert theirs.observe_images([image_id])[image_id].state is ImageState.AVAILABLE


def test_a_retried_save_never_overwrites_what_somebody_else_has_saved_meanwhile(site):
    taken, _ = site.image_id()
    name = taken.rpartition("/")[2]
    instance_id = site.running()
    with pytest.raises(NameTaken, match="nothing is overwritten"):
        site.cloud().save(_request(site, instance_id, name=name, retried=True), site.ledger)


def test_what_is_gone_can_not_be_saved(site):
    instance_id = site.running()
    site.cloud().delete([Resource(ResourceKind.INSTANCE, instance_id)])
    with pytest.raises(InstanceLost, match="start the build again"):
        site.cloud().save(_request(site, instance_id), site.ledger)


@pytest.mark.parametrize("kind", ["hang_before", "hang_after"])
def test_a_client_that_hangs_in_a_launch_is_ended_and_one_workspace_is_made(site, monkeypatch, kind):
    monkeypatch.setattr(client, "CREATE_LIMIT_S", 3.0)
    site.fault("run", kind, seconds=60)
    request = site.launch_request()
    with pytest.raises(CloudBusy, match="created nothing in 3 s and was ended; it is tried again"):
        site.cloud().launch(request, site.ledger)
    assert _secrets() == []
    instance_id = site.cloud().launch(request, site.ledger)
    site.until_instance(instance_id, InstanceState.RUNNING)
    assert [each["id"] for each in site.workspaces()] == [instance_id.rpartition("#")[2]]


def _clients(site: NimbusSite) -> list[int]:
    """The processes of cloud clients at work for this site's driver."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(site.home) in (each / "cmdline").read_bytes() and client.is_running(int(each.name)):
                found.append(int(each.name))
    return found


def test_a_worker_that_is_killed_in_a_launch_takes_its_client_along(site):
    site.fault("run", "hang_before", seconds=60)
    request = site.launch_request()
    worker = multiprocessing.get_context("fork").Process(target=site.cloud().launch, args=(request, site.ledger))
    worker.start()
    _until(lambda: not site.planned())
    worker.kill()
    worker.join()
    _until(lambda: _clients(site) == [])
    instance_id = site.cloud().launch(request, site.ledger)
    assert [each["id"] for each in site.workspaces()] == [instance_id.rpartition("#")[2]]


def test_a_process_with_the_number_of_a_save_that_has_ended_is_not_taken_for_it(site):
    instance_id = site.running()
    site.fault("save", "hang_before", seconds=60)
    _begin_save(site, instance_id)
    folder = _folder(site, instance_id)
    assert folder.save_runs()
    written = folder.path / "save.pid"
    pid, began = written.read_text().split()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        written.write_text(f"{stranger.pid} {began}")
        assert not folder.save_runs()
        folder.end_save()
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(timeout=0.5)
        stranger.kill()
    written.write_text(f"{pid} {began}")
    folder.end_save()
    _until(lambda: not folder.save_runs())


def test_a_client_that_hangs_when_asked_is_ended(site, monkeypatch):
    instance_id = site.running()
    monkeypatch.setattr(client, "CALL_LIMIT_S", 3.0)
    site.fault("status", "hang_before", seconds=60)
    with pytest.raises(CloudBusy, match=f"look at {instance_id}: the cloud client gave no answer in 3 s and was ended"):
        site.cloud().observe_instances([instance_id])
    assert _secrets() == []
    assert site.cloud().observe_instances([instance_id])[instance_id].state is InstanceState.RUNNING


def test_an_instance_counts_as_ended_only_when_the_client_has_ended_it(site):
    instance = Resource(ResourceKind.INSTANCE, site.running())
    site.fault("terminate", "killed")
    with pytest.raises(CloudBusy, match=f"terminate {instance.id}: exit code 137; .* tried again"):
        site.cloud().delete([instance])
    assert len(site.workspaces()) == 1
    assert site.cloud().delete([instance]) == []
    assert site.workspaces() == []
    assert site.cloud().delete([instance]) == [], "what is gone already is fine"


def test_a_lost_history_directory_changes_nothing(site):
    instance_id = site.running()
    shutil.rmtree(_folder(site, instance_id).path)
    assert site.cloud().observe_instances([instance_id])[instance_id].state is InstanceState.RUNNING
    _, image_id = _begin_save(site, instance_id)
    site.until_image(image_id, ImageState.AVAILABLE)


def test_a_common_image_without_the_right_to_it_can_not_be_launched_by_others(site, tmp_path):
    instance_id = site.running()
    _, image_id = _begin_save(site, instance_id, public=True)
    site.until_image(image_id, ImageState.AVAILABLE)
    other = site.cloud(user=1, home=tmp_path / "other")
    with pytest.raises(CredentialsRefused, match="not public is its owner's alone"):
        other.find_source_image(ImageQuery(name=image_id.rpartition("/")[2]))
    request = site.launch_request(source_image_id=image_id)
    with pytest.raises(CredentialsRefused, match="not public is its owner's alone"):
        other.launch(request, site.ledger)
    assert other.find_resources(request.build_id) == []
    site.cloud().finish_image(image_id, tags={}, public=True)
    assert other.launch(request, site.ledger)


def test_what_is_remembered_of_a_launch_goes_some_time_after_its_lease(site, monkeypatch):
    ended = site.running()
    kept = site.running()
    for instance_id, ago in ((ended, driver.KEPT_S + 86400), (kept, 0)):
        folder = _folder(site, instance_id).path
        written = json.loads((folder / "launch.json").read_text())
        (folder / "launch.json").write_text(json.dumps({**written, "began": written["began"] - ago}))
        os.utime(folder / "launch.json", (time.time() - ago, time.time() - ago))
    site.running()
    assert not _folder(site, ended).path.exists()
    assert _folder(site, kept).path.exists()


def test_stale_secrets_of_a_killed_worker_are_removed_by_the_next_call(site):
    stale = client.secrets_root() / "imagesmith-nimbus-stale"
    stale.mkdir(mode=0o700)
    (stale / "pid").write_text("4194304")
    (stale / "conf").write_text("vws.repository.s3key=stale")
    assert isinstance(site.cloud(), NimbusCloud)
    site.cloud().identity()
    assert not stale.exists()
