"""What all accounts of one sandbox share: addresses, the cores, and the room for virtual machines."""

import asyncio
import os
from collections.abc import Callable

from imagesmith.sandbox import config
from imagesmith.sandbox.addresses import Addresses


class Host:
    """What the accounts share; each adds the count of its own machines."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self.counts: list[Callable[[], int]] = []
        # A machine that boots and installs takes a whole core: one for each at a time, and the others wait, switched
        # off. Six at once on two cores need longer for all than two at a time do, and services give up meanwhile.
        self.cores = asyncio.Semaphore(max(2, len(os.sched_getaffinity(0))))

    def running_vms(self) -> int:
        """How many real machines of all accounts are switched on or about to be."""
        return sum(count() for count in self.counts)

    def room(self) -> int:
        """How many more real machines may be started."""
        return max(0, config.MAX_VMS - self.running_vms())
