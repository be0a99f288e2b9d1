"""POST /servers/{id}/action: what is done to a server, each in the states that Nova allows it in."""

from collections.abc import Callable
from typing import Any

from imagesmith.sandbox.openstack import addresses, images, life
from imagesmith.sandbox.openstack.nova_views import server_of
from imagesmith.sandbox.openstack.things import FloatingIP, Port, Server
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule
from imagesmith.sandbox.state import Instance

Action = Callable[[Call, Server, Any], Reply]

_SAVABLE = ("active", "stopped", "paused", "suspended")
_IMAGE_ID_SINCE = (2, 45)
_NO_ADDRESSES_SINCE = (2, 44)


def act(call: Call) -> Reply:
    """The one action that the body names."""
    body = call.body
    if not isinstance(body, dict) or len(body) != 1:
        raise Problem(400, "There is no such action: the body must name one.")
    server = server_of(call)
    name, arguments = next(iter(body.items()))
    action = ACTIONS.get(name)
    if action is None:
        raise Problem(400, f"There is no such action: {name}. ")
    return action(call, server, arguments)


def stop(call: Call, server: Server, arguments: Any) -> Reply:
    """Begins to power off."""
    call.site.cloud.stop(_in_state(call, server, "stop", ("active",)))
    return Reply(status=202)


def start(call: Call, server: Server, arguments: Any) -> Reply:
    """Begins to boot."""
    call.site.cloud.start(_in_state(call, server, "start", ("stopped",)))
    return Reply(status=202)


def reboot(call: Call, server: Server, arguments: Any) -> Reply:
    """Tells the machine to boot again; both kinds ask the guest first."""
    kind = str((arguments or {}).get("type", "")).upper()
    if kind not in ("SOFT", "HARD"):
        raise Problem(400, "Invalid input for field/attribute type. It must be SOFT or HARD.")
    call.site.cloud.reboot(_in_state(call, server, "reboot", ("active",)))
    return Reply(status=202)


def create_image(call: Call, server: Server, arguments: Any) -> Reply:
    """A queued image; its id is in the body since 2.45, and in the Location header before."""
    wanted: Document = arguments or {}
    name, metadata = wanted.get("name"), wanted.get("metadata") or {}
    if not isinstance(name, str) or not name:
        raise Problem(400, "Invalid input for field/attribute createImage. 'name' is a required property")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise Problem(400, "Invalid input for field/attribute metadata. Its values are strings.")
    _in_state(call, server, "createImage", _SAVABLE)
    image = images.snapshot(call.site, server, name, metadata=metadata)
    if call.version >= _IMAGE_ID_SINCE:
        return Reply({"image_id": image.id}, 202)
    return Reply(None, 202, {"Location": f"{call.base}/image/images/{image.id}"})


def console_output(call: Call, server: Server, arguments: Any) -> Reply:
    """The end of the console."""
    instance = call.site.state.instances.get(server.instance_id)
    if instance is None or server.fault or life.view(call.site, server).status == "BUILD":
        raise Problem(409, f"Instance {server.id} is not ready")
    output = call.site.cloud.console(instance).decode(errors="replace")
    length = (arguments or {}).get("length")
    if length is not None and int(length) >= 0:
        output = "\n".join(output.splitlines()[-int(length) :]) if int(length) else ""
    return Reply({"output": output})


def add_floating_ip(call: Call, server: Server, arguments: Any) -> Reply:
    """Has a floating address of the project lead to the server."""
    port, floating = _port(call, server), _floating(call, arguments)
    before = addresses.floating_of(call.site, port)
    if before is not None and before is not floating:
        addresses.lead(call.site, before, None)
    addresses.lead(call.site, floating, port)
    return Reply(status=202)


def remove_floating_ip(call: Call, server: Server, arguments: Any) -> Reply:
    """Has the address lead nowhere."""
    port, floating = _port(call, server), _floating(call, arguments)
    if floating.port_id != port.id:
        raise Problem(409, f"Floating ip {floating.address} is not associated with instance {server.id}.")
    addresses.lead(call.site, floating, None)
    return Reply(status=202)


def _in_state(call: Call, server: Server, action: str, states: tuple[str, ...]) -> Instance:
    """The server's machine; raises Problem 409 where Nova does."""
    seen = life.view(call.site, server)
    if seen.vm_state not in states:
        raise Problem(409, f"Cannot '{action}' instance {server.id} while it is in vm_state {seen.vm_state}")
    if seen.task_state is not None:
        raise Problem(409, f"Cannot '{action}' instance {server.id} while it is in task_state {seen.task_state}")
    return call.site.state.instances[server.instance_id]


def _port(call: Call, server: Server) -> Port:
    if call.version >= _NO_ADDRESSES_SINCE:
        raise Problem(404, "The requested functionality is not supported: use Neutron.")
    for port in call.site.state.ports.values():
        if port.server_id == server.id and server.launched_at:
            return port
    raise Problem(400, "No nw_info cache associated with instance")


def _floating(call: Call, arguments: Any) -> FloatingIP:
    address = (arguments or {}).get("address")
    for floating in call.site.state.floating_ips.values():
        if floating.address == address:
            return floating
    raise Problem(404, "floating ip not found")


ACTIONS: dict[str, Action] = {
    "os-stop": stop,
    "os-start": start,
    "reboot": reboot,
    "createImage": create_image,
    "os-getConsoleOutput": console_output,
    "addFloatingIp": add_floating_ip,
    "removeFloatingIp": remove_floating_ip,
}
RULES = (Rule("POST", "/servers/{server_id}/action", act),)
