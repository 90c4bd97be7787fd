"""The options that all jobs of a batch share, and the requests of its items."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_faceswap.archive.names import given_filename, split_suffix
from airflow_provider_faceswap.batch import checks
from airflow_provider_faceswap.batch.item_storage import ItemStorage
from airflow_provider_faceswap.batch.steps import PARENT
from airflow_provider_faceswap.batch.templates import filled
from airflow_provider_faceswap.exceptions import InvalidRequestError, PictureNotTakenError
from airflow_provider_faceswap.lifecycle.marks import fingerprint
from airflow_provider_faceswap.lifecycle.provenance import provenance, request_arguments
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.media.remembered import RememberedPictures, remembering

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_faceswap.batch.checks import CheckedItems
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.steps import PlannedStep
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
    from airflow_provider_faceswap.vendors.messages import Request

#: Stands for the picture of an earlier step in a request: each attempt may have another link to it. No preflight fetches it.
_RESULT = "https://picture.invalid/step-"
#: Characters of the id of a job that is not known yet.
_ID = 24


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """
    A step of an item, before it is known what the steps before it make.

    :param requests: The kind and the request that identify its job, by connection, in the order in which these are tried.
    :param refused: By connection, why its vendor does not take a picture.
    """

    step: PlannedStep
    requests: Mapping[str, tuple[str, Request]]
    refused: Mapping[str, PictureNotTakenError]

    @property
    def result(self) -> dict[str, Any]:
        """
        What stands for its result in the requests of later steps: the same for the same request.

        It does not depend on the order of the connections.
        """
        conn_id = min(self.requests)
        kind, request = self.requests[conn_id]
        vendor = next(hook.vendor.name for hook in self.step.hooks if hook.conn_id == conn_id)
        digest = fingerprint(vendor, "", kind, request)
        return {"vendor": vendor, "kind": kind, "job_id": digest[:_ID], "url": f"{_RESULT}{digest}"}


@dataclass(frozen=True)
class JobOptions:
    """
    The options that all jobs of a batch share.

    :param steps: In their order.
    :param epoch: Changes when the task is cleared, and never otherwise.
    :param attempt: The number of this attempt, as Airflow counts them.
    :param on_bad_item: Whether a row that cannot be an item stops the batch before anything is bought.
    :param log: The task's logger.
    :param storage: The connections for pictures of rows.
    :param filename: The parsed name of the archived files; ``None`` if a column of the item names them.
    :param pictures: The pictures of rows that were read from storage.
    :param keep: Whether the pictures of all steps are archived, or those of the last one.
    """

    steps: tuple[PlannedStep, ...]
    policy: PurchasePolicy
    epoch: int
    on_bad_item: Literal["fail", "skip"]
    log: Any
    storage: ItemStorage = field(default_factory=ItemStorage)
    attempt: int = 0
    filename: Any = None
    keep: Literal["last", "all"] = "last"
    pictures: RememberedPictures = field(default_factory=RememberedPictures)

    @property
    def is_chain(self) -> bool:
        """False for a batch whose columns are the arguments of one kind of job."""
        return self.steps[0].arguments is not None

    @property
    def hooks(self) -> tuple[JobHook, ...]:
        """The hooks of all connections, each once."""
        return tuple({hook.conn_id: hook for step in self.steps for hook in step.hooks}.values())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may show."""
        return tuple(secret for hook in self.hooks for secret in hook.secrets)

    # -- requests -------------------------------------------------------------------------------------

    def arguments(
        self, step: PlannedStep, hook: JobHook, item: BatchItem, results: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """
        The vendor's kind of a step, and its arguments for an item.

        :param results: The results of the steps before it.
        :raises InvalidRequestError: A column that is part of a text is empty, or no text.
        """
        if step.arguments is None:
            return step.kind, item.arguments(hook.vendor.kind(step.kind).arguments.model_fields)
        if item.problem is not None:
            raise InvalidRequestError(item.problem)

        def look_up(name: str) -> Any:
            return results[name] if name in results else item.columns.get(name)

        arguments = {}
        for name, value in step.arguments.items():
            try:
                new = filled(value, look_up)
            except InvalidRequestError as error:
                raise error.replaced(message=f"{name}: {error.message}") from None
            if new is not None:
                arguments[name] = new
        return hook.vendor.job_of(step.kind, arguments)

    def inputs(
        self, step: PlannedStep, hook: JobHook, item: BatchItem, results: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The arguments of a step as they were given, for the thumbnails of its inputs."""
        if step.arguments is None:
            return item.columns
        _, arguments = self.arguments(step, hook, item, results)
        parent = arguments.get(PARENT)
        return {**arguments, PARENT: parent["job_id"]} if isinstance(parent, dict) else arguments

    def request_at(
        self, step: PlannedStep, hook: JobHook, item: BatchItem, results: Mapping[str, Any]
    ) -> tuple[str, Request]:
        """The kind and the request of a step at one connection."""
        kind, arguments = self.arguments(step, hook, item, results)
        pictures = hook.vendor.kind(kind).media
        sent = request_arguments(self.storage.opened(arguments, pictures))
        with remembering(self.pictures):
            return kind, hook.prepare(kind, preflight=step.preflight, **sent)

    def request(self, item: BatchItem) -> list[PreparedStep]:
        """
        The requests of all steps of an item, with a placeholder for each result that is not known yet.

        :raises InvalidRequestError: A step cannot be submitted at any of its connections.
        """
        results: dict[str, Any] = {}
        prepared = []
        for step in self.steps:
            try:
                prepared.append(made := self._prepared(step, item, results))
            except InvalidRequestError as error:
                if not self.is_chain or item.problem is not None:
                    raise
                raise error.replaced(message=f"step {step.name!r}: {error.message}") from None
            if step is not self.steps[-1]:
                results[step.name] = made.result
        return prepared

    def _prepared(self, step: PlannedStep, item: BatchItem, results: Mapping[str, Any]) -> PreparedStep:
        requests: dict[str, tuple[str, Request]] = {}
        refused: dict[str, PictureNotTakenError] = {}
        for hook in step.hooks:
            try:
                kind, request = self.request_at(step, hook, item, results)
            except PictureNotTakenError as error:
                refused[hook.conn_id] = error
                continue
            if step.inputs:
                # It is never sent: no bytes of other pictures need to be kept.
                request = replace(request, body=request.identity, known_as=None, uploads={})
            requests[hook.conn_id] = kind, request
        if not requests:
            raise next(iter(refused.values()))
        return PreparedStep(step, requests, refused)

    def template(
        self, step: PlannedStep, hook: JobHook, item: BatchItem, results: Mapping[str, Any]
    ) -> SubmissionTemplate:
        """
        The submission of an item's step, without what the vendor's response adds.

        :param results: The results of the steps before it, as far as they are known; a link is not needed.
        """
        kind, arguments = self.arguments(step, hook, item, results)
        return SubmissionTemplate(
            hook.vendor.name, kind, hook.conn_id, step.timeout, provenance=provenance(arguments)
        )

    # -- files ----------------------------------------------------------------------------------------

    def filename_of(self, item: BatchItem, step: PlannedStep) -> str | None:
        """
        The name of the archived file of a step; ``None`` if none is given.

        :raises InvalidRequestError: It cannot be a name.
        """
        if self.filename is None:
            name = item.filename
        else:
            try:
                name = given_filename(filled(self.filename, item.columns.get))
            except InvalidRequestError as error:
                message = error.message.removeprefix("filename: ")
                raise error.replaced(message=f"filename: {message}") from None
            if name is None:
                raise InvalidRequestError("filename: is empty")
        if name is None or step is self.steps[-1]:
            return name
        stem, suffix = split_suffix(name)
        return f"{stem}-{step.name}{suffix}"

    def is_kept(self, step: PlannedStep) -> bool:
        """Whether the pictures of a step are archived."""
        return self.keep == "all" or step is self.steps[-1]

    # -- before anything is submitted -----------------------------------------------------------------

    def check(self, items: Iterable[BatchItem]) -> CheckedItems:
        """
        Build the requests of every item, so that a wrong item is found before anything is submitted.

        :raises InvalidRequestError: A name is unknown; or some items are wrong, and ``on_bad_item`` is ``fail``, or all are.
        :raises FaceSwapError: One could not be checked; the message names it.
        """
        return checks.check(self, items)
