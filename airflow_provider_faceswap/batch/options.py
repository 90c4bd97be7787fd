"""The options that all jobs of a batch share, and the check of its items before anything is submitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_faceswap.batch.report import describe
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.lifecycle.provenance import request_arguments
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
    from airflow_provider_faceswap.media.inputs import Preflight
    from airflow_provider_faceswap.vendors.messages import Request

#: Wrong items that an error message lists; there may be thousands.
MAX_LISTED_ITEMS = 5


@dataclass(frozen=True)
class JobOptions:
    """
    The options that all jobs of a batch share.

    :param epoch: Changes when the task is cleared, and never otherwise.
    :param timeout: Seconds for each job.
    :param poll_interval: Minimum seconds between two polls of a job, ``None`` for the kind's own schedule.
    """

    hook: JobHook
    kind: str
    policy: PurchasePolicy
    epoch: int
    timeout: float
    poll_interval: float | None
    preflight: Preflight

    def request(self, item: BatchItem) -> Request:
        """The request for an item's job."""
        return self.hook.prepare(self.kind, preflight=self.preflight, **request_arguments(item.arguments))

    def template(self, item: BatchItem) -> SubmissionTemplate:
        """The submission of an item's job, without what the vendor's response adds."""
        return SubmissionTemplate(
            self.hook.vendor.name, self.kind, self.hook.conn_id, self.timeout, provenance=item.provenance
        )

    def check(self, items: Iterable[BatchItem]) -> int:
        """
        Build every item's request, so that a wrong item is found before anything is submitted.

        :returns: The number of items.
        :raises InvalidRequestError: Some are wrong; the message lists the first ones.
        :raises FaceSwapError: One could not be checked; the message names it.
        """
        total, wrong, vendor = 0, [], self.hook.vendor.name
        for item in items:
            total += 1
            name = f"items[{item.position}]"
            try:
                self.request(item)
            except InvalidRequestError as error:
                wrong.append(f"{name}: {error.message}")
            except FaceSwapError as error:
                raise error.replaced(message=f"{name}: {error.message}") from None
            except Exception as error:  # noqa: BLE001 - every object store has its own errors
                raise FaceSwapError(
                    f"{name}: could not be checked ({describe(error, self.hook.secrets)})",
                    vendor=vendor,
                    advice="This attempt bought nothing. Retry; if it fails again, leave the item out.",
                ) from None
        if wrong:
            more = f"; and {len(wrong) - MAX_LISTED_ITEMS} more" if len(wrong) > MAX_LISTED_ITEMS else ""
            raise InvalidRequestError("; ".join(wrong[:MAX_LISTED_ITEMS]) + more, vendor=vendor)
        return total
