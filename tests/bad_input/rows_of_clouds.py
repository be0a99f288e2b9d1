# ruff: noqa: E501 (a row is a line where it can be)
"""What may stand in include/clouds.yaml before the clouds that are well, and is refused there."""

from __future__ import annotations

from .row import Row

URL = ("is not a plain http(s) URL", "write https://host:port; a user name or password belongs in the connection")
TYPES = "the types are: ec2, nimbus, openstack"
SECRET = ("a secret has no place in this file", "put it into the Airflow connection named bad")
NAME = ("is not a name for a cloud", "use a-z, 0-9 and hyphens, at most 63, starting with a letter or digit")
TASK = ("is the name of a task of every build", "choose another, e.g. with a prefix")
PORT = "use a number from 1 to 65535"
HOST = "write e.g. svc.uc.futuregrid.org:8443"

ROWS = [
    Row("cloud-without-type", "clouds.yaml:1: bad.type", "bad: {}\n", ("is missing", f"add `type:`; {TYPES}")),
    Row("cloud-type-a-number", "clouds.yaml:1: bad.type", "bad: {type: 5}\n", ("must be text", TYPES)),
    Row("cloud-type-of-tomorrow", "clouds.yaml:1: bad.type", "bad: {type: azure}\n", ("'azure' is no type of cloud", TYPES)),
    Row("cloud-type-a-module", "clouds.yaml:1: bad.type", "bad: {type: 'os:system'}\n", ("'os:system' is no type of cloud", TYPES)),
    Row("cloud-just-a-word", "clouds.yaml:1: bad", "bad: ec2\n", ("must be a mapping", "write bad: {type: ec2}")),
    Row("cloud-twice", "clouds.yaml:2: bad", "bad: {type: ec2}\nbad: {type: ec2}\n", ("stands here a second time (first in line 1)", "keep one of the two")),
    Row("cloud-name-in-capitals", "clouds.yaml:1: A_b", "A_b: {type: ec2}\n", NAME),
    Row("cloud-name-a-path", "clouds.yaml:1: ../x", "../x: {type: ec2}\n", NAME),
    Row("cloud-name-a-command", "clouds.yaml:1: $(reboot)", "$(reboot): {type: ec2}\n", NAME),
    Row("cloud-name-an-option", "clouds.yaml:1: --all", "--all: {type: ec2}\n", NAME),
    Row("cloud-name-of-two-lines", r"clouds.yaml:1: a\nb", '"a\\nb": {type: ec2}\n', NAME),
    Row("cloud-name-of-64", "clouds.yaml:1: aaaa", f"{'a' * 64}: {{type: ec2}}\n", NAME),
    Row("cloud-name-of-the-first-task", "clouds.yaml:1: begin", "begin: {type: ec2}\n", TASK),
    Row("cloud-name-of-the-last-task", "clouds.yaml:1: publish", "publish: {type: ec2}\n", TASK),
    Row("cloud-key-misspelt", "clouds.yaml:3: bad.regon", "bad:\n  type: ec2\n  regon: x\n", ("is no key here", "did you mean region?")),
    Row("cloud-key-of-another-type", "clouds.yaml:1: bad.password", "bad: {type: ec2, password: ask}\n", ("is no key here", "the keys here are: caller_address_url")),
    Row("cloud-password", "clouds.yaml:1: bad.password", "bad: {type: openstack, password: hunter2}\n", SECRET),
    Row("cloud-secret-key", "clouds.yaml:1: bad.secret_access_key", "bad: {type: ec2, secret_access_key: x}\n", SECRET),
    Row("cloud-token", "clouds.yaml:1: bad.session_token", "bad: {type: ec2, session_token: x}\n", SECRET),
    Row("cloud-private-key", "clouds.yaml:1: bad.private_key", "bad: {type: nimbus, private_key: x}\n", SECRET),
    Row("cloud-pool-of-two-lines", "clouds.yaml:1: bad.pool", 'bad: {type: ec2, pool: "a\\nb"}\n', ("holds a line break or another control character", "write it on one line")),
    Row("cloud-pool-of-300", "clouds.yaml:1: bad.pool", f"bad: {{type: ec2, pool: {'x' * 300}}}\n", ("has 300 characters", "use at most 255")),
    Row("calls-none", "clouds.yaml:1: bad.calls_per_second", "bad: {type: ec2, calls_per_second: 0}\n", ("0 is no number of calls a second", "use 1 to 1000")),
    Row("calls-a-text", "clouds.yaml:1: bad.calls_per_second", "bad: {type: nimbus, calls_per_second: many}\n", ("must be a number, not the text 'many'", "write digits only, without quotes")),
    Row("calls-not-a-number", "clouds.yaml:1: bad.calls_per_second", "bad: {type: openstack, calls_per_second: .nan}\n", ("no number of calls a second", "use 1 to 1000")),
    Row("region-a-number", "clouds.yaml:1: bad.region", "bad: {type: ec2, region: 5}\n", ("must be text, not the number 5", "put it in quotes")),
    Row("region-two-words", "clouds.yaml:1: bad.region", "bad: {type: ec2, region: us east}\n", ("'us east' is no region", "write e.g. us-east-1")),
    Row("region-another-host", "clouds.yaml:1: bad.region", "bad: {type: ec2, region: 'x.evil.example/'}\n", ("is no region", "write e.g. us-east-1")),
    Row("port-0", "clouds.yaml:1: bad.ssh_port", "bad: {type: ec2, ssh_port: 0}\n", ("0 is no port", PORT)),
    Row("port-65536", "clouds.yaml:1: bad.ssh_port", "bad: {type: openstack, ssh_port: 65536}\n", ("65536 is no port", PORT)),
    Row("port-negative", "clouds.yaml:1: bad.ssh_port", "bad: {type: nimbus, ssh_port: -22}\n", ("-22 is no port", PORT)),
    Row("port-a-text", "clouds.yaml:1: bad.ssh_port", 'bad: {type: ec2, ssh_port: "22"}\n', ("must be a whole number, not the text '22'", "write digits only")),
    Row("cidr-everybody", "clouds.yaml:1: bad.ssh_cidr", "bad: {type: ec2, ssh_cidr: 0.0.0.0/0}\n", ("opens SSH to the whole internet", "name the network the workers are in, or auto")),
    Row("cidr-everybody-in-ipv6", "clouds.yaml:1: bad.ssh_cidr", 'bad: {type: ec2, ssh_cidr: "::/0"}\n', ("opens SSH to the whole internet", "name the network the workers are in, or auto")),
    Row("cidr-a-word", "clouds.yaml:1: bad.ssh_cidr", "bad: {type: ec2, ssh_cidr: here}\n", ("'here' is neither auto nor a network", "write e.g. 192.0.2.0/24")),
    Row("cidr-with-host-bits", "clouds.yaml:1: bad.ssh_cidr", "bad: {type: openstack, ssh_cidr: 10.0.0.1/8}\n", ("has host bits set", "write e.g. 192.0.2.0/24")),
    Row("cidr-auto-behind-private-addresses", "clouds.yaml:1: bad.ssh_cidr", "bad: {type: ec2, public_ip: false}\n", ("instances are reached at private ones", "write the network the workers are in")),
    Row("url-with-a-password", "clouds.yaml:1: bad.endpoint_url", "bad: {type: ec2, endpoint_url: 'https://me:pw@h/'}\n", URL),
    Row("url-of-a-file", "clouds.yaml:1: bad.endpoint_url", "bad: {type: ec2, endpoint_url: 'file:///etc/passwd'}\n", URL),
    Row("url-without-scheme", "clouds.yaml:1: bad.auth_url", "bad: {type: openstack, auth_url: 'keystone:5000/v3'}\n", URL),
    Row("url-with-a-query", "clouds.yaml:1: bad.auth_url", "bad: {type: openstack, auth_url: 'https://h/?a=b'}\n", URL),
    Row("url-port-of-six-digits", "clouds.yaml:1: bad.auth_url", "bad: {type: openstack, auth_url: 'https://h:500000/v3'}\n", URL),
    Row("url-port-in-words", "clouds.yaml:1: bad.auth_url", "bad: {type: openstack, auth_url: 'https://h:five/v3'}\n", URL),
    Row("url-open-bracket", "clouds.yaml:1: bad.auth_url", "bad: {type: openstack, auth_url: 'https://[::1/v3'}\n", URL),
    Row("url-a-command", "clouds.yaml:1: bad.auth_url", "bad: {type: openstack, auth_url: 'https://$(reboot)/v3'}\n", URL),
    Row("url-with-a-terminal-escape", "clouds.yaml:1: bad.caller_address_url", 'bad: {type: openstack, caller_address_url: "https://h/\\e[2J"}\n', URL),
    Row("identity-4", "clouds.yaml:1: bad.identity_version", "bad: {type: openstack, identity_version: 4}\n", ("4 is no version of OpenStack's Identity", "write 3, or 2")),
    Row("interface-outer", "clouds.yaml:1: bad.interface", "bad: {type: openstack, interface: outer}\n", ("'outer' is no interface", "write public, internal or admin")),
    Row("network-empty", "clouds.yaml:1: bad.network", 'bad: {type: openstack, network: ""}\n', ("is empty", "give it a value or remove the key")),
    Row("network-with-a-hard-blank", "clouds.yaml:1: bad.network", "bad: {type: openstack, network: 'my\u00a0net'}\n", ("holds U+00A0, which cannot be seen", "remove it")),
    Row("hypervisor-bsd", "clouds.yaml:1: bad.hypervisor", "bad: {type: nimbus, hypervisor: bsd}\n", ("'bsd' is no hypervisor of Nimbus", "write xen or kvm")),
    Row("factory-without-port", "clouds.yaml:1: bad.factory", "bad: {type: nimbus, factory: svc}\n", ("'svc' is no host:port", HOST)),
    Row("factory-port-99999", "clouds.yaml:1: bad.factory", "bad: {type: nimbus, factory: 'svc:99999'}\n", ("'svc:99999' is no host:port", HOST)),
    Row("repository-an-option", "clouds.yaml:1: bad.repository", "bad: {type: nimbus, repository: '--conf:1'}\n", ("'--conf:1' is no host:port", HOST)),
    Row("factory-identity-in-another-form", "clouds.yaml:1: bad.factory_identity", "bad: {type: nimbus, factory_identity: 'CN=x'}\n", ("'CN=x' is no name in slash form", "write e.g. /O=Grid")),
    Row("factory-identity-with-a-second-property", "clouds.yaml:1: bad.factory_identity", 'bad: {type: nimbus, factory_identity: "/O=x\\rvws.repository=evil:1"}\n', ("is no name in slash form", "write e.g. /O=Grid")),
    Row("memory-negative", "clouds.yaml:1: bad.memory_mb", "bad: {type: nimbus, memory_mb: -5}\n", ("-5 MB is no size for memory", "use 1 to 1048576")),
    Row("cores-0", "clouds.yaml:1: bad.cores", "bad: {type: nimbus, cores: 0}\n", ("0 is no number of cores", "use 1 to 512")),
    Row("client-with-nul", "clouds.yaml:1: bad.cloud_client", 'bad: {type: nimbus, cloud_client: "/opt\\0"}\n', ("holds a line break or another control character", "write it on one line")),
]  # fmt: skip

# The file as a whole.
WHOLE = [
    Row("clouds-file-empty", "clouds.yaml:1", b"", ("the file is empty", "describe something in it")),
    Row("clouds-file-a-list", "clouds.yaml:1", b"- ec2\n", ("the file is not a mapping of keys to values", "start it with `key: value` lines")),
    Row("clouds-file-not-text", "clouds.yaml:1", b"\x89PNG\r\n", ("the file is not text in UTF-8", "save it as UTF-8")),
    Row("clouds-file-half-written", "clouds.yaml:2", b"ec2: {type: ec2,\n", ("not YAML", "mend the line")),
    Row("clouds-file-deep", "clouds.yaml:1", b"{a: " * 100, ("nested more than 20 deep", "write a simpler file")),
]  # fmt: skip
