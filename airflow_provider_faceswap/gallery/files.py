"""
The files that the gallery may open.

An api-server may read more than the author of a Dag, and XCom is written by authors and, through the API, by users. So
only what lies below ``[faceswap] gallery_roots`` is opened.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.archive.thumbnails import thumbnail_name
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.file_types import HEAD, MediaType, sniff
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.storage.files import begins_at_the_end, part_of, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import ObjectStoragePath

#: Bytes of a manifest that is read.
MAX_MANIFEST = 1024 * 1024
#: Bytes of a thumbnail that is sent.
MAX_THUMBNAIL = 256 * 1024
#: The end of a manifest's name; before it is the name of the file that it describes.
SUFFIX = ".json"


#: Calls of one storage that may be without an answer for so many seconds, before it is not asked again until one ends.
MAX_SILENT, SILENT = 2, 10.0


#: What is said of a file in such a storage.
NO_ANSWER = "Its storage does not answer the api-server. Try again later."


class NotShownError(Exception):
    """A file is not shown; the message says why, for the person who looks."""


def roots() -> list[str]:
    """The prefixes of ``[faceswap] gallery_roots``, each with a scheme and without a slash at its end."""
    text = conf.get("faceswap", "gallery_roots", fallback="") or ""
    return [_with_scheme(root.strip()).rstrip("/") for root in text.split(",") if root.strip()]


def _with_scheme(uri: str) -> str:
    if uri.startswith("/"):
        return f"file://{uri}"
    return f"file://{uri.removeprefix('local://')}" if uri.startswith("local://") else uri


def checked(uri: str) -> str:
    """
    Check that a URI lies below one of the roots, and is not written in a way that could lead out of it.

    :raises NotShownError: It does not, or is.
    """
    uri = _with_scheme(uri)
    _, mark, rest = uri.partition("://")
    plain = unquote(rest)
    if (
        not mark
        or not plain.isprintable()
        or any(part in uri for part in ("\\", "::"))
        or posixpath.normpath(plain) != plain
        or ".." in plain.split("/")
    ):
        raise NotShownError("Its name is not a plain URI.")
    # With the connection: another one may read what this one may not.
    if not any(uri.startswith(f"{root}/") for root in roots()):
        shown = safe_text(without_queries(posixpath.dirname(uri)))
        raise NotShownError(f"{shown} is not below [faceswap] gallery_roots of the api-server.")
    return uri


def opened(uri: str) -> ObjectStoragePath:
    """
    The path of a file that may be opened.

    :raises NotShownError: It may not.
    """
    uri = checked(uri)
    try:
        path = path_of(uri)
        path.fs  # noqa: B018 - looks up the storage
    except Exception as error:  # noqa: BLE001 - a missing provider or connection
        raise NotShownError(f"The api-server has no such storage ({type(error).__name__}).") from None
    if path.protocol in {"", "file", "local"}:
        real = os.path.realpath(path.path)
        own = (
            os.path.realpath(root.removeprefix("file://")) for root in roots() if root.startswith("file://")
        )
        if not any(real.startswith(f"{root}/") for root in own):
            raise NotShownError("It is a link that leads elsewhere.")
    return path


_calls: dict[int, dict[object, float]] = {}
_lock = Lock()


@contextmanager
def asking(storage: Any) -> Iterator[None]:
    """
    Ask a storage inside the block, unless it has been silent for a while: it must not keep every thread.

    :raises NotShownError: It has been.
    """
    call, now = object(), CLOCK.monotonic()
    with _lock:
        calls = _calls.setdefault(id(storage), {})
        if sum(now - begun > SILENT for begun in calls.values()) >= MAX_SILENT:
            raise NotShownError(NO_ANSWER)
        calls[call] = now
    try:
        yield
    finally:
        with _lock:
            del calls[call]


def read(uri: str, most: int) -> bytes:
    """
    A small file.

    :param most: The largest number of bytes.
    :raises NotShownError: It is not there, is larger, or may not be read.
    """
    [data] = read_all([uri], most)
    if isinstance(data, NotShownError):
        raise data
    return data


def read_all(uris: Sequence[str], most: int) -> list[bytes | NotShownError]:
    """
    Several small files, each storage asked once for all of its own.

    :returns: The content of each, or why it is not shown.
    """
    found: list[bytes | NotShownError] = [NotShownError("It cannot be read.")] * len(uris)
    by_storage: dict[int, tuple[Any, list[tuple[int, str]]]] = {}
    for number, uri in enumerate(uris):
        try:
            path = opened(uri)
        except NotShownError as error:
            found[number] = error
            continue
        by_storage.setdefault(id(path.fs), (path.fs, []))[1].append((number, path.path))
    for storage, wanted in by_storage.values():
        paths = [path for _, path in wanted]
        try:
            with asking(storage):
                read = storage.cat_ranges(paths, [0] * len(paths), [most + 1] * len(paths), on_error="return")
        except NotShownError as error:
            read = [error] * len(paths)
        for (number, _), data in zip(wanted, read, strict=True):
            found[number] = _answer(data, most)
    return found


def _answer(data: Any, most: int) -> bytes | NotShownError:
    if isinstance(data, NotShownError):
        return data
    if isinstance(data, FileNotFoundError | NotADirectoryError):
        return NotShownError("It is not there any more.")
    if isinstance(data, Exception) and begins_at_the_end(data):
        return b""
    if isinstance(data, BaseException):
        return NotShownError(f"The api-server cannot read it ({type(data).__name__}).")
    if len(data) > most:
        return NotShownError(f"It is larger than {most} bytes.")
    return bytes(data)


def manifest_of(data: bytes | NotShownError, dag_id: str) -> Manifest:
    """
    A manifest as it was read.

    :param dag_id: The Dag whose results the person may see. A name in XCom does not make a result its own.
    :raises NotShownError: It is not a manifest, or is one of another Dag.
    """
    if isinstance(data, NotShownError):
        raise data
    try:
        manifest = Manifest.parse(data)
    except ValueError:
        raise NotShownError("Its manifest is not a manifest.") from None
    if manifest.package.get("name") != "airflow-provider-faceswap":
        raise NotShownError("Its manifest is not a manifest.")
    if manifest.airflow.dag_id != dag_id:
        raise NotShownError("It was archived by another Dag.")
    return manifest


def file_of(manifest_uri: str) -> str:
    """
    The file that a manifest describes, which is always beside it.

    :raises NotShownError: It is not the name of a manifest.
    """
    if not manifest_uri.endswith(SUFFIX):
        raise NotShownError("Its manifest is not a manifest.")
    return manifest_uri.removesuffix(SUFFIX)


def thumbnail_of(manifest_uri: str, sha256: str) -> bytes:
    """
    A thumbnail that a manifest names.

    :raises NotShownError: There is none with this hash.
    """
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise NotShownError("It has no thumbnail.")
    data = read(f"{posixpath.dirname(manifest_uri)}/{thumbnail_name(sha256)}", MAX_THUMBNAIL)
    if not data.startswith(b"\xff\xd8\xff") or hashlib.sha256(data).hexdigest() != sha256:
        raise NotShownError("Its thumbnail is damaged.")
    return data


def media_file(uri: str) -> tuple[ObjectStoragePath, MediaType, int]:
    """
    A picture or video in storage, its type by its first bytes, and its size.

    :raises NotShownError: It is something else, or may not be read.
    """
    path = opened(uri)
    try:
        with asking(path.fs):
            beginning = part_of(path.fs, path.path, end=HEAD)
            size = int(path.fs.size(path.path) or 0)
    except NotShownError:
        raise
    except FileNotFoundError:
        raise NotShownError("It is not there any more.") from None
    except Exception as error:  # noqa: BLE001 - every storage has its own errors
        raise NotShownError(f"The api-server cannot read it ({type(error).__name__}).") from None
    media = sniff(beginning)
    if media is None:
        raise NotShownError("It is neither a picture nor a video.")
    return path, media, size
