"""The life of a job, once: look in the ledger, submit, defer or wait, settle."""

from __future__ import annotations

import json
from abc import abstractmethod
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.validation import as_choice, as_count, as_job_id, as_seconds
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.lifecycle.ledger import Ledger, Stage, epoch_of
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, kill_message, read_event
from airflow_provider_faceswap.lifecycle.provenance import materialized, provenance, request_arguments
from airflow_provider_faceswap.lifecycle.purchase import Purchase, PurchasePolicy
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import already_over, done_message, result_of, wait
from airflow_provider_faceswap.links import ResultLink
from airflow_provider_faceswap.media.inputs import PREFLIGHTS
from airflow_provider_faceswap.storage.task_records import store_of
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.metrics import failures_counted, job_ended
from airflow_provider_faceswap.telemetry.openlineage import facets
from airflow_provider_faceswap.triggers._airflow_internals import (
    ENDED_STATES,
    UNSUPERVISED,
    has_success_listener,
    task_state_sync,
    uses_default_xcom,
)
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger, deferral_timeout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Record
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult
    from airflow_provider_faceswap.media.inputs import Preflight
    from airflow_provider_faceswap.vendors.messages import Request

#: The deadline comes before ``execution_timeout`` by this share of it, at most by so many seconds: reads that
#: are under way come to their end.
LAST_SHARE = 0.1
LAST_SECONDS = 10.0


