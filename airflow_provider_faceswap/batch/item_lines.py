"""What the batch's manifest says about each step of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.batch.item_records import ARCHIVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_faceswap.jobs import GivenResult


class ItemLines:
    """The steps of one item, as the line of the item in the manifest shows them. It is true once a step is noted."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        """The number of steps that were noted."""
        return len(self._lines)

    def note(self, step: str, result: GivenResult, end: Mapping[str, Any], *, reused: bool) -> None:
        """Note a step that has a result."""
        files = list(end.get("files") or ())
        self._lines[step] = {
            "step": step,
            "status": ARCHIVED if files else end["status"],
            "vendor": result.vendor,
            "kind": result.kind,
            "conn_id": result.conn_id,
            "job_id": result.job_id,
            "cost": end.get("cost"),
            "seconds": end.get("seconds"),
            "attempt_reused": reused,
            "uri": files[0]["uri"] if files else None,
            "files": files,
            **({"reused_from": end["reused_from"]} if "reused_from" in end else {}),
        }

    def shown(self, end: Mapping[str, Any], order: Iterable[str]) -> dict[str, Any]:
        """
        The end of the item, with its steps.

        :param order: The names of all steps, in their order.
        """
        lines = dict(self._lines)
        if end["status"] == "failed" and (name := end.get("step")) is not None:
            facts = {"step": name, "status": "failed", "error": end["error"], "job_id": end["job_id"]}
            lines[name] = {**lines.get(name, {}), **facts}
        return {**end, "steps": [lines[name] for name in order if name in lines]}
