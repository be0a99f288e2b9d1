"""POST /servers: everything that can be wrong is said before anything is made; what no host can do is said later."""

import secrets
from typing import Any

from imagesmith.sandbox import config, seed
from imagesmith.sandbox.openstack import addresses, groups, life
from imagesmith.sandbox.openstack.nova_flavors import find_flavor
from imagesmith.sandbox.openstack.nova_roots import Root, root_of
from imagesmith.sandbox.openstack.nova_views import links
from imagesmith.sandbox.openstack.sites import ZONE
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply

_MAX_USER_DATA_CHARACTERS = 65535


def create_server(call: Call) -> Reply:
    """Accepted: the answer holds the id and a password, and no state yet."""
    wanted = call.document("server")
    count = _count(wanted)
    order = _order(call, wanted)
    _check_quota(call, count)
    if count == 1:
        servers = [life.launch(call.site, order)]
    else:
        servers = [life.launch(call.site, _numbered(order, index + 1)) for index in range(count)]
    first = servers[0]
    named = [call.site.state.security_groups[each].name for each in order.group_ids]
    told: Document = {
        "id": first.id,
        "links": links(call, f"servers/{first.id}"),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": name} for name in named],
        "adminPass": secrets.token_urlsafe(9),
    }
    return Reply({"server": told}, 202, {"Location": told["links"][0]["href"]})


def _order(call: Call, wanted: Document) -> life.Order:
    name = wanted.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 255:
        raise Problem(400, "Invalid input for field/attribute name. It must be a string of 1 to 255 characters.")
    if wanted.get("availability_zone") not in (None, ZONE):
        raise Problem(400, "The requested availability zone is not available")
    flavor = _flavor(wanted)
    root = root_of(call, wanted)
    _check_size(root, flavor)
    network = _network(call, wanted)
    return life.Order(
        name=name,
        flavor=flavor,
        machine_image=root.machine_image,
        image=root.image,
        network=network,
        group_ids=_group_ids(call, wanted),
        key_name=_key_name(call, wanted),
        user_data=_user_data(wanted),
        config_drive=str(wanted.get("config_drive") or "").lower() in ("true", "1"),
        description=_since(call, wanted, "description", (2, 19)),
        volume_gib=root.volume_gib,
        volume=root.volume,
        keep_volume=root.keep,
        metadata=_metadata(wanted),
        tags=_tags(call, wanted),
    )


def _numbered(order: life.Order, number: int) -> life.Order:
    return life.Order(**{**vars(order), "name": f"{order.name}-{number}"})


def _count(wanted: Document) -> int:
    asked = [str(wanted.get("min_count", 1)), str(wanted.get("max_count", wanted.get("min_count", 1)))]
    if not all(each.isdigit() for each in asked):
        raise Problem(400, "Invalid input for field/attribute min_count or max_count. It must be an integer.")
    least, most = (int(each) for each in asked)
    if not 1 <= least <= most:
        raise Problem(400, "min_count must be <= max_count")
    return most


def _check_quota(call: Call, count: int) -> None:
    limit, used = call.site.settings.instances, len(call.site.state.servers)
    if 0 <= limit < used + count:
        numbers = f"Requested {count}, but already used {used} of {limit} instances"
        # Havana said that it was too large, not that it was forbidden.
        raise Problem(413 if call.site.facts.havana else 403, f"Quota exceeded for instances: {numbers}")


def _flavor(wanted: Document) -> config.Flavor:
    asked = str(wanted.get("flavorRef", "")).rstrip("/").rsplit("/", 1)[-1]
    found = find_flavor(asked)
    if found is None:
        raise Problem(400, f"Flavor {asked} could not be found.")
    return found


def _check_size(root: Root, flavor: config.Flavor) -> None:
    if root.image is None:
        return
    room = root.volume_gib or (root.volume.size_gib if root.volume else flavor.disk_gib)
    if root.image.min_disk > room:
        sizes = f"{room} GiB, minimum is {root.image.min_disk} GiB"
        raise Problem(400, f"Flavor's disk is smaller than the minimum size specified in image metadata: {sizes}.")
    if root.image.min_ram > flavor.memory_mib:
        raise Problem(400, "Flavor's memory is too small for requested image.")


def _network(call: Call, wanted: Document) -> addresses.Network | None:
    asked = wanted.get("networks")
    if asked is None and call.version >= (2, 37):
        raise Problem(400, "Invalid input for field/attribute server. 'networks' is a required property")
    if asked == "none":
        return None
    if asked in (None, "auto", []):
        usable = addresses.usable_networks(call.site)
        if len(usable) > 1:
            message = "Multiple possible networks found, use a Network ID to be more specific."
            raise Problem(409, message)
        return usable[0]
    return _named_network(call, asked)


def _named_network(call: Call, asked: Any) -> addresses.Network:
    if not isinstance(asked, list) or len(asked) != 1 or not isinstance(asked[0], dict):
        raise Problem(400, "The sandbox gives a server one network; name it by its uuid.")
    if "uuid" not in asked[0]:
        raise Problem(501, "The sandbox makes a server's port itself: name a network, not a port.")
    network = addresses.network(call.site, str(asked[0]["uuid"]))
    if network is None:
        raise Problem(400, f"Network {asked[0]['uuid']} could not be found.")
    if network not in addresses.usable_networks(call.site):
        raise Problem(403, f"It is not allowed to create an interface on external network {network.id}")
    return network


def _group_ids(call: Call, wanted: Document) -> list[str]:
    found = []
    default = groups.default_group(call.site)
    for each in wanted.get("security_groups") or [{"name": "default"}]:
        name = str(each.get("name", ""))
        matches = [group for group in call.site.state.security_groups.values() if name in (group.id, group.name)]
        if not matches:
            raise Problem(400, f"Unable to find security_group with name or id '{name}'")
        if len(matches) > 1:
            message = f"Multiple security_group matches found for name '{name}', use an ID to be more specific."
            raise Problem(409, message)
        found.append(matches[0].id)
    return list(dict.fromkeys(found)) or [default.id]


def _key_name(call: Call, wanted: Document) -> str:
    name = wanted.get("key_name")
    if not name:
        return ""
    if not any(pair.name == name for pair in call.site.state.key_pairs.values()):
        raise Problem(400, "Invalid key_name provided.")
    return str(name)


def _user_data(wanted: Document) -> str:
    text = str(wanted.get("user_data") or "")
    if len(text) > _MAX_USER_DATA_CHARACTERS:
        raise Problem(400, f"Invalid input for field/attribute user_data. Value: {text}. '{text}' is too long")
    try:
        seed.decoded(text)
    except ValueError:
        raise Problem(400, "Userdata content cannot be decoded; it must be base64.") from None
    return text


def _metadata(wanted: Document) -> dict[str, str]:
    metadata = wanted.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Problem(400, "Invalid input for field/attribute metadata. Its values are strings.")
    return metadata


def _tags(call: Call, wanted: Document) -> list[str]:
    return list(_since(call, wanted, "tags", (2, 52)) or [])


def _since(call: Call, wanted: Document, name: str, version: tuple[int, int]) -> Any:
    """A field that is refused before its microversion."""
    if name in wanted and call.version < version:
        message = f"Additional properties are not allowed ({name!r} was unexpected)"
        raise Problem(400, f"Invalid input for field/attribute server. {message}")
    return wanted.get(name)
