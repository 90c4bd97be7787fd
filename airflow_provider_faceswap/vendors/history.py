"""A vendor's list of jobs, and how to tell from it which one came from a request that got no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: In a table of fillers: the vendor may put any value there.
ANY: tuple[()] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """
    One page of a vendor's list.

    :param job_ids: The jobs on it that may have come from the request in question.
    :param more: True where another page may follow.
    """

    job_ids: tuple[str, ...]
    more: bool


def same_request(sent: Mapping[str, Any], shown: object, fillers: Mapping[str, tuple[Any, ...]]) -> bool:
    """
    Whether what a vendor shows of a job is what was sent.

    A doubt counts as no: a job taken for another's is worse than one that a person has to look up.

    :param shown: The vendor's copy of the request, of any shape.
    :param fillers: What the vendor puts in where nothing was sent: name to values, :data:`ANY` for any.
    """
    if not isinstance(shown, dict) or not sent:
        return False
    if any(name not in shown or not _equal(shown[name], value) for name, value in sent.items()):
        return False
    return all(
        value in (None, "", [], {}) or (name in fillers and (not fillers[name] or value in fillers[name]))
        for name, value in shown.items()
        if name not in sent
    )


def _equal(one: Any, other: Any) -> bool:
    """Equal as JSON, where ``true`` is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
