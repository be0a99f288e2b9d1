"""The actions of the EC2 door, one module for each kind of thing."""

from imagesmith.sandbox.ec2_actions import (
    images,
    instances,
    key_pairs,
    launch,
    networks,
    regions,
    security_groups,
    tags,
    volumes,
)
from imagesmith.sandbox.ec2_actions.port import Action

ACTIONS: dict[str, Action] = {
    **regions.ACTIONS,
    **networks.ACTIONS,
    **key_pairs.ACTIONS,
    **security_groups.ACTIONS,
    **launch.ACTIONS,
    **instances.ACTIONS,
    **images.ACTIONS,
    **volumes.ACTIONS,
    **tags.ACTIONS,
}
