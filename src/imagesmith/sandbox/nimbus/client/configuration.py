"""The configuration file: Java properties with the keys of the real cloud client."""

from dataclasses import dataclass
from pathlib import Path

from imagesmith.sandbox.nimbus.client.problems import ParameterProblem
from imagesmith.sandbox.nimbus.sites import BASE_KEY, BUCKET, COMMON

_MEMORY_MB = "3584"
_POLL_MS = "2000"
_MOUNT_AS = "sda1"


@dataclass
class Configuration:
    """The keys with their values, and what follows from them."""

    properties: dict[str, str]

    def need(self, key: str) -> str:
        """The value; raises ParameterProblem if there is none."""
        if not self.properties.get(key):
            raise ParameterProblem(f"This action requires the property '{key}'")
        return self.properties[key]

    @property
    def memory_mb(self) -> int:
        """How much memory a workspace is to have."""
        return self._whole("vws.memory.request", _MEMORY_MB)

    @property
    def poll_s(self) -> float:
        """How long it waits between two looks at a workspace."""
        return self._whole("vws.poll.interval", _POLL_MS) / 1000

    @property
    def mount_as(self) -> str:
        """What the image is mounted as."""
        return self.properties.get("vws.metadata.mountAs") or _MOUNT_AS

    @property
    def bucket(self) -> str:
        """The bucket that holds the images."""
        return self.properties.get("vws.repository.s3bucket") or BUCKET

    def own_prefix(self) -> str:
        """The start of the keys of the user's own images."""
        return f"{self._base_key}/{self.need('vws.repository.canonicalid')}/"

    def common_prefix(self) -> str:
        """The start of the keys of everybody's images."""
        return f"{self._base_key}/{COMMON}/"

    def image_url(self, key: str) -> str:
        """How the service is told of an image."""
        return f"cumulus://{self.need('vws.repository')}/{self.bucket}/{key}"

    @property
    def _base_key(self) -> str:
        return self.properties.get("vws.repository.s3basekey") or BASE_KEY

    def _whole(self, key: str, default: str) -> int:
        value = self.properties.get(key) or default
        try:
            return int(value)
        except ValueError:
            raise ParameterProblem(f'For input string: "{value}"') from None


def read(path: str) -> Configuration:
    """The file's content; raises ParameterProblem if it can't be read."""
    try:
        lines = Path(path).expanduser().read_text().splitlines()
    except OSError as error:
        raise ParameterProblem(f"{path} ({error.strerror})") from None
    pairs = (line.partition("=") for line in map(str.strip, lines) if line and line[0] not in "#!")
    return Configuration({key.strip(): value.strip() for key, _, value in pairs})
