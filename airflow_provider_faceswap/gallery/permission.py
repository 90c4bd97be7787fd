"""
Airflow's own permission, which guards every page and file of the gallery, asked for by a few requests at a time.

To ask takes a thread that all routes of Airflow share, and a query of its database. When 50 pages were opened at once, a
request to Airflow's API took over a second. With two at a time it takes a quarter of that.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

#: Requests that ask at the same time.
AT_ONCE = 2


def prepare(app: FastAPI) -> None:
    """Prepare an app whose routes have the dependencies."""
    app.state.turns = asyncio.Semaphore(AT_ONCE)


async def _turn(request: Request) -> AsyncIterator[None]:
    """Wait for a turn. A refusal ends it, too."""
    async with AsyncExitStack() as turn:
        await turn.enter_async_context(request.app.state.turns)
        request.state.turn = turn
        yield


async def _turn_over(request: Request) -> None:
    await request.state.turn.aclose()


#: The dependencies of each route. Who may see what a task returned may see the picture that it names.
SEES_XCOMS = [
    Depends(_turn),
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM)),
    Depends(_turn_over),
]
