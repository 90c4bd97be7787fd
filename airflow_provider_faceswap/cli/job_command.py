"""One job at the shell: bought or taken up, waited for, saved, and told."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.interrupt import first_interrupt_held
from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    JobLostError,
    ResultExpiredError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.foundation.redaction import redacted
from airflow_provider_faceswap.lifecycle.ledger import Ledger
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, is_transient
from airflow_provider_faceswap.lifecycle.provenance import provenance
from airflow_provider_faceswap.lifecycle.purchase import Purchase, PurchasePolicy
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import already_over, done_message, result_of, wait
from airflow_provider_faceswap.operators.archive import pieces_of
from airflow_provider_faceswap.telemetry.metrics import failures_counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_faceswap.archive.store import Archived
    from airflow_provider_faceswap.cli.console import ConsoleLog
    from airflow_provider_faceswap.cli.destination import Destination
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.media.inputs import Preflight

#: What is told of a job, in this order; a result has all of it.
_TOLD = (
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
    One job, and what is known of it: that decides how the command ends.

    Nothing is remembered between two commands: each ``swap`` buys a job.

    :param timeout: Seconds to wait for the job, from now.
    :param program: How the commands were started, and can be again.
    :param save: The arguments of the command that say where the result goes.
    """

    def __init__(
        self, kind: str, *, timeout: float, program: str, save: Sequence[str], screen: ConsoleLog
    ) -> None:
        self._kind = kind
        self._timeout = timeout
        self._program = program
        self._save = save
        self._screen = screen
        self._checked = False
        self._sending = False
        self._over = False
        self._submission: Submission | None = None
        self._job: Job | None = None
        self._result: dict[str, Any] = {}
        self._kept: list[Archived] = []

    # -- what is done ---------------------------------------------------------------------------------

    def buy(self, hook: JobHook, arguments: Mapping[str, Any], preflight: Preflight) -> None:
        """
        Buy the job.

        :param arguments: Neutral names to values, as the hook takes them.
        :param preflight: As the hook takes it.
        :raises FaceSwapError: It was not bought, or nobody knows.
        """
        request = hook.prepare(self._kind, preflight=preflight, **arguments)
        for doubt in hook.vendor.warnings(self._kind, request):
            self._screen.say(f"{hook.vendor.name}: {doubt}")
        self._checked = True
        purchase = Purchase(
            hook,
            Ledger(None),
            request,
            self._template(hook, provenance(arguments)),
            epoch=0,
            policy=PurchasePolicy(on_uncertain="fail", on_clear="reuse", max_submissions=1),
            log=self._screen,
        )
        with first_interrupt_held(self._screen.say):
            self._sending = True
            with failures_counted(hook.vendor.name, self._kind):
                self._submission, self._job = purchase.resume_or_submit()

    def look_up(self, hook: JobHook, job_id: str, *, patient: bool) -> None:
        """
        Look at a job that was bought before.

        :param patient: Whether it may be looked at later where it cannot be read now.
        :raises JobLostError: The vendor does not know it.
        :raises FaceSwapError: It could not be read, which says nothing of the job.
        """
        hook.vendor.kind(self._kind)
        hook.endpoint()
        self._checked = True
        template = self._template(hook, {})
        self._submission = template.submission(job_id, reused=True)
        try:
            self._job = hook.fetch(job_id, self._kind)
        except JobLostError:
            self._over = True
            raise
        except FaceSwapError as error:
            if not patient or not is_transient(error):
                raise
            self._screen.say(f"Asking again: {error}")
            return
        if self._job.created_at:
            self._submission = template.submission(job_id, submitted_at=self._job.created_at, reused=True)

    def follow(self, hook: JobHook, *, to_the_end: bool) -> bool:
        """
        See how the job stands.

        :param to_the_end: Wait until it is over, or the timeout is.
        :returns: True where it has succeeded, False where it is not over.
        :raises FaceSwapError: It ended otherwise, or cannot be read any more.
        """
        assert self._submission is not None  # noqa: S101 - it was bought, or taken up
        waited = already_over(hook, self._submission, self._job)
        if waited is None:
            if not to_the_end:
                return False
            title = f"{self._submission.vendor} job {self._submission.job_id}"
            with self._screen.bar(title) as show:
                waited = wait(hook, self._submission, log=self._screen.say, seen=show)
        self._job = waited.job or self._job
        self._over = waited.is_final and waited.outcome is not Outcome.SUCCEEDED
        result = result_of(hook, self._submission, waited)
        self._screen.say(done_message(result))
        self._result = result.to_xcom()
        return True

    def keep(self, destination: Destination) -> None:
        """
        Save what the job made.

        :raises ArchiveError: It could not be saved.
        """
        archive = destination.archive()
        try:
            for piece, inline in pieces_of(self._result):
                self._kept.append(archive.keep(piece, inline))
                self._screen.say(f"Saved {self._kept[-1].uri}")
        except ResultExpiredError:
            self._over = True
            raise

    def _template(self, hook: JobHook, story: dict[str, Any]) -> SubmissionTemplate:
        return SubmissionTemplate(hook.vendor.name, self._kind, hook.conn_id, self._timeout, provenance=story)

    # -- what is said ---------------------------------------------------------------------------------

    def exit_after(self, error: BaseException) -> Exit:
        """How the command ends after an error: by what is known of the job, before what the error is."""
        if self._submission is not None:
            return Exit.FAILED if self._over else Exit.RESUMABLE
        if isinstance(error, SubmissionUncertainError):
            return Exit.UNCERTAIN
        if self._sending and not isinstance(error, FaceSwapError):
            return Exit.UNCERTAIN
        if isinstance(error, KeyboardInterrupt):
            return Exit.INTERRUPTED
        passing = isinstance(error, FaceSwapError) and is_transient(error)
        return Exit.FAILED if self._checked or passing else Exit.USAGE

    @property
    def resume_command(self) -> str:
        """The command that goes on with the job; ask for it where there is one."""
        assert self._submission is not None  # noqa: S101 - it was bought, or taken up
        job = self._submission
        kind = () if job.kind == "face_swap" else ("--kind", job.kind)
        return f"{self._program} job {shlex.join((job.conn_id, job.job_id, *kind, '--wait', *self._save))}"

    def told(self, code: Exit, error: Mapping[str, str] | None) -> dict[str, Any]:
        """
        What stdout gets: all that is known, in the same shape whatever the ending.

        Links lose their query, as in a manifest: it may be a signature, and output of commands ends in logs.
        """
        known: dict[str, Any] = {}
        if self._submission is not None:
            known = self._result or self._submission.model_dump(mode="json")
        return {
            "ending": code.name.lower(),
            **{name: redacted(known.get(name)) for name in _TOLD},
            "state": self._job.state.value if self._job else None,
            "percent": self._job.percent if self._job else None,
            "files": [file.model_dump() for file in self._kept],
            "resume": self.resume_command if code is Exit.RESUMABLE else None,
            "error": error,
        }
