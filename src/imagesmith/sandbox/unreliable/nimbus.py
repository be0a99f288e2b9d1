"""Nimbus's two doors behind the layer.

Both answer from one database, so nothing there is stale or doubled, and the services know no throttling.
"""

from imagesmith.sandbox.unreliable.layer import Answered, Asked
from imagesmith.sandbox.unreliable.trouble import Kind

_HTML = [(b"content-type", b"text/html")]
_XML = [(b"content-type", b"application/xml")]
_NOT_OURS = frozenset({Kind.STALE, Kind.DOUBLED})


class FactoryDialect:
    """The services for workspaces."""

    kinds = frozenset(Kind) - _NOT_OURS - {Kind.THROTTLED}

    def reads(self, asked: Asked) -> bool:
        """Nothing here is stale, so nobody needs to know."""
        return False

    def refusal(self, kind: Kind, asked: Asked) -> Answered:
        """A page of the server in front of the services."""
        status, words = (503, "Service Unavailable") if kind is Kind.UNAVAILABLE else (500, "Internal Server Error")
        return Answered(status, _HTML, f"<html><body><h1>{status} {words}</h1></body></html>".encode())

    def made(self, answered: Answered) -> set[str]:
        """Nobody asks."""
        return set()

    def unknown(self, asked: Asked, new: frozenset[str]) -> Answered | None:
        """Nothing is."""
        return None

    def without(self, answered: Answered, new: frozenset[str]) -> Answered:
        """The same."""
        return answered

    def doubled(self, answered: Answered) -> Answered:
        """The same."""
        return answered


class RepositoryDialect(FactoryDialect):
    """The image store, with S3's words."""

    kinds = frozenset(Kind) - _NOT_OURS

    def refusal(self, kind: Kind, asked: Asked) -> Answered:
        """S3's error document."""
        status, code = {
            Kind.THROTTLED: (503, "SlowDown"),
            Kind.ERROR: (500, "InternalError"),
            Kind.UNAVAILABLE: (503, "ServiceUnavailable"),
        }[kind]
        text = f"<Error><Code>{code}</Code><Message>as asked of the sandbox</Message></Error>"
        return Answered(status, _XML, b"" if asked.method == "HEAD" else text.encode())
