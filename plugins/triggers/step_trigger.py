"""The one trigger: a step entered where waiting holds no worker.

It finds everything again by the build's id, so a killed triggerer's successor goes on from the catalog. Drivers and
shared looks are kept per account: hundreds of builds that wait on one account cost one call a tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from hooks.opening import aconnection, cloud_of, mark_of
from imagesmith.core import Cloud
from imagesmith.errors import ImagesmithError
from imagesmith.plan import PlannedTarget
from imagesmith.shared_looks import Board, SharedLooks
from imagesmith.steps.runner import Credential, Step, run_step
from operators.deployment import this_deployment

# Looks wanted within this time are one call; it is also what a look is late at most.
GATHER_S = 0.3


class StepTrigger(BaseTrigger):
    """One step of one target, from wherever it is to its end.

    :param step: name of the step. :param build_id: the build. :param cloud: the target's cloud.
    :param target: the target's part of the plan, so that the catalog is not read before the driver is there.
    """

    def __init__(self, *, step: str, build_id: str, cloud: str, target: dict[str, Any]) -> None:
        super().__init__()
        self.step = step
        self.build_id = build_id
        self.cloud = cloud
        self.target = target

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger as Airflow stores it; nothing secret is in it."""
        arguments = {"step": self.step, "build_id": self.build_id, "cloud": self.cloud, "target": self.target}
        return ("triggers.step_trigger.StepTrigger", arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: the step's result, or its error by name and message."""
        try:
            result = await run_step(
                Step(self.step),
                self.build_id,
                cloud=self.cloud,
                open_account=_shared_account,
                deployment=await asyncio.to_thread(this_deployment),
                emit=lambda line: self.log.info("%s", line),
                patience_s=None,
            )
        except ImagesmithError as error:
            yield TriggerEvent({"error": type(error).__name__, "message": str(error)})
        else:
            yield TriggerEvent({"result": result})


_accounts: dict[str, tuple[Cloud, SharedLooks]] = {}


async def _shared_account(target: PlannedTarget, credential: Credential) -> tuple[Cloud, SharedLooks]:
    """The driver and looks that all targets of this account share while settings and credentials stay the same."""
    connection = await aconnection(target)
    account = mark_of(target, connection, credential)
    if account not in _accounts:
        cloud = await asyncio.to_thread(cloud_of, target, connection, credential)
        board = Board(this_deployment().catalog, target.cloud, account)
        _accounts[account] = (cloud, SharedLooks(cloud, gather_s=GATHER_S, board=board))
    return _accounts[account]
