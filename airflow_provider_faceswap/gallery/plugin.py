"""
The plugin that adds the tab *Pictures* to a Dag, a Dag run and a task instance.

Airflow imports it in the scheduler, the Dag processor and the triggerer too, which never serve a page. So it imports
nothing that is not there already: the app is made for the first request of an api-server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_faceswap.gallery import GALLERY

_log = logging.getLogger(__name__)

#: Pictures in a frame, in a grey that is readable on light and on dark. The UI shows it where a tab has no room for
#: its name.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23888' "
    "stroke-width='2'%3E%3Crect x='3' y='4' width='18' height='16' rx='2'/%3E%3Ccircle cx='9' cy='10' r='2'/%3E"
    "%3Cpath d='M21 16l-5-5L6 20'/%3E%3C/svg%3E"
)


class LazyApp:
    """
    An ASGI app that is made for its first request.

    An exception that escapes from a mounted app would close the connection without an answer, so it ends here.
    """

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        begun = finished = False

        async def watched(message: Any) -> None:
            nonlocal begun, finished
            begun, finished = True, message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await (await self._made())(scope, receive, watched)
        except Exception:
            _log.exception("The gallery could not answer a request")
            if finished:
                return
            if begun or scope["type"] != "http":
                # Only a connection that ends early says that the answer is not complete.
                raise
            from starlette.responses import PlainTextResponse

            text = "The gallery failed. The log of the api-server says why."
            await PlainTextResponse(text, 500)(scope, receive, send)

    async def _made(self) -> Any:
        async with self._lock:
            if self._app is None:
                self._app = await asyncio.to_thread(_app)
        return self._app


def _app() -> Any:
    from airflow_provider_faceswap.gallery.app import create_app

    return create_app()


def _view(destination: str, path: str) -> dict[str, str]:
    # Without a leading slash, the UI takes the address relative to the path of [api] base_url.
    href = f"{GALLERY}/{path}"
    return {
        "name": "Pictures",
        "href": href,
        "destination": destination,
        "url_route": f"faceswap-{destination.replace('_', '-')}",
        "icon": _ICON,
        "icon_dark_mode": _ICON,
    }


class FaceSwapPlugin(AirflowPlugin):
    """The gallery's pages and tabs."""

    name = "faceswap"
    fastapi_apps = [  # noqa: RUF012 - as Airflow's own class declares it
        {"app": LazyApp(), "url_prefix": f"/{GALLERY.partition('/')[0]}", "name": "Face swap gallery"}
    ]
    external_views = [  # noqa: RUF012
        _view("dag", "dags/{DAG_ID}/"),
        _view("dag_run", "dags/{DAG_ID}/runs/{RUN_ID}/"),
        # {MAP_INDEX} stays as it is for a task that is not mapped.
        _view("task_instance", "dags/{DAG_ID}/runs/{RUN_ID}/tasks/{TASK_ID}/{MAP_INDEX}/"),
    ]
