"""The check of a batch's items before anything is submitted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from airflow_provider_faceswap.archive.names import split_suffix
from airflow_provider_faceswap.batch.item_log import MAX_LOGGED_ITEMS
from airflow_provider_faceswap.batch.report import describe
from airflow_provider_faceswap.batch.steps import Columns, check_results
from airflow_provider_faceswap.batch.templates import names_in
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.options import JobOptions

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


def check(options: JobOptions, items: Iterable[BatchItem]) -> CheckedItems:
    """Check every item, as :meth:`~.options.JobOptions.check` says."""
    total = 0
    wrong: dict[int, str] = {}
    taken: dict[str, str] = {}
    labels: list[str] = []
    columns = _columns(options)
    check_results(options.steps)
    for item in items:
        total += 1
        if columns is not None:
            columns.see(item.names)
        try:
            options.request(item)
            _check_filenames(options, item, taken)
        except InvalidRequestError as error:
            wrong[item.position] = error.message
            if len(labels) < MAX_LOGGED_ITEMS:
                labels.append(f"{item.label}: {error.message}")
        except FaceSwapError as error:
            raise error.replaced(message=f"{item.label}: {error.message}") from None
        except Exception as error:  # noqa: BLE001 - every object store has its own errors
            raise FaceSwapError(
                f"{item.label}: could not be checked ({describe(error, options.secrets)})",
                vendor=_vendor_of(options),
                advice="This attempt bought nothing. Retry; if it fails again, leave the item out.",
            ) from None
    if columns is not None:
        # A header counts, too: a file may have no rows, and a row no cell for its last columns.
        columns.see(getattr(items, "columns", ()))
        columns.check()
    if wrong and (options.on_bad_item == "fail" or len(wrong) == total):
        raise _wrong_items(options, f"{len(wrong)} of {total}", len(wrong), labels)
    return CheckedItems(total, wrong)


def _wrong_items(options: JobOptions, share: str, number: int, labels: list[str]) -> InvalidRequestError:
    """
    The error for items that are wrong.

    :param labels: The first of them, and what is wrong with each.
    """
    listed = labels[:MAX_LISTED_ITEMS]
    more = f"; and {number - len(listed)} more" if number > len(listed) else ""
    if more:
        for label in labels:
            options.log.warning("%s", label)
    return InvalidRequestError(
        f"{share} items are wrong: {'; '.join(listed)}{more}",
        vendor=_vendor_of(options),
        advice="Nothing was bought. Correct the items, or leave the wrong ones out with on_bad_item='skip'.",
    )


def _vendor_of(options: JobOptions) -> str | None:
    """The vendor of all steps; ``None`` if there are several."""
    names = {hook.vendor.name for hook in options.hooks}
    return names.pop() if len(names) == 1 else None


def _columns(options: JobOptions) -> Columns | None:
    """The names that the steps and the filename expect; ``None`` for a batch without such names."""
    if not options.is_chain:
        return None
    steps = [step.name for step in options.steps]
    wanted = {
        name: f"step {step.name!r}"
        for step in options.steps
        for name in sorted(names_in(step.arguments))
        if name not in steps
    }
    return Columns(steps, {**wanted, **dict.fromkeys(sorted(names_in(options.filename)), "filename")})


def _check_filenames(options: JobOptions, item: BatchItem, taken: dict[str, str]) -> None:
    """
    Check that an item's files do not replace the files of another item.

    :param taken: Names that items before this one have; without suffix, because a picture's is not known yet.
    """
    for step in options.steps:
        if not options.is_kept(step) or (filename := options.filename_of(item, step)) is None:
            continue
        stem = split_suffix(str(PurePosixPath(filename)))[0].casefold()
        if (other := taken.setdefault(stem, item.label)) != item.label:
            raise InvalidRequestError(f"filename: {other} has the same, {filename!r}")
