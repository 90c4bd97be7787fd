"""The gallery's pages and files, behind Airflow's own permission for the XComs of a Dag."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_provider_faceswap.gallery import pages, permission
from airflow_provider_faceswap.gallery.costs import costs
from airflow_provider_faceswap.gallery.files import NotShownError
from airflow_provider_faceswap.gallery.page import rendered, style_hash
from airflow_provider_faceswap.gallery.permission import SEES_XCOMS
from airflow_provider_faceswap.gallery.results import Filter, Place, Scope
from airflow_provider_faceswap.gallery.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")

#: Bytes of a file that are read at a time.
CHUNK = 256 * 1024
#: Bytes of the largest file that is sent through the api-server.
MAX_SENT = 256 * 1024 * 1024

_COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: What a file may do if it is opened alone: nothing.
_FILE_HEADERS = {
    **_COMMON_HEADERS,
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'self'",
    # The address of a file has a part of its hash.
    "Cache-Control": "private, max-age=3600",
}

router = APIRouter(dependencies=SEES_XCOMS)
_RUN = "/dags/{dag_id}/runs/{run_id}"
_RESULT = f"{_RUN}/results/{{task_id}}/{{map_index}}/{{number}}"

_Where = Annotated[Place, Depends()]
_Wanted = Annotated[Filter, Depends()]


@dataclass(frozen=True)
class _Task:
    """A task instance in an address. The UI leaves its placeholder there for a task that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    index: str

    @property
    def scope(self) -> Scope:
        number = self.index.removeprefix("-").isdecimal()
        return Scope(self.dag_id, self.run_id, self.task_id, int(self.index) if number else None)


def create_app() -> FastAPI:
    """The app that Airflow mounts."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(router, prefix="/gallery")
    app.state.threads = Threads()
    permission.prepare(app)

    @app.exception_handler(AnyHTTPException)
    async def refused(_: Request, error: AnyHTTPException) -> Response:
        words = {
            401: "Sign in to Airflow, then open this page again.",
            403: "You may not see the XComs of this Dag.",
        }
        return _message(error.status_code, words.get(error.status_code, str(error.detail)))

    @app.exception_handler(NotShownError)
    async def not_shown(_: Request, error: NotShownError) -> Response:
        return _message(404, str(error))

    @app.exception_handler(TimeoutError)
    async def too_slow(_: Request, __: TimeoutError) -> Response:
        return _message(503, "The storage of the pictures does not answer the api-server. Try again later.")

    return app


def _page_headers() -> dict[str, str]:
    return {
        **_COMMON_HEADERS,
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; "
        f"style-src 'sha256-{style_hash()}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    }


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, headers=_page_headers())


@lru_cache(maxsize=64)
def _message_page(text: str) -> str:
    # It is made on the event loop, and a silent storage makes many of the same.
    return rendered("message", title="Pictures", text=text)


def _message(status: int, text: str) -> Response:
    return _html(_message_page(text), status)


def _cleaned(wanted: Filter, **changes: Any) -> Filter:
    """A filter as its address gives it, which may be anything."""
    return replace(wanted, page=max(1, wanted.page), **changes)


async def _in_thread(request: Request, call: Callable[[], T]) -> T:
    threads: Threads = request.app.state.threads
    return await threads.run(call)


@router.get("/dags/{dag_id}/")
async def dag_page(request: Request, dag_id: str) -> Response:
    """The last runs of a Dag."""
    return _html(await _in_thread(request, partial(pages.dag, dag_id)))


@router.get("/dags/{dag_id}/costs/")
async def costs_page(request: Request, dag_id: str, by: str = "") -> Response:
    """The costs of a Dag."""
    return _html(await _in_thread(request, partial(costs, dag_id, by)))


@router.get(f"{_RUN}/")
async def run_page(request: Request, dag_id: str, run_id: str, wanted: _Wanted) -> Response:
    """The results of a run."""
    return _html(await _in_thread(request, partial(pages.run, Scope(dag_id, run_id), _cleaned(wanted))))


@router.get(f"{_RUN}/tasks/{{task_id}}/{{index}}/")
async def task_page(request: Request, task: Annotated[_Task, Depends()], wanted: _Wanted) -> Response:
    """The results of a task instance."""
    return _html(await _in_thread(request, partial(pages.run, task.scope, _cleaned(wanted, task=None))))


@router.get(f"{_RESULT}/")
async def result_page(request: Request, where: _Where) -> Response:
    """One result: the output beside its inputs, as large as they were kept."""
    return _html(await _in_thread(request, partial(pages.result, where)))


@router.get(f"{_RESULT}/manifest")
async def manifest_page(request: Request, where: _Where) -> Response:
    """The manifest of a result, as a page with a way back."""
    return _html(await _in_thread(request, partial(pages.manifest, where)))


@router.get(f"{_RESULT}/thumbnail/{{role}}")
async def thumbnail(request: Request, where: _Where, role: str) -> Response:
    """A thumbnail, by the result and the role in its manifest."""
    data = await _in_thread(request, partial(pages.thumbnail, where, role))
    return Response(data, media_type="image/jpeg", headers=_FILE_HEADERS)


@router.get(f"{_RESULT}/file")
async def output_file(request: Request, where: _Where, download: bool = False) -> Response:
    """The archived file."""
    return _streamed(request, await _in_thread(request, partial(pages.output, where)), attached=download)


@router.get(f"{_RESULT}/input/{{role}}")
async def input_file(request: Request, where: _Where, role: str) -> Response:
    """An input at its full size, if it is a file that the gallery may open."""
    return _streamed(
        request, await _in_thread(request, partial(pages.full_input, where, role)), attached=False
    )


def _streamed(request: Request, found: tuple[Any, Any, int], *, attached: bool) -> Response:
    path, media, size = found
    if size > MAX_SENT:
        raise HTTPException(413, f"It is larger than {MAX_SENT} bytes. Open it in its storage.")

    async def parts() -> AsyncIterator[bytes]:
        file = await _in_thread(request, lambda: path.fs.open(path.path, "rb", cache_type="readahead"))
        try:
            while part := await _in_thread(request, lambda: file.read(CHUNK)):
                yield part
        finally:
            await _in_thread(request, file.close)

    name = quote(path.path.rpartition("/")[2], safe="")
    headers = {
        **_FILE_HEADERS,
        "Content-Length": str(size),
        "Content-Disposition": f"{'attachment' if attached else 'inline'}; filename*=UTF-8''{name}",
    }
    return StreamingResponse(parts(), media_type=media.name, headers=headers)
