"""Addresses for instances: each its own on the loopback network, where all of 127/8 is this machine.

The second number comes from the sandbox's port, so that two sandboxes on one machine don't meet. All accounts of a
sandbox share them.
"""

import socket
from collections.abc import Iterator

_PER_BLOCK = 254


class Addresses:
    """The public and private addresses of one sandbox."""

    def __init__(self, *, sandbox_port: int, ssh_port: int) -> None:
        self._network = 1 + sandbox_port % _PER_BLOCK
        self.ssh_port = ssh_port
        self._used: set[str] = set()
        self._next = self._count()
        self._next_private = 16

    @property
    def network(self) -> str:
        """The network all public addresses are of."""
        return f"127.{self._network}.0.0/16"

    def take(self) -> str:
        """A loopback address whose SSH port nobody listens on; the one given back longest ago comes last."""
        for address in self._next:
            if address not in self._used and self._is_free(address):
                self._used.add(address)
                return address
        raise AssertionError("the addresses go round for ever")

    def take_private(self) -> str:
        """The address that a client is told as the private one; it means nothing outside the listing."""
        self._next_private = (self._next_private + 1) % 4096
        return f"172.31.{self._next_private // 256}.{self._next_private % 256}"

    def keep(self, address: str) -> None:
        """Marks an address as used by an instance of before."""
        self._used.add(address)

    def give_back(self, address: str) -> None:
        """Lets another instance have the address."""
        self._used.discard(address)

    def _count(self) -> Iterator[str]:
        while True:
            for third in range(_PER_BLOCK):
                for fourth in range(1, _PER_BLOCK + 1):
                    yield f"127.{self._network}.{third}.{fourth}"

    def _is_free(self, address: str) -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, self.ssh_port))
            except OSError:
                return False
        return True


def may_bind_low_ports() -> bool:
    """True if instances can answer at SSH's own port, which takes root."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.1.255.254", 22))
        except OSError:
            return False
    return True
