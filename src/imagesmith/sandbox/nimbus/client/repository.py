"""The way to the image store, Cumulus: S3's REST with version 2 signatures."""

import http.client
import re
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote
from xml.sax.saxutils import unescape

from imagesmith.sandbox.nimbus import sigv2
from imagesmith.sandbox.nimbus.client.configuration import Configuration
from imagesmith.sandbox.nimbus.client.problems import ExecutionProblem

_LIMIT_S = 60.0
_CONTENTS = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)


@dataclass
class Listed:
    """One image in a listing; `modified` is the time in UTC as the store writes it, `2026-01-01T00:00:00.000Z`."""

    name: str
    size: int
    modified: str


class Repository:
    """The image store of one site for one user. Methods raise ExecutionProblem."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._address = configuration.need("vws.repository")
        self._access_key = configuration.need("vws.repository.s3id")
        self._secret_key = configuration.need("vws.repository.s3key")

    def find(self, name: str) -> str:
        """The key of the image: the user's own one of the name, else the common one.

        Without either it is the own one: the service says what is wrong.
        """
        own, common = self._configuration.own_prefix() + name, self._configuration.common_prefix() + name
        for key in (own, common):
            status, _ = self._ask("HEAD", f"/{self._configuration.bucket}/{key}")
            if status == 200:
                return key
            if status != 404:
                reason = "AccessDenied" if status == 403 else f"the repository answered {status}"
                raise ExecutionProblem(f"Problem with image name '{name}': {reason}")
        return own

    def list(self, prefix: str) -> list[Listed]:
        """The images below the prefix, by name."""
        status, text = self._ask("GET", f"/{self._configuration.bucket}", query="?prefix=" + quote(prefix, safe=""))
        if status != 200:
            raise ExecutionProblem(_one(text, "Code") or f"the repository answered {status}")
        found = (_listed(each, prefix) for each in _CONTENTS.findall(text))
        return sorted(found, key=lambda each: each.name)

    def _ask(self, method: str, path: str, *, query: str = "") -> tuple[int, str]:
        headers = {"date": formatdate(usegmt=True)}
        headers["authorization"] = sigv2.authorization(
            method, path, headers=headers, access_key=self._access_key, secret_key=self._secret_key
        )
        connection = http.client.HTTPConnection(self._address, timeout=_LIMIT_S)
        try:
            connection.request(method, quote(path) + query, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionRefusedError:
            raise ExecutionProblem("Request Error: java.net.ConnectException: Connection refused") from None
        except (OSError, http.client.HTTPException) as error:
            raise ExecutionProblem(f"Request Error: {error or type(error).__name__}") from None
        finally:
            connection.close()


def _listed(entry: str, prefix: str) -> Listed:
    name = unescape(_one(entry, "Key")).removeprefix(prefix)
    return Listed(name, int(_one(entry, "Size")), _one(entry, "LastModified"))


def _one(text: str, element: str) -> str:
    found = re.search(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    return found[1] if found else ""
