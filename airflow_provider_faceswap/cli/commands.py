"""What the commands do; imported when one is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.cli.destination import Destination
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.interrupt import interruptible
from airflow_provider_faceswap.cli.job_command import JobCommand
from airflow_provider_faceswap.cli.output import show
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.foundation.validation import as_seconds
from airflow_provider_faceswap.hooks.base import hook_for_connection

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from airflow_provider_faceswap.hooks.base import JobHook

#: How Airflow's own command line is asked.
_PROGRAM = "airflow faceswap"
_LOOK_FIRST = (
    "It may have been accepted and charged. Look in the vendor's list before you buy again: "
    "'{program} job CONN_ID JOB_ID --wait' goes on with a job found there."
)


@suppress_logs_and_warning
def swap(options: Namespace) -> None:
    """Buy one face swap, wait for it, save the picture."""
    screen = ConsoleLog()
    command = _errand(options, "face_swap", screen)

    def work() -> Exit:
        as_seconds("timeout", options.timeout)
        destination = Destination.of(options.out, overwrite=options.overwrite)
        pictures = {"target_image": _picture(options.target), "face_image": _picture(options.face)}
        with _hook(options.conn_id) as hook:
            command.buy(hook, pictures, options.preflight)
            command.follow(hook, to_the_end=True)
        command.keep(destination)
        return Exit.DONE

    _end(options, screen, command, work)


@suppress_logs_and_warning
def job(options: Namespace) -> None:
    """Look at a job that was bought before; wait for it and save its result where asked to."""
    screen = ConsoleLog()
    command = _errand(options, options.kind, screen)

    def work() -> Exit:
        as_seconds("timeout", options.timeout)
        destination = Destination.of(options.out, overwrite=options.overwrite) if options.out else None
        with _hook(options.conn_id) as hook:
            command.look_up(hook, options.job_id, patient=options.wait)
            if not command.follow(hook, to_the_end=options.wait):
                return Exit.RESUMABLE
        if destination:
            command.keep(destination)
        else:
            screen.say("Nothing was saved: --out says where to.")
        return Exit.DONE

    _end(options, screen, command, work)


@suppress_logs_and_warning
def check(options: Namespace) -> None:
    """Test a connection by a free call."""
    screen = ConsoleLog()
    _read_connections()
    try:
        ok, message = _hook(options.conn_id).test_connection()
        code = Exit.DONE if ok else Exit.FAILED
    except KeyboardInterrupt:
        code, message = Exit.INTERRUPTED, "Interrupted."
    except Exception as error:  # noqa: BLE001 - a person is told in a sentence, whatever it was
        code, message = Exit.USAGE, _sentence(error)
    if code is not Exit.DONE:
        screen.say(message)
    show({"conn_id": options.conn_id, "ok": code is Exit.DONE, "message": message}, options.output)
    raise SystemExit(code)


def _end(options: Namespace, screen: ConsoleLog, command: JobCommand, work: Callable[[], Exit]) -> NoReturn:
    """Do the work of a command, then say how it ended."""
    _read_connections()
    error = None
    with interruptible():
        try:
            code = work()
        except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - whatever it was, a job may be paid
            code = command.exit_after(caught)
            error = {
                "type": type(caught).__name__,
                "message": _what_happened(caught, code, _program(options)),
            }
            screen.say(error["message"])
    if code is Exit.RESUMABLE:
        screen.say(f"Go on with: {command.resume_command}")
    show(command.told(code, error), options.output)
    raise SystemExit(code)


def _hook(conn_id: str) -> JobHook:
    try:
        return hook_for_connection(conn_id)
    except ImportError as error:
        # Outside a task, Airflow 3.1 looks no further, and says so by an import that fails.
        if "SUPERVISOR_COMMS" not in str(error):
            raise
        raise AirflowNotFoundException(
            f"connection {conn_id!r} is neither in the environment nor in a secrets backend"
        ) from None


def _read_connections() -> None:
    """Let connections be found where Airflow's own commands find them: in its database too."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"


def _program(options: Namespace) -> str:
    return getattr(options, "program", _PROGRAM)


def _errand(options: Namespace, kind: str, screen: ConsoleLog) -> JobCommand:
    return JobCommand(
        kind, timeout=options.timeout, program=_program(options), save=_saving(options), screen=screen
    )


def _saving(options: Namespace) -> tuple[str, ...]:
    """The arguments that say where the result goes."""
    if not options.out:
        return ()
    return ("--out", options.out, *(("--overwrite",) if options.overwrite else ()))


def _picture(given: str) -> Any:
    """A link, or the URI of an object store, is the hook's to read; a path is a file on this disk."""
    if "://" in given or given.startswith("data:"):
        return given
    from airflow_provider_faceswap.images import Image

    return Image.read(given)


def _what_happened(error: BaseException, code: Exit, program: str) -> str:
    """
    Say an error in a sentence.

    Where the advice of our errors names an argument of operators, the command line has a command in its place.
    """
    if isinstance(error, FaceSwapError) and (code is Exit.UNCERTAIN or "resume_job_id" in error.advice):
        error.advice = _LOOK_FIRST.format(program=program) if code is Exit.UNCERTAIN else ""
    if not isinstance(error, KeyboardInterrupt):
        return _sentence(error)
    if code is Exit.INTERRUPTED:
        return "Interrupted. Nothing was bought."
    if code is Exit.UNCERTAIN:
        return f"Interrupted before the vendor had answered. {_LOOK_FIRST.format(program=program)}"
    return "Interrupted. The job goes on at the vendor, and may be charged."


def _sentence(error: BaseException) -> str:
    """Our own errors speak for themselves; of others, what they say without the queries of links."""
    if isinstance(error, FaceSwapError):
        return str(error)
    told = str(error).strip()
    return without_queries(f"{type(error).__name__}: {told}" if told else type(error).__name__)
