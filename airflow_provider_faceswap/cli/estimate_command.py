"""Body of ``airflow faceswap estimate``; imported when it is run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_faceswap.batch.items import Items
from airflow_provider_faceswap.cli.destination import as_uri
from airflow_provider_faceswap.cli.money_commands import budget_of_command, run_command
from airflow_provider_faceswap.cli.output import show
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators._dry_run import estimate_of
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator, MediaBatchOperator, Step
from airflow_provider_faceswap.spending.amounts import as_price

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow_provider_faceswap.operators._batch import BatchOperator


@suppress_logs_and_warning
def estimate(options: Namespace) -> None:
    """Say what the rows of a file need."""

    def work(say: Callable[[str], None]) -> None:
        source = as_uri("ITEMS", options.items)
        # A command is no task: it has no records of earlier attempts.
        instance = SimpleNamespace(
            dag_id="estimate", run_id="estimate", task_id="estimate", map_index=-1, try_number=1, max_tries=0
        )
        items = Items(source, trusted=True)
        operator = _operator(options, source)
        for step in operator.planned_steps():
            for hook in step.hooks:
                budget_of_command(options.budget, hook)  # refuses a template, which the operator would render
        found = estimate_of(operator, {"ti": instance}, items)  # type: ignore[typeddict-item]
        if options.output in {"table", "plain"}:
            say(found.table())
        show(found.model_dump(mode="json"), options.output)

    run_command(work)


def _operator(options: Namespace, source: str) -> BatchOperator:
    if (options.conn_id is None) == (options.steps is None):
        raise InvalidRequestError("give either --conn-id or --steps")
    as_price(options.price, "--price")
    given: dict[str, Any] = {
        "task_id": "estimate",
        "items": source,
        "destination": as_uri("--destination", options.destination or "."),
        "reuse": "archive" if options.destination else "run",
        "on_bad_item": options.on_bad_item,
        "budget": options.budget,
        "price": options.price,
    }
    if options.conn_id is not None:
        return FaceSwapBatchOperator(conn_id=options.conn_id, **given)
    return MediaBatchOperator(steps=_steps(options.steps), keep=options.keep, **given)


def _steps(given: str) -> list[Step]:
    try:
        text = given if given.lstrip().startswith("[") else Path(given).read_text(encoding="utf-8")
        steps = json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidRequestError(
            f"--steps: must be JSON, or a file with it ({type(error).__name__})"
        ) from None
    try:
        return [Step(**step) for step in steps]
    except TypeError:
        raise InvalidRequestError(
            "--steps: must be a list of objects with name, conn_id, kind and the arguments of the job"
        ) from None
