"""The page at the root, for a person: people to try, jobs with their pictures, and what was charged."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.output import MEDIA_TYPES
from airflow_provider_faceswap.sandbox.server.jobs import FAILED

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.server.jobs import Job
    from airflow_provider_faceswap.sandbox.server.state import Sandbox

#: Sample pictures that are shown. Any other name is a portrait, too.
SAMPLES = ("anna.jpg", "boris.jpg", "clara.jpg", "david.jpg", "emil.png", "group-3.jpg", "landscape.jpg")
#: Jobs that are shown, the newest first.
MOST = 50

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "img{height:110px;margin-right:8px;vertical-align:middle}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #8884;padding:.4rem;text-align:left}figure{display:inline-block;margin:0}"
    "div{overflow-x:auto}"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def front_page(sandbox: Sandbox) -> Route:
    """``/``: needs no key, as the ledger."""

    async def page(_: Request) -> Response:
        return HTMLResponse(_page(sandbox), headers=_HEADERS)

    return Route("/", page)


def _page(sandbox: Sandbox) -> str:
    now = sandbox.now()
    jobs = sandbox.entries
    bills = "".join(
        f"<li>{escape(unit)}: {sandbox.charged(unit):g} charged, {sandbox.balance(unit):g} left</li>"
        for unit in sandbox.funds
    )
    rows = "".join(_row(job, now) for job in reversed(jobs[-MOST:]))
    shown = f", the last {MOST} of them" if len(jobs) > MOST else ""
    table = (
        "<div><table><tr><th>Time</th><th>Vendor, kind, job</th><th>State</th><th>Charge</th><th>Picture</th></tr>"
        f"{rows}</table></div>"
        if jobs
        else "<p>No job yet. Point a connection at this address and run a Dag.</p>"
    )
    people = "".join(
        f'<figure><a href="samples/{name}"><img src="samples/{name}" alt="{name}" loading="lazy"></a>'
        f"<figcaption>{name}</figcaption></figure>"
        for name in SAMPLES
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Face swap sandbox</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Face swap sandbox</h1><p>It imitates {escape(', '.join(sandbox.vendors))}. Nothing here costs money.</p>"
        f'<h2>Bills</h2><ul>{bills}</ul><p>As JSON: <a href="sandbox/ledger">ledger</a></p>'
        f"<h2>{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}{shown}</h2>{table}"
        f"<h2>People</h2><p>Pictures to try. <code>samples/NAME.jpg</code> is a portrait for any name.</p>{people}"
        "</body></html>"
    )


def _row(job: Job, now: float) -> str:
    state = job.phase(now)
    if state == FAILED:
        state = f"{state}: {job.failure_text()}"
    charge = f"{job.price:g} {job.unit}" + (", refunded" if job.refunded(now) else "")
    moment = f"{datetime.fromtimestamp(job.created_at, UTC):%H:%M:%S}"
    cells = (moment, f"{job.vendor} {job.kind} {job.job_id}", state, charge)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}<td>{_pictures(job, now)}</td></tr>"


def _pictures(job: Job, now: float) -> str:
    if job.gone(now):
        return "expired"
    shown = []
    for number, output in enumerate(job.outputs(now)):
        name = f"{job.job_id}-{number}.{output.suffix}"
        link = escape(f"files/{name}?sig={job.signature}")
        picture = MEDIA_TYPES[output.suffix].startswith("image/")
        inner = f'<img src="{link}" alt="output {number + 1}" loading="lazy">' if picture else name
        shown.append(f'<a href="{link}">{inner}</a>')
    return "".join(shown)
