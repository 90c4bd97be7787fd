"""What only some vendors can do: a vendor has an object for each capability, or ``None``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from airflow_provider_faceswap.jobs import Balance
    from airflow_provider_faceswap.vendors.history import ListedJob, Listing
    from airflow_provider_faceswap.vendors.messages import Reply, Request


@dataclass(frozen=True, slots=True)
class History:
    """
    A list of the account's jobs, in which a job can be found whose submission got no reply.

    :param request: Builds the request for a page (from 0) of the jobs created between two aware times.
    :param read: Reads a page: which of its jobs of this kind and time span this submission may have created.
        Raises ``VendorError`` if the list cannot be read.
    :param matches: Whether the reply to a poll shows that this submission, or an equal one, created the job.
    :param jobs: Reads all jobs of a page, and whether another page may follow.
    """

    request: Callable[[datetime, datetime, int], Request]
    read: Callable[[str, Request, Reply, datetime, datetime], Listing]
    matches: Callable[[str, Request, Reply], bool]
    jobs: Callable[[Reply], tuple[list[ListedJob], bool]]


@dataclass(frozen=True, slots=True)
class Uploads:
    """
    Free storage at the vendor for the files of a job that is about to be submitted.

    :param request: Builds the request that stores a file, from its name with suffix and its bytes.
    :param read: Reads the link of the stored file. Raises ``VendorError`` if the vendor refused it.
    :param max_bytes: Maximum number of bytes of a file, ``None`` if the vendor does not say.
    """

    request: Callable[[str, bytes], Request]
    read: Callable[[Reply], str]
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Balances:
    """
    Balances in the reply to the vendor's ``account`` request.

    :param read: Reads at least one balance, the usual unit first. Raises ``VendorError`` if there is none.
    :param unit: The usual unit, if a reply may lack it; empty if the first balance always has it.
    """

    read: Callable[[Reply], tuple[Balance, ...]]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """
    The number of jobs that may run at once, in the reply to the vendor's ``account`` request.

    :param read: Reads the limit; ``None`` if the reply has none.
    """

    read: Callable[[Reply], int | None]


@dataclass(frozen=True, slots=True)
class Cancellation:
    """
    A way to cancel a job.

    :param request: Builds the request, from kind and job id. Raises ``InvalidRequestError`` for an invalid id.
    :param read: Whether the reply is the vendor's own and confirms that the job with this id was cancelled.
    """

    request: Callable[[str, str], Request]
    read: Callable[[str, Reply], bool]


@dataclass(frozen=True, slots=True)
class Generation:
    """
    Pictures made from a text, under names that all vendors share: ``prompt`` and ``model``.

    :param job: The vendor's kind of job, and its arguments under their neutral names, from those names. The vendor's file
        says what ``model`` is, and which one is meant without it.
    """

    job: Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]
