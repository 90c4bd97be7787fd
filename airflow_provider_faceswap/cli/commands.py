"""Bodies of the commands; imported when one is run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.cli.destination import Destination
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.interrupt import interruptible
from airflow_provider_faceswap.cli.job_command import JobCommand
from airflow_provider_faceswap.cli.output import read_connections, show
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import error_line, without_queries
from airflow_provider_faceswap.foundation.validation import as_job_id, as_seconds
from airflow_provider_faceswap.hooks.base import hook_for_connection

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable


#: What users type to run the commands in Airflow's command line.
_PROGRAM = "airflow faceswap"
#: Next step after a submission without a response.
_UNCERTAIN_ADVICE = (
    "It may have been accepted and charged. Look in the vendor's job list before you swap again: "
    "'{program} job CONN_ID JOB_ID --wait' resumes a job found there."
)


@suppress_logs_and_warning
def swap(options: Namespace) -> None:
    """Submit one face swap, wait for it, save the picture."""
    console = ConsoleLog()
    command = _job_command(options, "face_swap", console)

    def work() -> Exit:
        as_seconds("timeout", options.timeout)
        destination = Destination.of(options.out, overwrite=options.overwrite)
        pictures = {"target_image": _picture(options.target), "face_image": _picture(options.face)}
        with hook_for_connection(options.conn_id) as hook:
            command.submit(hook, pictures, options.preflight)
            command.wait(hook)
        command.save(destination)
        return Exit.DONE

    _end(options, console, command, work)


@suppress_logs_and_warning
def generate(options: Namespace) -> None:
    """Submit one job of any kind, wait for it, save what it made."""
    console = ConsoleLog()
    command = _job_command(options, options.kind, console)

    def work() -> Exit:
        as_seconds("timeout", options.timeout)
        destination = Destination.of(options.out, overwrite=options.overwrite)
        arguments = dict(map(_argument, options.argument))
        if options.prompt is not None:
            arguments["prompt"] = options.prompt
        with hook_for_connection(options.conn_id) as hook:
            command.submit(hook, arguments, "auto")
            command.wait(hook)
        command.save(destination)
        return Exit.DONE

    _end(options, console, command, work)


@suppress_logs_and_warning
def job(options: Namespace) -> None:
    """Poll a job that was submitted before; wait for it and save its result if asked to."""
    console = ConsoleLog()
    command = _job_command(options, options.kind, console)

    def work() -> Exit:
        as_seconds("timeout", options.timeout)
        destination = Destination.of(options.out, overwrite=options.overwrite) if options.out else None
        job_id = as_job_id("job_id", options.dashed_job_id or options.job_id)
        with hook_for_connection(options.conn_id) as hook:
            command.poll(hook, job_id, patient=options.wait)
            if not command.wait(hook, until_over=options.wait):
                return Exit.RESUMABLE
        if destination:
            command.save(destination)
        else:
            console.say("Nothing was saved. To save the result, name a file or folder with --out.")
        return Exit.DONE

    _end(options, console, command, work)


@suppress_logs_and_warning
def check(options: Namespace) -> None:
    """Test a connection with a free call."""
    console = ConsoleLog()
    read_connections()
    try:
        ok, message = hook_for_connection(options.conn_id).test_connection()
        code = Exit.DONE if ok else Exit.FAILED
    except KeyboardInterrupt:
        code, message = Exit.INTERRUPTED, "Interrupted."
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one sentence
        code, message = Exit.USAGE, _sentence(error)
    if code is not Exit.DONE:
        console.say(message)
    show({"conn_id": options.conn_id, "ok": code is Exit.DONE, "message": message}, options.output)
    raise SystemExit(code)


@suppress_logs_and_warning
def gallery(options: Namespace) -> None:
    """Write the pictures of a folder as one HTML file."""
    from airflow_provider_faceswap.cli.gallery_command import write_sheet

    console = ConsoleLog()
    read_connections()
    try:
        written = write_sheet(options.folder, options.out, overwrite=options.overwrite)
    except KeyboardInterrupt:
        raise SystemExit(Exit.INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one sentence
        console.say(_sentence(error))
        raise SystemExit(Exit.USAGE if isinstance(error, FaceSwapError) else Exit.FAILED) from None
    show(written, options.output)
    raise SystemExit(Exit.DONE)


def _end(options: Namespace, console: ConsoleLog, command: JobCommand, work: Callable[[], Exit]) -> NoReturn:
    """Do the work of a command, then report how it ended."""
    read_connections()
    error = None
    with interruptible():
        try:
            code = work()
        except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - whatever it is, a job may be paid
            code = command.exit_after(caught)
            error = {
                "type": type(caught).__name__,
                "message": _what_happened(caught, code, _program(options)),
            }
            console.say(error["message"])
    if code is Exit.RESUMABLE:
        console.say(f"Resume it with: {command.resume_command}")
    show(command.report(code, error), options.output)
    raise SystemExit(code)


def _program(options: Namespace) -> str:
    return getattr(options, "program", _PROGRAM)


def _job_command(options: Namespace, kind: str, console: ConsoleLog) -> JobCommand:
    return JobCommand(
        kind,
        timeout=options.timeout,
        program=_program(options),
        save_arguments=_save_arguments(options),
        console=console,
    )


def _save_arguments(options: Namespace) -> tuple[str, ...]:
    """The arguments that say where to save the result."""
    if not options.out:
        return ()
    out = (f"--out={options.out}",) if options.out.startswith("-") else ("--out", options.out)
    return (*out, *(("--overwrite",) if options.overwrite else ()))


def _argument(given: str) -> tuple[str, Any]:
    """
    An argument of a job, as ``NAME=VALUE``.

    :raises InvalidRequestError: It has no name.
    """
    name, mark, value = given.partition("=")
    if not (mark and name.isidentifier()):
        raise InvalidRequestError(
            f"--argument: must be NAME=VALUE, got {without_queries(given)!r}", advice="Nothing was bought."
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _picture(given: str) -> Any:
    """
    A picture as the hook takes it: a link or a URI as it is, a file on this disk as an image.

    ``[faceswap] allowed_local_paths`` is for text that others may write. A command reads what its user may read.
    """
    is_local = given.lower().startswith("file://")
    if given.startswith("data:") or ("://" in given and not is_local):
        return given
    from airflow_provider_faceswap.images import Image

    return Image.read(given)


def _what_happened(error: BaseException, code: Exit, program: str) -> str:
    """
    An error as a sentence.

    The advice of an error may name an argument of operators. Here a command replaces it.
    """
    if isinstance(error, FaceSwapError) and (code is Exit.UNCERTAIN or "resume_job_id" in error.advice):
        advice = _UNCERTAIN_ADVICE.format(program=program) if code is Exit.UNCERTAIN else ""
        error = error.replaced(advice=advice)
    if not isinstance(error, KeyboardInterrupt):
        return _sentence(error)
    if code is Exit.INTERRUPTED:
        return "Interrupted. Nothing was submitted."
    if code is Exit.UNCERTAIN:
        return f"Interrupted before the vendor responded. {_UNCERTAIN_ADVICE.format(program=program)}"
    return "Interrupted. The job keeps running at the vendor, and may be charged."


def _sentence(error: BaseException) -> str:
    """Our own errors as they are; others with their class, and links without query."""
    if isinstance(error, FaceSwapError):
        return str(error)
    return error_line(error)
