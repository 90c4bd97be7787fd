"""Bodies of the commands about money; imported when one is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_faceswap.archive.names import folder_of
from airflow_provider_faceswap.cli.budget_report import settle, shown_period
from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.cli.costs_report import costs_of, written
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.output import read_connections, show
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.text import as_name
from airflow_provider_faceswap.spending.budget import budget_for

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.spending.budget import Budget


@suppress_logs_and_warning
def budget(options: Namespace) -> None:
    """Show a period of a budget, and settle what is left of it."""

    def work(say: Callable[[str], None]) -> None:
        folder = _folder(options.uri)
        if options.settle or options.amounts:
            settle(folder, options.period, options.amounts, poll=options.settle, say=say)
        show(
            shown_period(folder, options.period, as_text=options.output in {"table", "plain"}), options.output
        )

    run_command(work)


@suppress_logs_and_warning
def costs(options: Namespace) -> None:
    """Add up the costs in a folder."""

    def work(say: Callable[[str], None]) -> None:
        rows = costs_of(_folder(options.folder), options.by, say)
        print(written(rows, options.by, options.output), end="")  # noqa: T201

    run_command(work)


def budget_of_command(given: str | None, hook: JobHook) -> Budget | None:
    """
    The budget for a command's jobs at a connection; ``None`` if there is none.

    :param given: Its JSON; default: ``[faceswap] budget``.
    :raises InvalidRequestError: It is wrong, or needs a task.
    """
    budget = budget_for(given, hook.vendor.cost_unit)
    if budget is not None and ("{{" in budget.uri or "{%" in budget.uri):
        raise InvalidRequestError(
            "the budget's uri is a template, which only a task renders: give --budget with the uri itself"
        )
    return budget


def run_command(work: Callable[[Callable[[str], None]], None]) -> None:
    """Do the work of a command, and exit with what became of it."""
    console = ConsoleLog()
    read_connections()
    code, message = Exit.DONE, ""
    try:
        work(console.say)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except InvalidRequestError as error:
        code, message = Exit.USAGE, error.message
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one sentence
        code, message = Exit.FAILED, error_line(error)
    if message:
        console.say(message)
    raise SystemExit(code)


def _folder(place: Any) -> ObjectStoragePath:
    as_name("folder", place)
    return folder_of(place if "://" in place else f"file://{os.path.realpath(place)}", None)
