"""Finished files: signed links, expiry, and a refusal of callers that leak their key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.drawing.samples import draw_sample
from airflow_provider_faceswap.sandbox.output import MEDIA_TYPES, Output
from airflow_provider_faceswap.sandbox.server.exchange import Call, answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.server.state import Sandbox

_NAME = re.compile(r"^(?P<job>[0-9a-f-]+)-(?P<number>\d{1,3})\.(?P<suffix>[a-z0-9]+)$")
_CREDENTIALS = ("authorization", "x-api-key")


@dataclass(frozen=True)
class Stored:
    """What the storage holds under a name.

    :param output: the file, if it can be had.
    :param refusal: HTTP status if it cannot: 403 for a wrong signature, 404 for no such file any more.
    """

    output: Output | None
    refusal: int = 404


def stored(sandbox: Sandbox, name: str, signature: str) -> Stored:
    """Look a file up.

    :param sandbox: all state.
    :param name: ``<job id>-<number>.<suffix>``.
    :param signature: the link's ``sig``.
    """
    match = _NAME.match(name)
    if match is None:
        return Stored(None)
    now = sandbox.now()
    upload = sandbox.uploads.get(match["job"])
    if upload is not None:
        if signature != upload.signature:
            return Stored(None, 403)
        fitting = match["suffix"] == upload.output.suffix and now < upload.expires_at
        return Stored(upload.output if fitting else None)
    job = sandbox.jobs.get(match["job"])
    if job is None:
        return Stored(None)
    if signature != job.signature:
        return Stored(None, 403)
    outputs = job.outputs(now)
    number = int(match["number"])
    if job.gone(now) or number >= len(outputs) or outputs[number].suffix != match["suffix"]:
        return Stored(None)
    return Stored(outputs[number])


def picture_response(output: Output) -> Response:
    """A file as an HTTP answer with its type and length."""
    return Response(output.data, media_type=MEDIA_TYPES[output.suffix])


def gone_response(status: int = 404) -> Response:
    """The XML an object storage answers about a file that is missing or forbidden."""
    code, text = {
        403: ("AccessDenied", "The signature of the link is missing or wrong."),
        404: ("NoSuchKey", "The specified key does not exist."),
    }.get(status, ("InternalError", "The storage has a problem."))
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>'
    )
    return Response(xml, status_code=status, media_type="application/xml")


def routes(sandbox: Sandbox) -> list[Route]:
    """``/files/…``: what jobs have made and callers have uploaded."""

    async def file(request: Request) -> Response:
        if any(header in request.headers for header in _CREDENTIALS):
            return PlainTextResponse(
                "A credential header was sent to the file storage. Result files need no key: "
                "sending it here leaks it to another host.",
                status_code=400,
            )
        name = request.path_params["name"]
        match = _NAME.match(name)
        job = sandbox.jobs.get(match["job"]) if match else None
        sandbox.requests["files"]["download"] += 1
        call = Call(request, b"", sandbox)
        vendors = ("files", job.vendor) if job else ("files",)
        call.fault = sandbox.faults.take(vendors, "download", job.kind if job else None)
        return await answer(call, _download, gone_response, gone_response)

    async def _download(call: Call) -> Response:
        if call.planted("expired") is not None:
            return gone_response()
        found = stored(sandbox, call.request.path_params["name"], call.request.query_params.get("sig", ""))
        return gone_response(found.refusal) if found.output is None else picture_response(found.output)

    return [Route("/files/{name}", file)]


def sample_routes() -> list[Route]:
    """``/samples/…``: input pictures anybody may fetch."""

    def sample(request: Request) -> Response:
        # A plain function: Starlette runs it in a worker thread, where drawing belongs.
        output = draw_sample(request.path_params["name"])
        return gone_response() if output is None else picture_response(output)

    return [Route("/samples/{name}", sample)]
