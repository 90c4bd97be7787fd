"""Finished files: signed links, expiry, and a refusal of callers that leak their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.drawing.samples import draw_sample
from airflow_provider_faceswap.sandbox.output import MEDIA_TYPES, Output
from airflow_provider_faceswap.sandbox.server.answering import answer
from airflow_provider_faceswap.sandbox.server.state import DOWNLOAD, FILE_NAME, FILES, NotStoredError

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.server.jobs import Job
    from airflow_provider_faceswap.sandbox.server.state import Sandbox

_ERRORS = {
    403: ("AccessDenied", "The signature of the link is missing or wrong."),
    404: ("NoSuchKey", "The specified key does not exist."),
}


def picture_response(output: Output) -> Response:
    """A file as an HTTP response with its type and length."""
    return Response(output.data, media_type=MEDIA_TYPES[output.suffix])


def storage_error(status: int = 404) -> Response:
    """The XML that an object store returns for a missing or forbidden file."""
    code, text = _ERRORS.get(status, ("InternalError", "The storage has a problem."))
    error = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'
    return Response(xml, status_code=status, media_type="application/xml")


def file_routes(sandbox: Sandbox) -> list[Route]:
    """``/files/…``: what jobs have made and callers have uploaded; ``/samples/…``: input pictures for all."""
    key_headers = {vendor.key_header for vendor in sandbox.vendors.values()}

    def _is_too_new(job: Job) -> bool:
        """Whether a fault makes the file of this job arrive at the storage later than the job ends."""
        now = sandbox.now()
        ended = job.finished_at(now)
        late = sandbox.faults.take((FILES, job.vendor), DOWNLOAD, job.kind, "not_ready")
        return late is not None and ended is not None and now - ended < float(late.details["seconds"])

    async def file(request: Request) -> Response:
        if key_headers & set(request.headers):
            return PlainTextResponse(
                "A credential header was sent to the file storage. Result files need no key: "
                "sending it here leaks it to another host.",
                status_code=400,
            )
        name = request.path_params["name"]
        match = FILE_NAME.fullmatch(name)
        job = sandbox.jobs.get(match["job"]) if match else None
        sandbox.requests[FILES][DOWNLOAD] += 1
        names, kind = ((FILES, job.vendor), job.kind) if job else ((FILES,), None)
        fault = sandbox.faults.take(names, DOWNLOAD, kind, job_id=None if job is None else job.job_id)

        async def download() -> Response:
            if (fault is not None and fault.type == "expired") or (job is not None and _is_too_new(job)):
                return storage_error()
            try:
                return picture_response(sandbox.stored(name, request.query_params.get("sig", "")))
            except NotStoredError as error:
                return storage_error(error.status)

        return await answer(request, fault, storage_error, storage_error, download)

    def sample(request: Request) -> Response:
        # Not async: Starlette runs it in a worker thread, where drawing belongs.
        output = draw_sample(request.path_params["name"])
        return storage_error() if output is None else picture_response(output)

    return [Route("/files/{name}", file), Route("/samples/{name}", sample)]
