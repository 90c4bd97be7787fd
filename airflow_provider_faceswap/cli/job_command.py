"""One job of a command: submitted or resumed, waited for, saved and reported."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.sources import parse_sources
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.interrupt import first_interrupt_held
from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    JobLostError,
    ResultExpiredError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.foundation.redaction import redacted
from airflow_provider_faceswap.hooks.private_host import check_private_host
from airflow_provider_faceswap.lifecycle.ledger import Ledger
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, is_transient
from airflow_provider_faceswap.lifecycle.provenance import provenance
from airflow_provider_faceswap.lifecycle.purchase import Purchase, PurchasePolicy
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import done_message, is_over, result_of, wait
from airflow_provider_faceswap.operators.archive import fetch_job
from airflow_provider_faceswap.telemetry.metrics import failures_counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_faceswap.archive.manifest import Archived
    from airflow_provider_faceswap.cli.console import ConsoleLog
    from airflow_provider_faceswap.cli.destination import Destination
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.media.preflight import Preflight

#: Fields of a job in the report, in this order; a result has all of them.
_JOB_FIELDS = (
    "vendor",
    "kind",
    "job_id",
    "conn_id",
    "url",
    "urls",
    "cost",
    "submitted_at",
    "finished_at",
    "expires_at",
)


class JobCommand:
    """
    One job, and what is known about it, which decides the exit code.

    There is no ledger: each ``swap`` submits a job.

    :param timeout: Seconds to wait for the job, from now.
    :param program: What the user typed to run the commands, for the command that resumes.
    :param save_arguments: The arguments that say where to save the result.
    """

    def __init__(
        self, kind: str, *, timeout: float, program: str, save_arguments: Sequence[str], console: ConsoleLog
    ) -> None:
        self._kind = kind
        self._timeout = timeout
        self._program = program
        self._save_arguments = save_arguments
        self._console = console
        self._checked = False
        self._sending = False
        self._over = False
        #: Whether the time of the submission is known: of a job that was submitted elsewhere the vendor may not say it.
        self._knows_begin = False
        self._saw_end = False
        self._submission: Submission | None = None
        self._job: Job | None = None
        self._result: dict[str, Any] = {}
        self._saved: list[Archived] = []

    def submit(self, hook: JobHook, arguments: Mapping[str, Any], preflight: Preflight) -> None:
        """
        Submit the job.

        :param arguments: Neutral names to values, as the hook takes them.
        :param preflight: As the hook takes it.
        :raises FaceSwapError: The job was not submitted, or it is unknown whether it was.
        """
        request = hook.prepare(self._kind, preflight=preflight, **arguments)
        for warning in hook.vendor.warnings(self._kind, request):
            self._console.say(f"{hook.vendor.name}: {warning}")
        check_private_host(hook.endpoint())
        self._checked = True
        purchase = Purchase(
            hook,
            Ledger(None),
            request,
            self._template(hook, provenance(arguments)),
            epoch=0,
            policy=PurchasePolicy(on_uncertain="fail", on_clear="reuse", max_submissions=1),
            log=self._console,
        )
        with first_interrupt_held(self._console.say):
            self._sending = True
            with failures_counted(hook.vendor.name, self._kind):
                self._submission, self._job = purchase.resume_or_submit()
        self._knows_begin = True

    def poll(self, hook: JobHook, job_id: str, *, patient: bool) -> None:
        """
        Poll a job that was submitted before.

        :param patient: Whether the job will be polled again, so that a failed poll is no error.
        :raises JobLostError: The vendor does not have the job.
        :raises FaceSwapError: The poll failed, which says nothing about the job.
        """
        hook.vendor.fetch(self._kind, job_id)  # refuses a kind that is unknown, or cannot be polled
        hook.endpoint()
        self._checked = True
        template = self._template(hook, {})
        # Not "reused": nothing is known about who paid for the job.
        self._submission = template.submission(job_id)
        try:
            self._job = hook.fetch(job_id, self._kind)
        except JobLostError as error:
            self._over = True
            raise error.replaced(
                message=f"the vendor does not know this id as a job of kind {self._kind}: {error.message}",
                advice="Is --kind right, and is the connection of the account that paid for the job? Otherwise its "
                "record at the vendor is gone, or there was no such job.",
            ) from None
        except FaceSwapError as error:
            if not patient or not is_transient(error):
                raise
            self._console.say(f"Polling again: {error}")
            return
        if self._job.created_at:
            self._submission = template.submission(job_id, submitted_at=self._job.created_at)
            self._knows_begin = True

    def wait(self, hook: JobHook, *, until_over: bool = True) -> bool:
        """
        Wait for the job, and take its result.

        :param until_over: False to return at once if the job is still running.
        :returns: True if it succeeded, False if it is not over.
        :raises FaceSwapError: The job did not succeed, or the wait ended before the job.
        """
        assert self._submission is not None  # noqa: S101 - submitted or polled before
        if not (until_over or is_over(self._job)):
            return False
        title = f"{self._submission.vendor} job {self._submission.job_id}"
        # The end of a job that was over before is not now.
        self._saw_end = self._sending or not is_over(self._job)
        with self._console.bar(title) as show:
            waited = wait(hook, self._submission, first=self._job, log=self._console.say, seen=show)
        self._job = waited.job or self._job
        self._over = waited.is_final and waited.outcome is not Outcome.SUCCEEDED
        result = result_of(hook, self._submission, waited)
        self._result = result.to_xcom()
        ended = self._job.finished_at if self._job is not None else None
        knows_times = self._knows_begin and (self._saw_end or ended is not None)
        self._console.say(done_message(result) if knows_times else f"{title} is done{_at(self._job)}")
        return True

    def save(self, destination: Destination) -> None:
        """
        Save the result.

        :raises ArchiveError: It could not be saved.
        """
        archive = destination.archive()
        try:
            for source in parse_sources(self._result, fetch_job)[0]:
                self._saved.append(archive.keep(source))
                self._console.say(f"Saved {self._saved[-1].uri}")
        except ResultExpiredError:
            self._over = True
            raise

    def _template(self, hook: JobHook, origin: dict[str, Any]) -> SubmissionTemplate:
        return SubmissionTemplate(
            hook.vendor.name, self._kind, hook.conn_id, self._timeout, provenance=origin
        )

    def exit_after(self, error: BaseException) -> Exit:
        """The exit code after an error. What is known about the job counts first, then the error."""
        if self._submission is not None:
            return Exit.FAILED if self._over else Exit.RESUMABLE
        if isinstance(error, SubmissionUncertainError):
            return Exit.UNCERTAIN
        if self._sending and not isinstance(error, FaceSwapError):
            return Exit.UNCERTAIN
        if isinstance(error, KeyboardInterrupt):
            return Exit.INTERRUPTED
        transient = isinstance(error, FaceSwapError) and is_transient(error)
        return Exit.FAILED if self._checked or transient else Exit.USAGE

    @property
    def resume_command(self) -> str:
        """The command that resumes the job."""
        assert self._submission is not None  # noqa: S101 - submitted or polled before
        job = self._submission
        kind = () if job.kind == "face_swap" else ("--kind", job.kind)
        options = (*kind, "--wait", *self._save_arguments)
        # A name that begins with a dash would be read as an option.
        if job.conn_id.startswith("-"):
            words = (*options, "--", job.conn_id, job.job_id)
        else:
            named = f"--job-id={job.job_id}" if job.job_id.startswith("-") else job.job_id
            words = (job.conn_id, named, *options)
        return f"{self._program} job {shlex.join(words)}"

    def report(self, code: Exit, error: Mapping[str, str] | None) -> dict[str, Any]:
        """
        What is known, for stdout; the same fields for every exit code.

        Links lose their query, as in a manifest: it may be a signature, and the output of commands ends up in logs.
        """
        known: dict[str, Any] = {}
        if self._submission is not None:
            ended = self._job.finished_at if self._job is not None else None
            finished = ended.isoformat() if ended is not None else None
            known = {**(self._result or self._submission.model_dump(mode="json"))}
            if not self._knows_begin:
                known.update(dict.fromkeys(("submitted_at", "expires_at")))
            if not self._saw_end:
                known["finished_at"] = finished
        return {
            "ending": code.name.lower(),
            **{name: redacted(known.get(name)) for name in _JOB_FIELDS},
            "state": self._job.state.value if self._job else None,
            "percent": self._job.percent if self._job else None,
            "files": [file.model_dump() for file in self._saved],
            "resume": self.resume_command if code is Exit.RESUMABLE else None,
            "error": error,
        }


def _at(job: Job | None) -> str:
    """When and for how much a job was done, as far as the vendor says so."""
    if job is None:
        return ""
    when = f", at {job.finished_at.isoformat(timespec='seconds')}" if job.finished_at else ""
    return f"{when}{f': {job.cost}' if job.cost else ''}"
