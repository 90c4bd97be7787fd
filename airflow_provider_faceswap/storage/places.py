"""What a file's place is called: without credentials, and the same whoever names it."""

from __future__ import annotations

from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.foundation.text import safe_text

#: Schemes that mean the same as another.
_SAME_SCHEME = {"": "file", "local": "file", "s3a": "s3", "s3n": "s3", "gcs": "gs"}


def place_of(uri: str) -> str:
    """
    The dataset name of a link, a URI of object storage, or a path on a disk.

    :returns: A link without user info, query and fragment; a URI without the id of its Airflow connection.
    """
    uri = safe_text(uri)
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return f"file://{uri}"
    if scheme.lower() in {"http", "https"}:
        return bare_url(uri)
    authority, slash, path = rest.partition("/")
    return f"{_SAME_SCHEME.get(scheme, scheme)}://{authority.rpartition('@')[2]}{slash}{path}"
