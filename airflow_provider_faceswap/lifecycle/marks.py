"""The hashes of a request: the same request on the same account is the same logical job."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_faceswap.foundation.signed_links import unsigned, unsigned_in_0_1

if TYPE_CHECKING:
    from airflow_provider_faceswap.vendors.messages import Request


class Marks(NamedTuple):
    """The hashes of one request, as :class:`~.ledger.Record` has them."""

    fingerprint: str
    mark: str


def fingerprint(vendor: str, conn_id: str, kind: str, request: Request) -> str:
    """
    The hash that identifies a logical job: the same request on the same account is the same job.

    The signature of a link is left out: a template may render a newly signed link to the same picture in each attempt.
    """
    return marks_of(vendor, conn_id, kind, request).mark


def marks_of(vendor: str, conn_id: str, kind: str, request: Request) -> Marks:
    """The hashes of a request: of version 0.1.0, which knew fewer kinds of signatures, and of this version."""
    return Marks(
        *(
            hashlib.sha256(
                json.dumps(
                    [vendor, conn_id, kind, request.path, without(request.identity)], sort_keys=True
                ).encode()
            ).hexdigest()
            for without in (unsigned_in_0_1, unsigned)
        )
    )
