"""The sandbox's cloud client as it is installed: `bin/cloud-client.sh` with what lies beside it in the real one.

`conf/<site>.conf` are ready configuration files of the first user; `lib/certs` holds the authorities that are trusted.
"""

import shlex
import shutil
import sys
from pathlib import Path

import imagesmith
from imagesmith.sandbox.nimbus import sites
from imagesmith.sandbox.nimbus.credentials import Credentials
from imagesmith.sandbox.nimbus.sites import Facts, User

_TEMPLATE = Path(__file__).parent / "cloud-client.sh"


class Installation:
    """The files that the Nimbus sites of one sandbox share; they survive `reset`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.credentials = Credentials(root / "nimbus" / "credentials")

    @property
    def home(self) -> Path:
        """The cloud client's own directory."""
        return self.root / "nimbus" / "cloud-client"

    @property
    def client(self) -> Path:
        """The program."""
        return self.home / "bin" / "cloud-client.sh"

    def configuration(self, facts: Facts) -> Path:
        """The first user's configuration file for the site."""
        return self.home / "conf" / f"{facts.name}.conf"

    def write_client(self, facts: Facts, *, factory: str, repository: str) -> None:
        """The program is installed and configured for the site; repeatable."""
        for directory in ("bin", "conf", "history", "lib/certs"):
            (self.home / directory).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.credentials.authority, self.home / "lib" / "certs" / "sandbox.0")
        interpreter = f"PYTHON={shlex.quote(sys.executable)}\nSOURCE={shlex.quote(_source())}"
        written = self.client.with_suffix(".new")
        written.write_text(_TEMPLATE.read_text().replace("PYTHON=python3\nSOURCE=src", interpreter))
        written.chmod(0o755)
        written.replace(self.client)
        conf = self.configuration(facts)
        conf.touch(mode=0o600)
        conf.write_text(self.properties(facts, facts.users[0], factory=factory, repository=repository))
        if facts.number == 1:  # the one that is taken when none is named
            shutil.copy(conf, self.home / "conf" / "cloud.properties")

    def properties(self, facts: Facts, user: User, *, factory: str, repository: str) -> str:
        """The text of a configuration file."""
        pairs = {
            "vws.factory": factory,
            "vws.factory.identity": facts.identity,
            "vws.repository": repository,
            "vws.repository.type": "cumulus",
            "vws.repository.s3basekey": sites.BASE_KEY,
            "vws.repository.s3bucket": sites.BUCKET,
            "vws.repository.s3https": "false",
            "vws.repository.s3acceptallcerts": "false",
            "vws.repository.s3id": user.access_key,
            "vws.repository.s3key": user.secret_key,
            "vws.repository.canonicalid": user.canonical_id,
            "vws.metadata.mountAs": facts.mount_as,
            "nimbus.cert": str(self.credentials.certificate(user.name)),
            "nimbus.key": str(self.credentials.key(user.name)),
        }
        return "".join(f"{name}={value}\n" for name, value in pairs.items())


def _source() -> str:
    return str(Path(imagesmith.__file__).resolve().parents[1])