class JobOperator(BaseOperator):
    """
    Buy one job and wait for it.

    Returns a dict: ``vendor``, ``kind``, ``job_id``, ``conn_id``, ``url``, ``urls``, ``cost`` (``amount`` and
    ``unit``, or ``None``), ``submitted_at``, ``finished_at``, ``expires_at`` (ISO 8601), ``attempt_reused``
    and ``provenance``.

    :param conn_id: The connection; its password is the API key.
    :param deferrable: Wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param timeout: Seconds for the whole job; at the deadline the job is left as it is, resumable. An
        ``execution_timeout`` that is shorter brings the deadline forward, to just before it.
    :param poll_interval: Least seconds between two questions; default: the kind's own schedule.
    :param cancel_on_kill: Cancel the job when a person ends the task, where the vendor can.
    :param cancel_on_timeout: Cancel the job at the deadline, where the vendor can.
    :param on_uncertain: What to do when a create was sent and no answer came: ``fail``, or ``resubmit``, which
        may pay twice.
    :param on_clear: What a cleared task does with the job it had: ``reuse`` it, or ``resubmit``.
    :param max_submissions: How many jobs one task instance may buy between clears.
    :param resume_job_id: Buy nothing; wait for this job, given by its id or as the whole result of its operator, and
        return its result. ``None``, or a template that renders to nothing: buy one.
    :param preflight: What is looked at before anything is bought: ``auto`` checks pictures that pass through this
        worker (bytes, files in object storage), ``check`` fetches and checks links too, ``fit`` also converts and
        shrinks what the vendor would refuse, ``off`` leaves all of it to the vendor.
    :raises InvalidRequestError: An argument is wrong. Nothing was bought.
    """

    #: Content arguments come first in every subclass; they are templated.
    template_fields: Sequence[str] = ("conn_id", "resume_job_id")
    operator_extra_links: Collection[BaseOperatorLink] = (ResultLink(),)
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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
        self.outcome: dict[str, Any] | None = None
        self._running: tuple[Context, Submission] | None = None
        self._ended = False
        self._warned = False
        self._begun_at = CLOCK.now()

    # -- what a vendor's operator says ----------------------------------------------------------------

    @property
    @abstractmethod
    def kind(self) -> str:
        """Which kind of job this buys."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names, as the user gave them."""

    @property
    def resumes(self) -> bool:
        """Whether it buys nothing, and waits for a job that is there; what a template renders to nothing is none."""
        return self.resume_job_id not in (None, "")

    @property
    def hook(self) -> JobHook:
        """A hook on the connection."""
        return self.hook_class(self.conn_id)

    # -- the life of a job ----------------------------------------------------------------------------

    def execute(self, context: Context) -> dict[str, Any]:
        """Buy the job, or take up the one that was bought, and wait for it or defer."""
        self._begun_at = CLOCK.now()
        return self._run(context)

    def _run(self, context: Context) -> dict[str, Any]:
        arguments = self._arguments(context)
        if not isinstance(self.conn_id, str) or not self.conn_id.strip():
            raise InvalidRequestError("conn_id: is empty, and no account is taken in its place")
        with self.hook as hook:
            template = self._template(hook, arguments)
            if self.resumes:
                hook.vendor.kind(self.kind)
                job_id = as_job_id("resume_job_id", self.resume_job_id)
                return self._wait(context, hook, template.submission(job_id, reused=True, counted=True), None)
            request = self._request(context, hook, arguments)
            self._check_deferral(template)
            for warning in hook.vendor.warnings(self.kind, request):
                self.log.warning("%s: %s", hook.vendor.name, warning)
            ledger = self._ledger(context)
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
            )
            with failures_counted(hook.vendor.name, self.kind):
                submission, job = purchase.resume_or_submit()
            return self._wait(context, hook, submission, job)

    def _request(self, context: Context, hook: JobHook, arguments: Mapping[str, Any]) -> Request:
        """
        Check the arguments and build the request.

        :raises FaceSwapError: They are wrong, or a picture cannot be had: one that an earlier try could still read may
            have been paid for, which is said.
        """
        try:
            return hook.prepare(self.kind, preflight=self.preflight, **request_arguments(arguments))
        except FaceSwapError as error:
            with suppress(FaceSwapError):
                record = self._ledger(context).read()
                if record is not None and record.stage is Stage.SUBMITTED:
                    error.advice += (
                        f" An earlier try has bought job {record.job_id}: resume_job_id takes it up."
                    )
                elif record is not None and record.stage is Stage.INTENT:
                    error.advice += " An earlier try may have bought a job whose id nobody knows: look in the vendor's job list."
            raise

    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take the event of the trigger; only a known ending about this job counts."""
        self._begun_at = CLOCK.now()
        waited, ending = read_event(event, submission)
        if ending.outcome is Outcome.SUCCEEDED:
            # The event carries no link, as events are logged; the job is asked once more for it.
            with self.hook as hook:
                return self._wait_here(context, hook, waited)
        return self._settle(context, waited, ending)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What OpenLineage is told: the pictures, the result, the job and its cost; no signed link."""
        del task_instance
        return facets(lineage.of_job(self.outcome, self.arguments()))

    def on_kill(self) -> None:
        """
        Cancel the job if a person, or the run, ended the task; once, best effort, and said honestly.

        A worker that shuts down calls this too, as does ``execution_timeout``, and a running task that was
        cleared: then the job goes on, and the next try takes it up.
        """
        if self._running is None or self._ended:
            return
        context, job = self._running
        state = task_state_sync(context["ti"])
        if state not in {*ENDED_STATES, UNSUPERVISED} or not self.cancel_on_kill:
            self.log.info(
                "%s job %s goes on: its task is %s", job.vendor, job.job_id, state or "in a state not known"
            )
            return
        self._ended = True
        confirmed = self.hook.cancel(job.job_id, job.kind)
        self.log.warning(kill_message(job, state, confirmed=confirmed))

    def _arguments(self, context: Context) -> dict[str, Any]:
        """
        The arguments of this run.

        A webhook often carries a token: it is rendered here, not as a template field, so that Airflow does
        not store it among the rendered fields.
        """
        arguments = {name: materialized(value) for name, value in self.arguments().items()}
        if arguments.get("webhook") is not None:
            arguments["webhook"] = self.render_template(arguments["webhook"], context)
        return arguments

    def _template(self, hook: JobHook, arguments: Mapping[str, Any]) -> SubmissionTemplate:
        """
        What is known of the submission before the vendor accepts it.

        Airflow does not enforce ``execution_timeout`` while a task is deferred, and interrupts a running task with it
        at any point. So the deadline comes first.
        """
        latest = None
        if self.execution_timeout is not None:
            limit = self.execution_timeout.total_seconds()
            limit -= min(LAST_SECONDS, limit * LAST_SHARE)
            latest = datetime.fromtimestamp(self._begun_at + limit, UTC)
        return SubmissionTemplate(
            hook.vendor.name, self.kind, self.conn_id, self.timeout, latest, provenance(arguments)
        )

    def _trigger(self, submission: Submission) -> JobTrigger:
        return JobTrigger(
            submission=submission.model_dump(mode="json"),
            poll_interval=self.poll_interval,
            resume_after=CLOCK.now() + SAFE_RESUME_DELAY,
            cancel_on_kill=self.cancel_on_kill,
            cancel_on_timeout=self.cancel_on_timeout,
            end_in_place=self._nothing_left_to_do(),
        )

    def _nothing_left_to_do(self) -> bool:
        """True where a success needs no worker: nobody listens, and only a plain return value is wanted."""
        left = self.outlets or self.on_success_callback or not self.do_xcom_push
        return not left and uses_default_xcom() and not has_success_listener()

    def _check_deferral(self, template: SubmissionTemplate) -> None:
        """
        Find out before the paid call whether the task could defer after it.

        :raises InvalidRequestError: The trigger could not be stored.
        """
        try:
            json.dumps(self._trigger(template.submission("0")).serialize(), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(
                f"the trigger cannot be stored: {error}", vendor=template.vendor
            ) from None

    def _ledger(self, context: Context) -> Ledger:
        return Ledger(store_of(context))

    # -- waiting and settling -------------------------------------------------------------------------

    def _wait(
        self, context: Context, hook: JobHook, submission: Submission, job: Job | None
    ) -> dict[str, Any]:
        """Defer, or wait here; a job that is over already needs neither."""
        if self.deferrable and already_over(hook, submission, job) is None:
            self._defer(submission)
        return self._wait_here(context, hook, submission, job)

    def _wait_here(
        self, context: Context, hook: JobHook, submission: Submission, job: Job | None = None
    ) -> dict[str, Any]:
        """Wait in this worker."""
        self._running = (context, submission)
        waited = wait(
            hook,
            submission,
            first=job,
            poll_interval=self.poll_interval,
            log=self.log.info,
            cancel_on_timeout=self.cancel_on_timeout,
        )
        self._running = None
        return self._settle(context, submission, waited)

    def _defer(self, submission: Submission) -> NoReturn:
        # When a task has left its worker, Airflow stores its links, here empty ones: that may be after the trigger
        # has ended the task, and would take its link away.
        self.operator_extra_links = ()
        self.defer(
            trigger=self._trigger(submission),
            method_name="execute_complete",
            kwargs={"submission": submission.model_dump(mode="json")},
            timeout=deferral_timeout(submission),
        )
        raise AssertionError("defer() always raises")

    def _settle(self, context: Context, submission: Submission, ending: WaitResult) -> dict[str, Any]:
        """Write the ending down, then return the result or raise what the ending stands for."""
        job_ended(submission, ending)
        record = self._close(context, submission, ending) if ending.is_final else None
        if record is not None and ending.outcome is Outcome.CANCELED and self._may_replace(context, record):
            # The task was ended, which cancelled the job, then cleared: this try took up a dying job.
            self.log.warning("Job %s was cancelled under this try; a new one is bought", record.job_id)
            return self._run(context)
        result = result_of(hook_for(submission.vendor, submission.conn_id), submission, ending)
        self.log.info(done_message(result))
        self.outcome = result.to_xcom()
        lineage.collect(self.hook, lineage.of_job(self.outcome, self.arguments()))
        return self.outcome

    def _close(self, context: Context, submission: Submission, ending: WaitResult) -> Record | None:
        """Settle the record of this job; ``None`` where there is none, or it cannot be reached."""
        ledger = self._ledger(context)
        try:
            record = ledger.read()
            if record is None or record.job_id != submission.job_id:
                return None
            ledger.write(record.settled(ending.outcome))
        except FaceSwapError as error:
            # Nothing hangs on it: a later try asks the vendor how the recorded job stands.
            self.log.warning(
                "Job %s is over, but its record stays open: %s", submission.job_id, error.message
            )
            return None
        return record if submission.reused else None

    def _may_replace(self, context: Context, record: Record) -> bool:
        """Whether a cancelled job may be replaced at once: the task goes on, and its cap is not reached."""
        left = record.epoch != epoch_of(context) or record.purchases < self.max_submissions
        return left and not self._ended and not self.resumes
