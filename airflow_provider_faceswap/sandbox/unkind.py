"""What vendors do now and then, and a Dag should get through: faults for ``POST /sandbox/faults``."""

from __future__ import annotations

from typing import Any

from airflow_provider_faceswap.sandbox.server.registry import find_vendors

__all__ = ["UNKIND"]


def _fault(
    operation: str | None,
    times: int | None,
    *,
    vendor: str | None = None,
    per_job: bool = False,
    **fault: Any,
) -> dict[str, Any]:
    return {"vendor": vendor, "operation": operation, "times": times, "per_job": per_job, "fault": fault}


#: A page of a CDN, which says nothing about the request behind it.
_PAGE: dict[str, Any] = {"type": "status", "status": 403, "body": "<html>Attention required</html>"}

#: Request bodies, each one for ``POST /sandbox/faults``; all of them together are an unkind sandbox. docs/sandbox.md says
#: of each what it imitates. What ends a job, or a run without retries, is not here.
UNKIND: tuple[dict[str, Any], ...] = (
    # The vendor is busy, and says so with a status that means something else. Each one once.
    *(
        _fault("create", 1, vendor=vendor, type="refuse", reason="busy", status=403)
        for vendor in find_vendors()
    ),
    # Every job is read three times in vain: a page instead of the vendor, a new word, a success without a link.
    _fault("fetch", 1, per_job=True, **_PAGE),
    _fault("fetch", 1, per_job=True, type="unknown_status", word="marinating"),
    _fault("fetch", 1, per_job=True, type="no_output"),
    # The account is not readable at first.
    _fault("account", 1, **_PAGE),
    # Always: formats, links and places of texts.
    _fault("create", None, type="result_format", format="webp"),
    _fault("create", None, type="strict_links"),
    _fault(None, None, type="hide_cause", place="raw_message"),
    # A link comes before its file, and no webhook comes.
    _fault("download", None, type="not_ready", seconds=3),
    _fault("create", None, type="drop_webhook", when="before"),
)
