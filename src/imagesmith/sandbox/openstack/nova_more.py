"""The rest of Nova that clients ask for: limits, quotas, zones, extensions."""

from imagesmith.sandbox import config
from imagesmith.sandbox.openstack.sites import ZONE
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule

_EXTENSIONS = {
    "os-keypairs": "Keypairs",
    "os-security-groups": "SecurityGroups",
    "os-floating-ips": "FloatingIps",
    "os-floating-ip-pools": "FloatingIpPools",
    "os-extended-availability-zone": "ExtendedAvailabilityZone",
    "os-availability-zone": "AvailabilityZone",
    "os-user-data": "UserData",
    "os-config-drive": "ConfigDrive",
    "os-console-output": "ConsoleOutput",
    "os-server-start-stop": "ServerStartStop",
    "OS-EXT-STS": "ExtendedStatus",
    "OS-EXT-IPS": "ExtendedIps",
    "os-tenant-networks": "TenantNetworks",
    "os-networks": "Networks",
}
_UNLIMITED = -1


def show_limits(call: Call) -> Reply:
    """What may be had and what is."""
    servers = list(call.site.state.servers.values())
    flavors = [config.FLAVORS[server.flavor] for server in servers]
    absolute: Document = {
        "maxTotalInstances": call.site.settings.instances,
        "totalInstancesUsed": len(servers),
        "maxTotalCores": _UNLIMITED,
        "totalCoresUsed": sum(flavor.vcpus for flavor in flavors),
        "maxTotalRAMSize": _UNLIMITED,
        "totalRAMUsed": sum(flavor.memory_mib for flavor in flavors),
        "maxTotalKeypairs": _UNLIMITED,
        "maxServerMeta": 128,
        "maxServerGroups": 10,
        "maxServerGroupMembers": 10,
        "totalServerGroupsUsed": 0,
    }
    if call.version < (2, 36):
        absolute |= {
            "maxTotalFloatingIps": call.site.settings.floating_ips,
            "totalFloatingIpsUsed": len(call.site.state.floating_ips),
            "maxSecurityGroups": _UNLIMITED,
            "maxSecurityGroupRules": _UNLIMITED,
            "totalSecurityGroupsUsed": len(call.site.state.security_groups),
        }
    return Reply({"limits": {"rate": [], "absolute": absolute}})


def show_quota(call: Call) -> Reply:
    """The project's quota; but instances nothing is limited here."""
    project = call.parameters["project_id"]
    if project != call.site.facts.project_id:
        raise Problem(403, "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
    unlimited = dict.fromkeys(("cores", "ram", "key_pairs", "server_groups", "server_group_members"), _UNLIMITED)
    quota: Document = {"id": project, "instances": call.site.settings.instances, "metadata_items": 128, **unlimited}
    return Reply({"quota_set": quota})


def list_zones(call: Call) -> Reply:
    """One."""
    zone = {"zoneName": ZONE, "zoneState": {"available": True}, "hosts": None}
    return Reply({"availabilityZoneInfo": [zone]})


def list_extensions(call: Call) -> Reply:
    """What is there beside the core."""
    return Reply({"extensions": [_extension(alias) for alias in _EXTENSIONS]})


def show_extension(call: Call) -> Reply:
    """One extension."""
    if call.parameters["alias"] not in _EXTENSIONS:
        raise Problem(404, "The resource could not be found.")
    return Reply({"extension": _extension(call.parameters["alias"])})


def list_server_groups(call: Call) -> Reply:
    """None can be made here."""
    return Reply({"server_groups": []})


def _extension(alias: str) -> Document:
    return {
        "alias": alias,
        "name": _EXTENSIONS[alias],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "description": "",
        "links": [],
        "updated": "2014-12-03T00:00:00Z",
    }


RULES = (
    Rule("GET", "/limits", show_limits),
    Rule("GET", "/os-quota-sets/{project_id}", show_quota),
    Rule("GET", "/os-availability-zone", list_zones),
    Rule("GET", "/extensions", list_extensions),
    Rule("GET", "/extensions/{alias}", show_extension),
    Rule("GET", "/os-server-groups", list_server_groups),
)
