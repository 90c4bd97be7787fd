"""Which storages this Airflow has, found out without a connection: a Dag asks while it is parsed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from airflow_provider_faceswap.storage.files import usable_path


class _Storage(NamedTuple):
    """What a scheme needs: an extra of this package, which installs a provider and its library."""

    extra: str
    provider: str
    module: str


_S3 = _Storage("s3", "airflow.providers.amazon", "s3fs")
_GCS = _Storage("gcs", "airflow.providers.google", "gcsfs")
_AZURE = _Storage("azure", "airflow.providers.microsoft.azure", "adlfs")
#: Schemes whose storage is an extra of this package.
_STORAGES = {"s3": _S3, "s3a": _S3, "s3n": _S3, "gs": _GCS, "abfs": _AZURE, "abfss": _AZURE, "adl": _AZURE}
#: Schemes of a disk.
_DISKS = frozenset({"file", "local"})


def check_installed(place: str, conn_id: str | None = None) -> None:
    """
    Check that there is a storage for a URI. Nothing is read, and no connection.

    :param place: A full URI, of which everything after ``://`` may be a template.
    :raises ValueError: There is no such storage.
    :raises ImportError: Its library is not installed.
    """
    scheme = place.partition("://")[0].lower()
    needed = _STORAGES.get(scheme)
    if scheme in _DISKS or (needed is not None and _is_there(needed.provider) and _is_there(needed.module)):
        return
    if needed is None:
        from airflow.sdk.io import has_fs

        if has_fs(scheme):
            return
    # The author of the Dag may have attached a storage to this scheme.
    usable_path(place, conn_id)


def has_storage(place: str) -> bool:
    """True if Airflow has a storage for a URI's scheme, whether or not it can be used."""
    from airflow.sdk.io import has_fs

    scheme, mark, _ = place.partition("://")
    return not mark or scheme.lower() in _DISKS or has_fs(scheme.lower())


def how_to_install(place: str) -> str:
    """The next step if there is no storage for a URI."""
    needed = _STORAGES.get(place.partition("://")[0].lower())
    if needed is None:
        return "Correct the argument, or install the storage's provider."
    return f"Install airflow-provider-faceswap[{needed.extra}] wherever Dags are parsed and tasks run."


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # a package above it is not there either
        return False
