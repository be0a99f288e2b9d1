"""Airflow as the web app needs it (imagesmith.web.host): its users, its auth manager, and its own REST API."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio.from_thread
import httpx

from imagesmith.web.host import Answer, Caller, Right

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails

LIMIT_S = 60.0


@dataclass(frozen=True)
class Credential:
    """What the caller came with, and the whole of Airflow's app, which he came through."""

    token: str
    airflow: Any


class AirflowHost:
    """The Airflow whose API server this process is."""

    async def caller(self, scope: MutableMapping[str, Any]) -> Caller | None:
        """As Airflow judges: a bearer token counts before the cookie."""
        from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
        from airflow.api_fastapi.core_api.security import resolve_user_from_token
        from fastapi import HTTPException, Request

        request = Request(scope)
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        by_cookie = kind.lower() != "bearer"
        token = request.cookies.get(COOKIE_NAME_JWT_TOKEN) if by_cookie else bearer
        try:
            user = await resolve_user_from_token(token)
        except HTTPException:
            return None
        # At this door the app of the scope is still the one that ours is mounted in.
        return Caller(user.get_name(), by_cookie, user, Credential(token or "", scope["app"]))

    def sees(self, caller: Caller, dag_ids: Collection[str]) -> set[str]:
        """Those of the DAGs that the caller may see; also such as Airflow has not read yet."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.models.dag import DagModel

        if not dag_ids:
            return set()
        teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
        by_team: defaultdict[str | None, set[str]] = defaultdict(set)
        for dag_id in dag_ids:
            by_team[teams.get(dag_id)].add(dag_id)
        manager = get_auth_manager()
        return set().union(
            *(
                manager.filter_authorized_dag_ids(dag_ids=ids, user=caller.user, method="GET", team_name=team)
                for team, ids in by_team.items()
            )
        )

    def may(self, caller: Caller, right: Right, dag_id: str | None) -> bool:
        """What the auth manager says; a generator's file counts as its DAG."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

        asked: dict[Right, tuple[Any, DagAccessEntity | None]] = {
            Right.SEE: ("GET", None),
            Right.READ_LOGS: ("GET", DagAccessEntity.TASK_LOGS),
            Right.START: ("POST", DagAccessEntity.RUN),
            Right.STEER: ("PUT", DagAccessEntity.RUN),
            Right.CREATE: ("POST", None),
            Right.EDIT: ("PUT", None),
            Right.DELETE: ("DELETE", None),
        }
        method, entity = asked[right]
        return get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=_details(dag_id), user=caller.user
        )

    def has_connection(self, caller: Caller, cloud: str) -> bool | None:
        """Asked of all of Airflow's places for connections, for those who may read them."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
        from airflow.models.connection import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        manager, details = get_auth_manager(), ConnectionDetails(conn_id=cloud)
        if not manager.is_authorized_connection(method="GET", details=details, user=caller.user):
            return None
        try:
            Connection.get_connection_from_secrets(cloud)
        except AirflowNotFoundException:
            return False
        except ValueError:  # written in a way that can't be read; it is there
            return True
        return True

    def call(self, caller: Caller, method: str, path: str, body: object = None) -> Answer:
        """Through the whole of Airflow's app: its middlewares, the password gate among them, and its rights."""
        answer = anyio.from_thread.run(self._call, caller.credential, method, path, body)
        try:
            # Here and not in the server's loop: a log of many MiB takes its time.
            document = answer.json() if answer.content else None
        except json.JSONDecodeError:
            document = None
        return Answer(answer.status_code, document)

    async def _call(self, credential: Credential, method: str, path: str, body: object) -> httpx.Response:
        transport = httpx.ASGITransport(app=credential.airflow, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {credential.token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow", timeout=LIMIT_S) as airflow:
            return await airflow.request(method, path, json=body, headers=headers)

    def page(self, path: str) -> str:
        """Under `[api] base_url`."""
        from airflow.api_fastapi.app import API_BASE_URL

        return API_BASE_URL.rstrip("/") + path

    def origins(self) -> frozenset[str]:
        """The host of `[api] base_url`, which a proxy may hide from us."""
        from airflow.api_fastapi.app import API_BASE_URL

        return frozenset({urlsplit(API_BASE_URL).netloc} - {""})


def _details(dag_id: str | None) -> DagDetails | None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.models.dag import DagModel

    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)) if dag_id else None
