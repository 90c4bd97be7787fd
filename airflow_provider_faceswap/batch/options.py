"""The options that all jobs of a batch share, and the check of its items before anything is submitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_faceswap.archive.names import split_suffix
from airflow_provider_faceswap.batch.item_storage import ItemStorage
from airflow_provider_faceswap.batch.report import MAX_LOGGED_ITEMS, describe
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.lifecycle.provenance import provenance, request_arguments
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
    from airflow_provider_faceswap.media.inputs import Preflight
    from airflow_provider_faceswap.vendors.messages import Request

#: Wrong items that an error message lists; there may be thousands.
MAX_LISTED_ITEMS = 5


@dataclass(frozen=True, slots=True)
class CheckedItems:
    """
    The result of the check before anything is submitted.

    :param total: The number of items.
    :param wrong: What is wrong with an item, by its position.
    """

    total: int
    wrong: Mapping[int, str]


@dataclass(frozen=True)
class JobOptions:
    """
    The options that all jobs of a batch share.

    :param epoch: Changes when the task is cleared, and never otherwise.
    :param timeout: Seconds for each job.
    :param poll_interval: Minimum seconds between two polls of a job, ``None`` for the kind's own schedule.
    :param on_bad_item: Whether a row that cannot be an item stops the batch before anything is bought.
    :param log: The task's logger.
    :param storage: The connections for pictures of rows.
    """

    hook: JobHook
    kind: str
    policy: PurchasePolicy
    epoch: int
    timeout: float
    poll_interval: float | None
    preflight: Preflight
    on_bad_item: Literal["fail", "skip"]
    log: Any
    storage: ItemStorage = field(default_factory=ItemStorage)

    def _arguments(self, item: BatchItem) -> dict[str, Any]:
        return item.arguments(self.hook.vendor.kind(self.kind).arguments.model_fields)

    def request(self, item: BatchItem) -> Request:
        """The request for an item's job."""
        pictures = self.hook.vendor.kind(self.kind).media
        arguments = request_arguments(self.storage.opened(self._arguments(item), pictures))
        return self.hook.prepare(self.kind, preflight=self.preflight, **arguments)

    def template(self, item: BatchItem) -> SubmissionTemplate:
        """The submission of an item's job, without what the vendor's response adds."""
        return SubmissionTemplate(
            self.hook.vendor.name,
            self.kind,
            self.hook.conn_id,
            self.timeout,
            provenance=provenance(self._arguments(item)),
        )

    def check(self, items: Iterable[BatchItem]) -> CheckedItems:
        """
        Build every item's request, so that a wrong item is found before anything is submitted.

        :raises InvalidRequestError: Some are wrong, and ``on_bad_item`` is ``fail``, or all are; the message lists the
            first ones.
        :raises FaceSwapError: One could not be checked; the message names it.
        """
        total, vendor = 0, self.hook.vendor.name
        wrong: dict[int, str] = {}
        taken: dict[str, str] = {}
        labels: list[str] = []
        for item in items:
            total += 1
            try:
                self.request(item)
                self._check_filename(item, taken)
            except InvalidRequestError as error:
                wrong[item.position] = error.message
                if len(labels) < MAX_LOGGED_ITEMS:
                    labels.append(f"{item.label}: {error.message}")
            except FaceSwapError as error:
                raise error.replaced(message=f"{item.label}: {error.message}") from None
            except Exception as error:  # noqa: BLE001 - every object store has its own errors
                raise FaceSwapError(
                    f"{item.label}: could not be checked ({describe(error, self.hook.secrets)})",
                    vendor=vendor,
                    advice="This attempt bought nothing. Retry; if it fails again, leave the item out.",
                ) from None
        if wrong and (self.on_bad_item == "fail" or len(wrong) == total):
            listed = labels[:MAX_LISTED_ITEMS]
            more = f"; and {len(wrong) - len(listed)} more" if len(wrong) > len(listed) else ""
            if more:
                for label in labels:
                    self.log.warning("%s", label)
            raise InvalidRequestError(
                f"{len(wrong)} of {total} items are wrong: {'; '.join(listed)}{more}",
                vendor=vendor,
                advice="Nothing was bought. Correct the items, or leave the wrong ones out with on_bad_item='skip'.",
            )
        return CheckedItems(total, wrong)

    def _check_filename(self, item: BatchItem, taken: dict[str, str]) -> None:
        """
        Check that an item's file does not replace the file of another item.

        :param taken: Names that items before this one have; without suffix, because a picture's is not known yet.
        """
        if (filename := item.filename) is None:
            return
        stem = split_suffix(str(PurePosixPath(filename)))[0].casefold()
        if (other := taken.setdefault(stem, item.label)) != item.label:
            raise InvalidRequestError(f"filename: {other} has the same, {filename!r}")
