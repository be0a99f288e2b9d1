"""What the web app needs of the Airflow it is mounted in: who asks, what he may, and Airflow's own REST API.

`plugins/hooks/airflow_host.py` is the implementation; `tests/web/fake_host.py` the one of the tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

Scope = MutableMapping[str, Any]


class Right(Enum):
    """What somebody may do with a generator, which is a DAG; None of one means: with any at all."""

    SEE = "see"
    READ_LOGS = "read logs"
    START = "start"
    STEER = "steer"  # cancel and clear runs
    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"


@dataclass(frozen=True)
class Caller:
    """Who asks. `user` and `credential` are the host's own; by cookie means a browser, which others may have sent."""

    name: str
    by_cookie: bool = False
    user: Any = field(default=None, repr=False)
    credential: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Answer:
    """What Airflow's REST API said."""

    status: int
    document: Any

    @property
    def reason(self) -> str:
        """Airflow's own words for a refusal, without what it appends to them."""
        detail = self.document.get("detail") if isinstance(self.document, Mapping) else None
        if isinstance(detail, list):
            return "; ".join(f"{'.'.join(map(str, one.get('loc', ())[1:]))}: {one.get('msg')}" for one in detail)
        if isinstance(detail, Mapping):
            detail = detail.get("reason", detail)
        # What follows an empty line is the whole schema.
        return str(detail or "no reason given").split("\n\n")[0][:500]


class Host(Protocol):
    """Airflow. All but `caller` may block, and are called in a worker thread of the server."""

    async def caller(self, scope: Scope) -> Caller | None:
        """Whoever sent the request, by Airflow's bearer token or the cookie of its UI; None for nobody known."""

    def sees(self, caller: Caller, dag_ids: Collection[str]) -> set[str]:
        """Those of the DAGs that the caller may see."""

    def may(self, caller: Caller, right: Right, dag_id: str | None) -> bool:
        """Whether Airflow's auth manager lets the caller do that with the DAG."""

    def has_connection(self, caller: Caller, cloud: str) -> bool | None:
        """Whether there is a connection of that name; None where the caller may not know."""

    def call(self, caller: Caller, method: str, path: str, body: object = None) -> Answer:
        """What Airflow's own API answers to the caller; `path` begins with /api/v2. No right is lent to anybody."""

    def page(self, path: str) -> str:
        """The address of a page of Airflow's UI."""

    def origins(self) -> frozenset[str]:
        """Hosts, with ports, that pages of this Airflow come from, besides the one a request was sent to."""
