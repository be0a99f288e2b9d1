"""What all accounts of one sandbox share: addresses, and the room for virtual machines."""

from collections.abc import Callable

from imagesmith.sandbox import config
from imagesmith.sandbox.addresses import Addresses


class Host:
    """What the accounts share; each adds the count of its own machines."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self.counts: list[Callable[[], int]] = []

    def running_vms(self) -> int:
        """How many real machines of all accounts are switched on or about to be."""
        return sum(count() for count in self.counts)

    def room(self) -> int:
        """How many more real machines may be started."""
        return max(0, config.MAX_VMS - self.running_vms())
