"""The way to the site's services for workspaces: JSON over TLS with the user's certificate."""

import http.client
import json
import os
import ssl
from pathlib import Path
from typing import Any

from imagesmith.sandbox.nimbus.client.configuration import Configuration
from imagesmith.sandbox.nimbus.client.problems import ExecutionProblem, ParameterProblem

_LIMIT_S = 300.0
_INITIALS = {"organizationName": "O", "organizationalUnitName": "OU", "commonName": "CN"}
_NESTED = "; nested exception is: \n\t"
REFUSED = f"{_NESTED}java.net.ConnectException: Connection refused"
_UNTRUSTED = "Authentication failed [Caused by: Failure unspecified at GSS-API level [Caused by: Unknown CA]]"


class Service:
    """The services of one site for one user. Methods raise ExecutionProblem; credentials are read at once."""

    def __init__(self, configuration: Configuration) -> None:
        self.address = configuration.need("vws.factory")
        self._identity = configuration.properties.get("vws.factory.identity", "")
        self._tls = _tls(Path(configuration.need("nimbus.cert")), Path(configuration.need("nimbus.key")))
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, service: str, operation: str, **wanted: Any) -> dict[str, Any]:
        """The operation's result."""
        body = json.dumps({"operation": operation, **wanted})
        try:
            connection = self._connected()
            connection.request("POST", f"/wsrf/services/{service}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except ConnectionRefusedError:
            raise ExecutionProblem(REFUSED) from None
        except (OSError, http.client.HTTPException) as error:
            raise ExecutionProblem(f"{_NESTED}java.io.IOException: {error or type(error).__name__}") from None
        try:
            document: dict[str, Any] = json.loads(content)
        except ValueError:  # a page of something in front of the services
            raise ExecutionProblem(f"({answer.status}){answer.reason}") from None
        if answer.status != 200:
            raise ExecutionProblem(str(document.get("fault")))
        return document

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            connection = http.client.HTTPSConnection(self.address, context=self._tls, timeout=_LIMIT_S)
            try:
                connection.connect()
            except (ssl.SSLEOFError, ssl.SSLCertVerificationError, ConnectionResetError):
                # asyncio's server hangs up on a certificate it does not trust, without TLS's word for it.
                raise ExecutionProblem(f"{_NESTED}org.globus.common.ChainedIOException: {_UNTRUSTED}") from None
            self._check_identity(connection.sock.getpeercert() or {})
            self._connection = connection
        return self._connection

    def _check_identity(self, certificate: Any) -> None:
        subject = certificate.get("subject", ())
        received = "".join(f"/{_INITIALS.get(kind, kind)}={value}" for part in subject for kind, value in part)
        if self._identity and received != self._identity:
            text = f'Operation unauthorized (Mutual authentication failed. Expected "{self._identity}" target but'
            raise ExecutionProblem(f'{_NESTED}GSSException: {text} received "{received}")')


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the service is known by its certificate's subject
    for authority in sorted(Path(os.environ.get("X509_CERT_DIR", ".")).glob("*.0")):
        context.load_verify_locations(authority)
    try:
        if "BEGIN RSA PRIVATE KEY" not in key.expanduser().read_text():
            raise ParameterProblem("Running requires credential: Algorithm not supported")
        context.load_cert_chain(certificate.expanduser(), key.expanduser())
    except OSError as error:  # a file that is not there, or holds something else
        raise ParameterProblem(f"Could not find current credential: {error}") from None
    return context
