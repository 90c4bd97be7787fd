"""Links that an object store signs, so that a vendor can fetch one file for some hours."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line, without_queries
from airflow_provider_faceswap.storage.local_files import is_local

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import ObjectStoragePath

_log = logging.getLogger(__name__)

#: Seconds until a signed link expires: the vendor may queue a job before it reads its pictures.
SIGNED_FOR = 6 * 3600

#: What is missing if credentials can read and cannot sign.
_NO_PRIVATE_KEY = (
    "the Google credentials have no private key, as with Workload Identity, a metadata server or an access token: to sign "
    "links, give the connection the key file of a service account"
)
_NO_ACCOUNT_KEY = "the Azure connection has no account key: to sign links, give it one"


@dataclass(frozen=True, slots=True)
class Signed:
    """
    A signed link.

    :param link: ``None`` if there is none.
    :param why: Why there is none, if the user can change that.
    """

    link: str | None
    why: str = ""


def signed_link(path: ObjectStoragePath) -> Signed:
    """
    A link that gives access to a file.

    :raises FaceSwapError: The storage can sign, but signing failed.
    """
    if is_local(path):
        return Signed(None)
    if path.protocol in {"gs", "gcs"} and not _has_private_key(path.fs):
        return Signed(None, _NO_PRIVATE_KEY)
    try:
        _use_signature_4(path.fs)
        link = str(path.sign(expiration=SIGNED_FOR))
    except NotImplementedError:
        return Signed(None)
    except Exception as error:  # noqa: BLE001 - every storage has its own errors
        # The only sign of it: azure-storage-blob's ``generate_blob_sas`` has no error of its own for this.
        if isinstance(error, ValueError) and "account_key" in str(error):
            return Signed(None, _NO_ACCOUNT_KEY)
        if isinstance(error, AttributeError):
            return Signed(None, f"the storage cannot sign links ({error_line(error)})")
        raise FaceSwapError(
            f"{without_queries(str(path))} could not be signed ({type(error).__name__})",
            advice="This attempt bought nothing. Retry when the storage is available again, or correct its connection.",
        ) from None
    if urlsplit(link).scheme not in {"http", "https"}:
        return Signed(None)
    _warn_of_session(path, link)
    return Signed(link)


def _has_private_key(fs: Any) -> bool:
    """True if Google's library can sign with the credentials of a storage: it asks for this interface."""
    try:
        from google.auth.credentials import Signing
    except ImportError:
        return True
    return isinstance(getattr(getattr(fs, "credentials", None), "credentials", None), Signing)


def _use_signature_4(fs: Any) -> None:
    """
    Have S3 sign with version 4, unless the connection says otherwise.

    botocore signs links with version 2 in the older regions, and S3 refuses those for objects encrypted with KMS.
    """
    options = getattr(fs, "config_kwargs", None)
    if isinstance(options, dict) and "signature_version" not in options and not getattr(fs, "anon", True):
        fs.config_kwargs = {**options, "signature_version": "s3v4"}
        # Not connect(refresh=True): older s3fs then makes a session without the connection's credentials.
        fs._s3 = None  # noqa: SLF001 - there is no public name for it
        fs.connect()


def _warn_of_session(path: ObjectStoragePath, link: str) -> None:
    """Say it if a link ends before its time, because the credentials that signed it are those of a session."""
    if "security-token=" not in link.lower():
        return
    place, ends = without_queries(str(path)), _session_end(path.fs)
    if ends is None:
        _log.warning(
            "The link to %s ends with the session of the credentials that signed it, at the latest in six hours. "
            "If the vendor fetches it later, the job fails: use credentials of a user or a role.",
            place,
        )
    elif ends - CLOCK.moment() < timedelta(seconds=SIGNED_FOR):
        _log.warning(
            "The link to %s ends at %s, with the session of the credentials that signed it. If the vendor fetches it "
            "later, the job fails: let sessions last longer.",
            place,
            ends.isoformat(timespec="seconds"),
        )


def _session_end(fs: Any) -> datetime | None:
    """When the credentials of an S3 storage expire; ``None`` if they do not say."""
    from fsspec.asyn import sync

    with suppress(Exception):
        ends = getattr(sync(fs.loop, fs.session.get_credentials), "_expiry_time", None)
        return None if ends is None else ends.astimezone()
    return None
