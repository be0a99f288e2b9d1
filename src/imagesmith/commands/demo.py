"""`imagesmith demo`: from a machine that is set up to a real image, on the sandbox cloud."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

from imagesmith.errors import DefinitionError

if TYPE_CHECKING:
    from imagesmith.catalog.records import ImageRecord
    from imagesmith.local.deployment import Address

GENERATOR = "dstat"


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "demo", help=f"start the sandbox cloud and Airflow, build {GENERATOR}, and show the image"
    )
    parser.add_argument(
        "--clouds", default="", metavar="CLOUD[,CLOUD…]", help="build only there; by default on all of the generator's"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 if the image was made; sandbox and Airflow stay up."""
    from imagesmith.airflow_client import AirflowClient
    from imagesmith.commands import build
    from imagesmith.commands.passwords import typed_in
    from imagesmith.local import deployment
    from imagesmith.plan import CLOUDS_PARAM
    from imagesmith.sandbox import cli as sandbox

    clouds = _chosen(args.clouds)
    health = sandbox.up()  # before Airflow, whose connection to it is made when it starts
    _say(f"the sandbox cloud answers at {health['endpoint']} ({health['acceleration']})")
    address = deployment.up(_say)
    _say(f"Airflow answers at {address.url}")
    airflow = AirflowClient()
    conf: dict[str, Any] = {CLOUDS_PARAM: clouds} if clouds else {}
    conf |= typed_in(GENERATOR, conf, ask=_answered, terminal=True)
    started = build.start(GENERATOR, conf, airflow=airflow, people=sys.stdout)
    code = build.wait(started, airflow, people=sys.stdout)
    if code == 0:
        print("\n".join(["", *images_shown(started.dag_id, started.run_id), ""]))
    print("\n".join(_whereabouts(address)), flush=True)
    return code


def _chosen(words: str) -> list[str]:
    """The clouds of `--clouds`, none for all; raises DefinitionError for one that the generator has not."""
    from imagesmith.commands.choice import local_plan

    clouds = [word.strip() for word in words.split(",") if word.strip()]
    if words and not clouds:
        raise DefinitionError(f"--clouds {words[:80]}: names no cloud; write CLOUD,CLOUD or leave it out")
    if local_plan(GENERATOR, {}, clouds=clouds) is None:
        raise DefinitionError(f"{GENERATOR}: has no file in include/generators, and the demo builds it; put it back")
    return clouds


def _answered(prompt: str) -> str:
    """The password of the sandbox's sites, instead of a user who types it in."""
    from imagesmith.sandbox.openstack.sites import PASSWORD

    _say(f"{prompt}(the demo gives the sandbox's own)")
    return PASSWORD


def _say(line: str) -> None:
    print(line, flush=True)


def images_shown(dag_id: str, run_id: str) -> list[str]:
    """Each image of the run with its parent, and how to look inside."""
    from imagesmith.catalog.store import Catalog

    catalog = Catalog()
    build = catalog.find_build(dag_id, run_id)
    images = [] if build is None else catalog.images(build_id=build.build_id)
    return [line for image in images for line in _image_shown(image)]


def _image_shown(image: ImageRecord) -> list[str]:
    from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
    from imagesmith.sandbox.openstack.sites import SITES as OPENSTACK_SITES

    if image.cloud in NIMBUS_SITES:
        look_inside = _with_nimbus
    else:
        look_inside = _with_openstack if image.cloud in OPENSTACK_SITES else _with_ec2
    return [
        f"new image     {image.image_id}  {image.name}  on {image.cloud}",
        f"parent image  {image.source_image_id}",
        f"made by       generator {image.generator}, version {image.version}, build {image.build_id}",
        *look_inside(image),
    ]


def _with_ec2(image: ImageRecord) -> list[str]:
    return [
        "look inside   boot it with any EC2 client; for Amazon's own (apt-get install awscli):",
        '                eval "$(.venv/bin/imagesmith sandbox status | grep ^export.AWS)"',
        "                aws ec2 create-key-pair --key-name look --query KeyMaterial --output text > look.pem",
        "                chmod 600 look.pem",
        f"                aws ec2 run-instances --image-id {image.image_id} --instance-type t3.small --key-name look",
        "                aws ec2 describe-instances --query 'Reservations[].Instances[].PublicIpAddress'",
        "                ssh -i look.pem admin@ADDRESS dstat --version",
    ]


def _with_openstack(image: ImageRecord) -> list[str]:
    return [
        "look inside   boot it with any OpenStack client, in a group that opens port 22, give it a floating IP; what",
        f"              the client needs to know: .venv/bin/imagesmith sandbox status | grep -A1 ^{image.cloud}",
    ]


def _with_nimbus(image: ImageRecord) -> list[str]:
    from imagesmith.sandbox.config import places
    from imagesmith.sandbox.nimbus.installation import Installation
    from imagesmith.sandbox.nimbus.sites import SITES

    files = Installation(places().root)
    conf = shlex.quote(str(files.configuration(SITES[image.cloud])))
    client = f"{shlex.quote(str(files.client))} --conf {conf} --history-dir look-{image.cloud}"
    # The next machine may have the same address, and has another host key. Without -n it would eat the pasted lines.
    ssh = "ssh -n -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i look"
    return [
        "look inside   launch it with the site's cloud client, as the user who has built it:",
        '                [ -f look ] || ssh-keygen -q -t ed25519 -N "" -f look',
        f"                {client} --run --hours 1 --name {image.name} --ssh-pubkey look.pub | tee look.out",
        "                address=$(sed -n 's/^ *IP address: //p' look.out)",
        f"                until {ssh} root@$address dstat --version; do sleep 2; done",
        "                handle=$(sed -n \"s/^Running: '\\(.*\\)'/\\1/p\" look.out)",
        f"                {client} --terminate --handle $handle",
    ]


def _whereabouts(address: Address) -> list[str]:
    password = f". {address.environment_file} && echo $IMAGESMITH_AIRFLOW_PASSWORD"
    return [
        f"Airflow's UI  {address.url}  user {address.username}, password: {password}",
        "again         make demo",
        "more          .venv/bin/imagesmith status   .venv/bin/imagesmith images   .venv/bin/imagesmith --help",
        "end           make down        (what was built stays)",
    ]
