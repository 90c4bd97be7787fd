"""How to find, in a vendor's list of jobs, the job of a submission that got no reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_faceswap.jobs import Cost

#: In a table of defaults: the vendor may show any value.
ANY: tuple[()] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """
    One page of a vendor's list.

    :param job_ids: The jobs that the submission may have created.
    :param more: Whether another page may follow.
    """

    job_ids: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class ListedJob:
    """
    A job as a vendor's list shows it.

    :param what: What it does, in the vendor's own word.
    :param status: The vendor's own word.
    :param cost: ``None`` if the list does not say.
    """

    job_id: str
    what: str
    status: str
    created_at: datetime | None
    cost: Cost | None = None


def same_request(sent: Mapping[str, Any], shown: object, defaults: Mapping[str, tuple[Any, ...]]) -> bool:
    """
    Whether the vendor's copy of a request is what was sent.

    If unsure, the answer is no: adopting the job of another request is worse than failing as uncertain.

    :param shown: The vendor's copy, of any type.
    :param defaults: The values that the vendor may show for a name that was not sent; :data:`ANY` for any value.
    """
    if not isinstance(shown, dict) or not sent:
        return False
    if any(name not in shown or not _equal(shown[name], value) for name, value in sent.items()):
        return False
    return all(
        value in (None, "", [], {}) or (name in defaults and (not defaults[name] or value in defaults[name]))
        for name, value in shown.items()
        if name not in sent
    )


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: ``true`` is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
