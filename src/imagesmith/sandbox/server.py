"""The sandbox's server: one asyncio process for all doors and simulated machines.

Ended with SIGTERM it powers its virtual machines off; killed, it leaves them running and finds them again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router, request_response

from imagesmith import settings
from imagesmith.sandbox import acceleration, config
from imagesmith.sandbox.account import account
from imagesmith.sandbox.addresses import Addresses, may_bind_low_ports
from imagesmith.sandbox.control import Control
from imagesmith.sandbox.ec2_door import EC2Door
from imagesmith.sandbox.host import Host
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.nimbus.installation import Installation
from imagesmith.sandbox.nimbus.site import Site as NimbusSite
from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
from imagesmith.sandbox.openstack.door import Door
from imagesmith.sandbox.openstack.site import Site
from imagesmith.sandbox.openstack.sites import SITES
from imagesmith.sandbox.state import State
from imagesmith.sandbox.unreliable.ec2 import EC2Dialect
from imagesmith.sandbox.unreliable.layer import Layer
from imagesmith.sandbox.unreliable.openstack import OpenStackDialect

log = logging.getLogger(__name__)


def application(places: config.Places, *, port: int, accelerator: str) -> Starlette:
    """The sandbox as an ASGI application; its machines live as long as its lifespan."""
    host = Host(Addresses(sandbox_port=port, ssh_port=22 if may_bind_low_ports() else 2222))
    endpoint = f"http://{config.HOST}:{port}"
    timings = Timings()
    cloud = account(State(places.state), places, timings, host=host, accelerator=accelerator, endpoint=endpoint)
    sites = [
        Site(facts, places.root, host=host, accelerator=accelerator, endpoint=endpoint) for facts in SITES.values()
    ]
    installation = Installation(places.root)
    nimbus_sites = [
        NimbusSite(facts, installation, host=host, accelerator=accelerator, endpoint=endpoint)
        for facts in NIMBUS_SITES.values()
    ]
    every_site: list[Site | NimbusSite] = [*sites, *nimbus_sites]
    door = EC2Door(cloud)
    control = Control(cloud, door, timings, sites=every_site, acceleration=accelerator)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await asyncio.gather(cloud.open(), *(site.open() for site in every_site))
        yield
        await asyncio.gather(cloud.close(), *(site.close() for site in every_site))
        cloud.state.close()

    return Starlette(
        routes=[
            Mount("/_sandbox", routes=control.routes()),
            *(Mount(f"/{site.facts.name}", app=_openstack(site)) for site in sites),
            Route("/", Layer(request_response(door.answer), EC2Dialect(), door.trouble), methods=["GET", "POST"]),
        ],
        lifespan=lifespan,
    )


def _openstack(site: Site) -> Layer:
    return Layer(Router(Door(site).routes()), OpenStackDialect(), site.trouble)


def main() -> None:
    """Serves until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    places, port = config.places(), settings.sandbox_port()
    accelerator = acceleration.chosen(
        kernel=places.base / "vmlinuz",
        initrd=places.base / "initrd",
        memory_file=places.base / "acceleration.json",
    )
    app = application(places, port=port, accelerator=accelerator)
    log.info("the sandbox answers at %s with %s", config.endpoint(), accelerator)
    uvicorn.run(app, host=config.HOST, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
