"""Base of every operator that submits one job: read the ledger, submit, defer or wait, settle."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Unpack

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.validation import (
    as_choice,
    as_conn_id,
    as_count,
    as_job_id,
    as_seconds,
)
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.lifecycle.ledger import attempt_of, epoch_of
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, read_event
from airflow_provider_faceswap.lifecycle.provenance import provenance, request_arguments
from airflow_provider_faceswap.lifecycle.purchase import Purchase, PurchasePolicy
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate, latest_deadline
from airflow_provider_faceswap.lifecycle.waiting import is_over, wait
from airflow_provider_faceswap.links import GalleryLink, ResultLink
from airflow_provider_faceswap.media.preflight import PREFLIGHTS
from airflow_provider_faceswap.operators._clears import failure_noted, note_in_ledger, unrecorded_since
from airflow_provider_faceswap.operators._earlier_job import names_earlier_job
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.operators._reuse import ReusedError, ReusingOperator
from airflow_provider_faceswap.telemetry.metrics import failures_counted
from airflow_provider_faceswap.triggers._after_success import stored_in_triggerer
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger, wait_in_triggerer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Ledger
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult
    from airflow_provider_faceswap.media.preflight import Preflight
    from airflow_provider_faceswap.operators._keywords import TaskArguments


class JobOperator(ReusingOperator):
    """
    Submit one job and wait for it.

    Returns a dict: ``vendor``, ``kind``, ``job_id``, ``conn_id``, ``url``, ``urls``, ``cost`` (``amount`` and
    ``unit``, or ``None``), ``submitted_at``, ``finished_at``, ``expires_at`` (ISO 8601), ``attempt_reused``
    and ``provenance``.

    :param conn_id: The connection; its password is the API key.
    :param deferrable: Wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param timeout: Seconds for the whole job. At the deadline the job is left running and can be resumed. A shorter
        ``execution_timeout`` moves the deadline to just before it.
    :param poll_interval: Minimum seconds between two polls; default: the kind's own schedule.
    :param cancel_on_kill: Cancel the job when a person ends the task, if the vendor supports it.
    :param cancel_on_timeout: Cancel the job at the deadline, if the vendor supports it.
    :param on_uncertain: What to do after a submission without a response: ``fail``, or ``resubmit``, which may pay
        twice.
    :param on_clear: What a cleared task does with its job: ``reuse`` it, or ``resubmit``.
    :param max_submissions: How many jobs one task instance may submit before it is cleared; a clear resets
        the count.
    :param resume_job_id: Submit nothing; wait for this job and return its result. A job id, or the whole result of
        the operator that submitted it. ``None``, or a template that renders to nothing: submit a job.
    :param preflight: What is checked before a job is submitted: ``auto`` checks pictures that pass through this
        worker (bytes, files in object storage), ``check`` fetches and checks links too, ``fit`` also converts and
        shrinks what the vendor would refuse, ``off`` leaves all checks to the vendor.
    :param budget: A :class:`~airflow_provider_faceswap.budgets.Budget`, its JSON, or a list with one for each unit; default: that of the settings.
    :param price: What the job costs, in the budget's unit, until the budget has seen the cost of such a job.
    :param reuse: ``run``: a retry reuses the job of its own task instance. ``archive``: a request that was archived below
        ``reuse_from``, by whatever Dag and run, is not bought again.
    :param reuse_from: The folder of that archive.
    :param reuse_links: What a link is in a request that is looked for: the ``link``, or its ``content``, which is fetched.
    :param multiple_outputs: Store each key of the result as an XCom of its own too, for ``task.output["url"]``.
    :raises BudgetExceededError: The job would take the budget over its cap. Nothing was bought.
    :raises InvalidRequestError: An argument is wrong. Nothing was bought.
    """

    #: Every subclass puts its content arguments before these.
    template_fields: Sequence[str] = ("conn_id", "resume_job_id")
    operator_extra_links: Collection[BaseOperatorLink] = (ResultLink(), GalleryLink())
    #: Pale violet in the graph, the same for every vendor.
    ui_color = "#e8e0f7"
    hook_class: ClassVar[type[JobHook]]
    default_timeout: ClassVar[float] = 600.0

    def __init__(
        self,
        *,
        conn_id: str | None = None,
        deferrable: bool | None = None,
        timeout: float | timedelta | None = None,
        poll_interval: float | None = None,
        cancel_on_kill: bool = True,
        cancel_on_timeout: bool = False,
        on_uncertain: Literal["fail", "resubmit"] = "fail",
        on_clear: Literal["reuse", "resubmit"] = "reuse",
        max_submissions: int = 2,
        resume_job_id: Any = None,
        preflight: Preflight = "auto",
        budget: Any = None,
        price: float | None = None,
        reuse: Literal["run", "archive"] = "run",
        reuse_from: Any = None,
        reuse_links: Literal["link", "content"] = "link",
        multiple_outputs: bool = True,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        reusing = {"reuse": reuse, "reuse_from": reuse_from, "reuse_links": reuse_links}
        super().__init__(budget=budget, price=price, **reusing, multiple_outputs=multiple_outputs, **kwargs)
        self.conn_id = conn_id or self.hook_class.default_conn_name
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False)
            if deferrable is None
            else deferrable
        )
        self.timeout = as_seconds("timeout", self.default_timeout if timeout is None else timeout)
        self.poll_interval = None if poll_interval is None else as_seconds("poll_interval", poll_interval)
        self.cancel_on_kill = cancel_on_kill
        self.cancel_on_timeout = cancel_on_timeout
        self.on_uncertain = as_choice("on_uncertain", on_uncertain, ("fail", "resubmit"))
        self.on_clear = as_choice("on_clear", on_clear, ("reuse", "resubmit"))
        self.max_submissions = as_count("max_submissions", max_submissions)
        self.resume_job_id = resume_job_id
        self.preflight = as_choice("preflight", preflight, PREFLIGHTS)
        self._warned = False
        self._begun_at = CLOCK.now()

    @property
    def hook(self) -> JobHook:
        """
        A hook on the connection.

        :raises InvalidRequestError: ``conn_id`` is empty. The default connection may be another account, so
            it is not used.
        """
        return self.hook_class(as_conn_id(self.conn_id))

    # -- the life of a job ----------------------------------------------------------------------------

    @failure_shown
    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job, or resume the one that was submitted before; wait for it here, or defer."""
        self._begun_at = CLOCK.now()
        return self._run(context, self.hook)

    @failure_shown
    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Handle the trigger's event. Only a known outcome of this job is accepted."""
        self._begun_at = CLOCK.now()
        return self._complete(context, *read_event(event, submission))

    def _run(self, context: Context, hook: JobHook) -> dict[str, Any]:
        """Submit or resume, then wait; again if the job was cancelled in the meantime and may be replaced."""
        result = None
        with hook:
            while result is None:
                try:
                    submission, job = self._submit(context, hook)
                except ReusedError as reused:
                    return self._reused(context, hook, reused.result)
                if self.deferrable and not is_over(job):
                    self._defer(submission)
                result = self._wait(context, hook, submission, job)
        return result

    def _complete(self, context: Context, submission: Submission, waited: WaitResult) -> dict[str, Any]:
        """Continue after the trigger's event."""
        hook = self._hook_of(submission)
        if waited.outcome is Outcome.SUCCEEDED:
            # The event carries no link, because events are logged: poll once more for it.
            with hook:
                result = self._wait(context, hook, submission)
        else:
            result = self._settle(context, hook, submission, waited)
        return self._run(context, hook) if result is None else result

    def _submit(self, context: Context, hook: JobHook) -> tuple[Submission, Job | None]:
        """
        Check the arguments, then submit the job or resume the recorded one.

        :returns: The submission, and the job as last seen, if it was polled.
        """
        ledger, since = self._ledger(context, hook.conn_id), self._unrecorded_since(context)
        note = partial(note_in_ledger, ledger, hook, self.kind, epoch_of(context))
        with failure_noted(note, certain=since is None):
            return self._submit_or_resume(context, hook, ledger, since)

    def _unrecorded_since(self, context: Context) -> datetime | None:
        """The earliest time of a submission whose record a clear may have deleted."""
        return unrecorded_since(context, self.retries or 0)

    def _submit_or_resume(
        self, context: Context, hook: JobHook, ledger: Ledger, since: datetime | None
    ) -> tuple[Submission, Job | None]:
        arguments = self._rendered_arguments(context)
        with names_earlier_job(ledger):
            template = SubmissionTemplate(
                hook.vendor.name,
                self.kind,
                hook.conn_id,
                self.timeout,
                latest_deadline(self._begun_at, self.execution_timeout),
                provenance(arguments),
            )
            if self.resumes:
                job_id = as_job_id("resume_job_id", self.resume_job_id)
                hook.vendor.fetch(self.kind, job_id)  # refuses a kind that is unknown, or cannot be polled
                return template.submission(job_id, reused=True, counted=True), None
            sent = request_arguments(arguments)
            request = hook.prepare(self.kind, preflight=self.preflight, **sent)
            if self.reuse == "archive":
                self._reuse_or_claim(context, hook, self._key(context, hook, request), template)
            funds = self._funds(context, hook, self.kind, hook.vendor.model_of(self.kind, request))
        self._bought_from = funds
        self._trigger(template.submission("0")).check_storable()
        for warning in hook.vendor.warnings(self.kind, request):
            self.log.warning("%s: %s", hook.vendor.name, warning)
        if not (ledger.remembers or self._warned):
            self._warned = True
            self.log.warning(
                "This Airflow has no task state store and [faceswap] ledger_uri is not set: a retry of this "
                "task may pay for a second job."
            )
        purchase = Purchase(
            hook,
            ledger,
            request,
            template,
            epoch=epoch_of(context),
            policy=PurchasePolicy(self.on_uncertain, self.on_clear, self.max_submissions),
            log=self.log,
            client_of=hook_for,
            attempt=attempt_of(context),
            unrecorded_since=since,
            funds=funds,
        )
        with failures_counted(hook.vendor.name, self.kind):
            try:
                return self._resume_or_submit(context, purchase)
            except FaceSwapError as error:
                self._nothing_bought(context, template, error)
                raise self._later(error) from None

    def _resume_or_submit(self, context: Context, purchase: Purchase) -> tuple[Submission, Job | None]:
        """Take the step that may pay. A task with several connections first looks at its other records."""
        del context
        return purchase.resume_or_submit()

    def _wait(
        self, context: Context, hook: JobHook, submission: Submission, job: Job | None = None
    ) -> dict[str, Any] | None:
        """
        Wait in this worker.

        :param job: The job as last seen; if it is over, nothing is polled.
        :returns: ``None`` if the job is to be replaced.
        """
        self._running, self._stop = (context, submission), Event()
        waited = wait(
            hook,
            submission,
            first=job,
            poll_interval=self.poll_interval,
            log=self.log.info,
            cancel_on_timeout=self.cancel_on_timeout,
            stop=self._stop,
        )
        self._running = None
        return self._settle(context, hook, submission, waited)

    def _defer(self, submission: Submission) -> NoReturn:
        trigger = self._trigger(submission)
        # Airflow stores a task's links once the task has left its worker; these would be empty. The trigger may have
        # ended the task by then, and its link would be overwritten.
        self.operator_extra_links = ()
        wait_in_triggerer(self, trigger)

    def _trigger(self, submission: Submission) -> JobTrigger:
        # A worker settles the budget.
        stored = stored_in_triggerer(self) if self._bought_from is None else None
        return JobTrigger(
            submission=submission.model_dump(mode="json"),
            poll_interval=self.poll_interval,
            resume_after=CLOCK.now() + SAFE_RESUME_DELAY,
            cancel_on_kill=self.cancel_on_kill,
            cancel_on_timeout=self.cancel_on_timeout,
            end_in_place=stored is not None,
            stored=stored,
        )
