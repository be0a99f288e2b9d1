"""`imagesmith sandbox up | down | status | reset | unreliable`."""

import argparse
import json
import os
import shlex
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import imagesmith
from imagesmith.errors import SetupError
from imagesmith.processes import Daemon
from imagesmith.sandbox import base_image, config
from imagesmith.sandbox.unreliable.trouble import Kind

START_LIMIT_S = 60.0  # the first start probes acceleration, which may take 15 s
STOP_LIMIT_S = 40.0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `sandbox` and its verbs to the command line."""
    parser = subparsers.add_parser("sandbox", help="a small real cloud on this machine")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="make the base image if there is none, start").set_defaults(func=_up)
    verbs.add_parser("down", help="power the machines off, stop").set_defaults(func=_down)
    status = verbs.add_parser("status", help="show endpoint, machines and images")
    status.add_argument("--json", action="store_true", help="as one JSON document")
    status.set_defaults(func=_status)
    verbs.add_parser("reset", help="remove all but the base image").set_defaults(func=_reset)
    unreliable = verbs.add_parser("unreliable", help="let a part of all calls fail, as clouds do; 0 ends it")
    unreliable.add_argument("rate", type=float, help="part of all calls, from 0 to 1")
    unreliable.add_argument("--account", help="only this one: ec2, or the name of a site; all by default")
    unreliable.add_argument("--kind", action="append", choices=list(Kind), help="only these troubles; all by default")
    unreliable.set_defaults(func=_unreliable)


def up() -> dict[str, Any]:
    """A healthy sandbox's own description; starts what does not run yet."""
    places = config.places()
    daemon = _daemon()
    health = _health()
    if health is None:
        base_image.ensure(places.base, announce=lambda text: print(text, flush=True))
    elif daemon.running() is None:
        raise SetupError(f"something else answers at {config.endpoint()}; set IMAGESMITH_SANDBOX_PORT")
    source = str(Path(imagesmith.__file__).resolve().parents[1])
    paths = [source, os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    daemon.start([sys.executable, "-m", "imagesmith.sandbox.server"], env=env)
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        health = _health()
        if health is not None:
            return health
        if daemon.running() is None:
            break
        time.sleep(0.1)
    daemon.stop(limit_s=5.0)
    raise SetupError(f"the sandbox did not start; the end of {daemon.log_path}:\n{_tail(daemon.log_path)}")


def down() -> bool:
    """True if a sandbox was running; its machines are off and their disks kept."""
    was_running = _daemon().stop(limit_s=STOP_LIMIT_S)
    _end_stray_machines()
    return was_running


def reset() -> None:
    """Leaves the base image and nothing else that clients have made."""
    if _daemon().running() is not None:
        _request("/reset", method="POST")
        return
    _end_stray_machines()
    places = config.places()
    for directory in (places.machines, places.disks, places.sites):
        shutil.rmtree(directory, ignore_errors=True)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{places.state}{suffix}").unlink(missing_ok=True)


def status() -> dict[str, Any]:
    """What the sandbox says of itself; `running` is False if it does not answer."""
    health = _health()
    if health is None:
        return {"running": False, "endpoint": config.endpoint()}
    return {"running": True, **health, **_request("/list")}


def how_to_use() -> str:
    """The lines that point AWS's clients at the sandbox."""
    return (
        f"export AWS_ENDPOINT_URL_EC2={config.endpoint()} AWS_ENDPOINT_URL_STS={config.endpoint()}\n"
        f"export AWS_ACCESS_KEY_ID={config.ACCESS_KEY_ID} "
        f"AWS_SECRET_ACCESS_KEY={config.SECRET_ACCESS_KEY} AWS_DEFAULT_REGION={config.REGION}"
    )


def _up(arguments: argparse.Namespace) -> int:
    health = up()
    print(f"the sandbox answers at {health['endpoint']} ({health['acceleration']})")
    print(how_to_use())
    return 0


def _down(arguments: argparse.Namespace) -> int:
    print("the sandbox is down" if down() else "the sandbox was not running")
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    reset()
    print("the sandbox is empty")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    found = status()
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif not found["running"]:
        print(f"the sandbox at {found['endpoint']} is down; start it with: imagesmith sandbox up")
    else:
        _print_status(found)
    return 0 if found["running"] else 1


def _unreliable(arguments: argparse.Namespace) -> int:
    wanted: dict[str, Any] = {"rate": arguments.rate}
    wanted.update({"account": arguments.account} if arguments.account else {})
    wanted.update({"kinds": arguments.kind} if arguments.kind else {})
    try:
        troubles = _request("/unreliable", method="POST", document=wanted)
    except urllib.error.HTTPError as error:
        raise SetupError(str(json.load(error)["error"])) from error
    except OSError as error:
        down = f"the sandbox at {config.endpoint()} is down; start it with: imagesmith sandbox up"
        raise SetupError(down) from error
    for account, trouble in troubles.items():
        print(f"{account:18} {trouble['rate']:.0%} of all calls fail" if trouble["rate"] else f"{account:18} reliable")
    return 0


def _print_status(found: dict[str, Any]) -> None:
    print(f"endpoint {found['endpoint']}  acceleration {found['acceleration']}  SSH port {found['ssh_port']}")
    print(how_to_use())
    for name, account in found.get("accounts", {}).items():
        _print_site(name, account)
    for image in found["images"]:
        print(f"image     {image['id']}  {image['state']:12} {image['name']}")
    for each in found["instances"]:
        print(f"instance  {each['id']}  {each['state']:14} {each['address']}  {each['image_id']}")


def _print_site(name: str, account: dict[str, Any]) -> None:
    """A site's address, what its clients need, and what is on it."""
    if "cloud_client" in account:
        _print_nimbus_site(name, account)
    else:
        _print_openstack_site(name, account)


def _print_nimbus_site(name: str, account: dict[str, Any]) -> None:
    print(f"{name}  factory {account['factory']}  repository {account['repository']}")
    print(f"{shlex.quote(account['cloud_client'])} --conf {shlex.quote(account['conf'])} --list")
    for each in account["images"]:
        print(f"  image      {each['id']}  {'public' if each['public'] else 'private'}")
    for each in account["workspaces"]:
        print(f"  workspace  #{each['id']}  {each['state']:14} {each['address']:15} {each['owner_dn']}")


def _print_openstack_site(name: str, account: dict[str, Any]) -> None:
    print(f"{name}  {account['auth_url']}")
    print("export " + " ".join(f"{key}={shlex.quote(value)}" for key, value in account["environment"].items()))
    for each in account["images"]:
        print(f"  image   {each['id']}  {each['status']:12} {each['name']}")
    for each in account["servers"]:
        print(f"  server  {each['id']}  {each['status']:12} {each['address'] or '-':15} {each['name']}")


def _daemon() -> Daemon:
    return Daemon("server", directory=config.places().root)


def _end_stray_machines() -> None:
    """A killed server leaves its machines running; this ends them where no server is left to do it."""
    places = config.places()
    for pid_file in [*places.machines.glob("*/qemu.pid"), *places.sites.glob("*/machines/*/qemu.pid")]:
        Daemon("qemu", directory=pid_file.parent).stop(limit_s=5.0)


def _health() -> dict[str, Any] | None:
    try:
        return _request("/health")
    except (OSError, ValueError):
        return None


def _request(path: str, *, method: str = "GET", document: Any = None) -> dict[str, Any]:
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{config.endpoint()}/_sandbox{path}", body, method=method)
    # Not through a proxy that the environment may name: this is loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    except FileNotFoundError:
        return "(no log)"
