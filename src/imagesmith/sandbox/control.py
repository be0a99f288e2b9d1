"""The sandbox's own door, under `/_sandbox/`: how it is, what goes on, and how it should misbehave for a test.

What it says of EC2's account stands at the top of each answer; what it says of the sites under `accounts`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from imagesmith import __version__
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_door import EC2Door, Fault
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.nimbus import control as nimbus_control
from imagesmith.sandbox.nimbus.site import Site as NimbusSite
from imagesmith.sandbox.openstack import control as site_control
from imagesmith.sandbox.openstack.site import Site
from imagesmith.sandbox.unreliable.trouble import Trouble, Wanted, wanted_of

EC2 = "ec2"  # what its account is called where one is named
_TIMINGS = {"boot_s": float, "script_s": float, "stop_s": float, "image_s": float, "ssh": bool}


class Control:
    """Routes over the running sandbox. Nothing here is part of any cloud's API."""

    def __init__(
        self, cloud: Cloud, door: EC2Door, timings: Timings, *, sites: Sequence[Site | NimbusSite], acceleration: str
    ) -> None:
        self._cloud = cloud
        self._door = door
        self._timings = timings
        self._sites = {site.facts.name: site for site in sites}
        self._acceleration = acceleration

    def routes(self) -> list[Route]:
        """Paths below /_sandbox."""
        return [
            Route("/health", self.health),
            Route("/list", self.list),
            Route("/settings", self.settings, methods=["GET", "POST"]),
            Route("/unreliable", self.unreliable, methods=["GET", "POST"]),
            Route("/calls", self.calls, methods=["GET", "DELETE"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        """That the sandbox answers, and what clients need to know."""
        return JSONResponse(
            {
                "ok": True,
                "version": __version__,
                "endpoint": self._cloud.endpoint,
                "ssh_port": self._cloud.machines["qemu"].ssh_port,
                "acceleration": self._acceleration,
                "vms": self._cloud.host.running_vms(),
            }
        )

    async def list(self, request: Request) -> Response:
        """Machines and images."""
        state = self._cloud.state
        return JSONResponse(
            {
                "instances": [
                    {**asdict(each), "ssh_port": self._cloud.ssh_port(each), "user_data": ""}
                    for each in state.instances.values()
                ],
                "images": [asdict(each) for each in state.images.values()],
                "key_pairs": [each.name for each in state.key_pairs.values()],
                "security_groups": [each.name for each in state.groups.values()],
                "volumes": [asdict(each) for each in state.volumes.values()],
                "snapshots": [asdict(each) for each in state.snapshots.values()],
                "accounts": {name: site.shown() for name, site in self._sites.items()},
            }
        )

    async def settings(self, request: Request) -> Response:
        """Timings of simulated machines, whether SSH answers, errors to come; answers with what holds now.

        `launch_error: {code, message, status, count}` is for RunInstances, `api_error` for any action or the one
        in its `action`; null takes all planned errors back. With `account`, the settings of that site
        (openstack/control.py and nimbus/control.py say which).
        """
        wanted = await _body(request) if request.method == "POST" else {}
        account = str(wanted.pop("account", request.query_params.get("account", EC2)))
        site = self._sites.get(account)
        if isinstance(site, NimbusSite):
            return await nimbus_control.settings(site, wanted)
        if site is not None:
            return site_control.settings(site, wanted)
        if account != EC2:
            return self._unknown(account)
        if request.method == "POST":
            unknown = set(wanted) - set(_TIMINGS) - {"launch_error", "api_error"}
            if unknown:
                return JSONResponse({"error": f"unknown settings: {', '.join(sorted(unknown))}"}, status_code=400)
            for name in _TIMINGS.keys() & wanted.keys():
                setattr(self._timings, name, _TIMINGS[name](wanted[name]))
            self._plan_fault(wanted, "launch_error", action="RunInstances")
            self._plan_fault(wanted, "api_error", action="")
        faults = [asdict(fault) for fault in self._door.faults]
        return JSONResponse({**asdict(self._timings), "faults": faults})

    async def unreliable(self, request: Request) -> Response:
        """How unreliable each account's doors are, and what has happened; POST sets it (unreliable/trouble.py).

        `account` names one, without it all are meant; no `rate` makes the doors reliable again.
        """
        troubles = self._troubles()
        if request.method == "POST":
            wanted = await _body(request)
            account = wanted.pop("account", None)
            if account is not None and account not in troubles:
                return self._unknown(str(account))
            try:
                wish = wanted_of(wanted)
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            for name, trouble in troubles.items():
                if account in (None, name):
                    trouble.want(wish)
        return JSONResponse({name: trouble.shown() for name, trouble in troubles.items()})

    def _troubles(self) -> dict[str, Trouble]:
        return {EC2: self._door.trouble, **{name: site.trouble for name, site in self._sites.items()}}

    async def calls(self, request: Request) -> Response:
        """How often each action was called; DELETE begins anew."""
        counted = dict(self._door.calls)
        sites = {name: dict(site.calls) for name, site in self._sites.items()}
        if request.method == "DELETE":
            self._door.calls.clear()
            for site in self._sites.values():
                site.calls.clear()
        accounts = {name: {"total": sum(calls.values()), "actions": calls} for name, calls in sites.items()}
        return JSONResponse({"total": sum(counted.values()), "actions": counted, "accounts": accounts})

    async def reset(self, request: Request) -> Response:
        """Removes everything clients have made, and all settings of a test: of every account, or of the one named."""
        account = (await _body(request)).get("account")
        if account not in (None, EC2, *self._sites):
            return self._unknown(str(account))
        for name, trouble in self._troubles().items():
            if account in (None, name):
                trouble.want(Wanted())
        for name, site in self._sites.items():
            if account in (None, name):
                await site.reset()
        if account in (None, EC2):
            await self._reset_ec2()
        return JSONResponse({"ok": True})

    async def _reset_ec2(self) -> None:
        await self._cloud.reset()
        self._door.faults.clear()
        self._door.calls.clear()
        for name, value in asdict(Timings()).items():
            setattr(self._timings, name, value)

    def _unknown(self, account: str) -> Response:
        known = ", ".join((EC2, *self._sites))
        return JSONResponse({"error": f"no account {account}; there are {known}"}, status_code=400)

    def _plan_fault(self, wanted: dict[str, Any], name: str, *, action: str) -> None:
        if name not in wanted:
            return
        if wanted[name] is None:
            self._door.faults.clear()
            return
        fault = wanted[name]
        self._door.faults.append(
            Fault(
                code=str(fault["code"]),
                message=str(fault.get("message", f"{fault['code']} as asked of the sandbox")),
                status=int(fault.get("status", 400)),
                count=int(fault.get("count", 1)),
                action=str(fault.get("action", action)),
            )
        )


async def _body(request: Request) -> dict[str, Any]:
    """The request's JSON object; none is an empty one."""
    content = json.loads(await request.body() or b"null")
    return content if isinstance(content, dict) else {}
