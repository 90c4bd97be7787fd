"""The pictures that a job was given, fetched again while their links live, for their thumbnails."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.http.download import download
from airflow_provider_faceswap.http.limits import in_thread
from airflow_provider_faceswap.jobs import GivenResult
from airflow_provider_faceswap.lifecycle.provenance import archived_uri
from airflow_provider_faceswap.media.image import Image
from airflow_provider_faceswap.media.limits import open_hosts
from airflow_provider_faceswap.media.thumbnails import NoThumbnailError, TooSlowError

if TYPE_CHECKING:
    from airflow_provider_faceswap.archive.sources import ArchiveSource, FetchJob

#: Bytes of an input that is fetched for its thumbnail.
MAX_BYTES = 32 * 1024 * 1024
#: Seconds for one input, with its redirects and repetitions. The result itself has been downloaded by then.
SECONDS = 10.0
#: Inputs of one job that get a thumbnail.
MAX_INPUTS = 4
#: How deep a picture may be in the arguments.
_DEPTH = 3
#: Names of arguments that are pictures, at every vendor.
_PICTURE = re.compile(r"(^|_)(image|images|picture|pictures|video)(_url|_urls)?$", re.IGNORECASE)
#: The argument that names the job before, whose output is the input.
_PARENT = "parent_job_id"


def inputs_of(source: ArchiveSource) -> dict[str, Any]:
    """
    The pictures among the arguments of a source's job.

    :returns: The name of each argument, with a number after it in a list, and its value: a link, a URI, bytes as an
        image, or a text that names what they were.
    """
    result = source.result
    known: Mapping[str, Any] = source.inputs or (result.provenance if result else None) or {}
    arguments = known if source.inputs else known.get("arguments")
    found: dict[str, Any] = {}
    if isinstance(arguments, Mapping):
        _collect(arguments, "", found, _DEPTH)
        parent = arguments.get(_PARENT)
        if isinstance(parent, str) and any(job.get("job_id") == parent for job in _parents(source)):
            found.setdefault(_PARENT, f"job {parent}")
    return dict(list(found.items())[:MAX_INPUTS])


def _collect(arguments: Mapping[str, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    for name, value in arguments.items():
        path = f"{prefix}{name}"
        if not isinstance(name, str) or value is None or value == "":
            continue
        if not _PICTURE.search(name):
            if isinstance(value, Mapping) and depth:
                _collect(value, f"{path}.", found, depth - 1)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            found |= {f"{path}.{number}": one for number, one in enumerate(value[:MAX_INPUTS], 1)}
        elif not isinstance(value, bool | int | float):
            found[path] = value


def fetched_input(value: Any, source: ArchiveSource, fetch: FetchJob | None) -> io.BytesIO:
    """
    An input as a file in memory.

    :param fetch: Polls a job before this one for a link that works: a signed link is known without its signature.
    :raises NoThumbnailError: It cannot be had.
    """
    try:
        return in_thread(partial(_fetched, value, source, fetch), SECONDS)
    except NoThumbnailError:
        raise
    except TimeoutError:
        raise TooSlowError(f"it could not be read within {SECONDS:.0f} s") from None
    except FaceSwapError as error:
        raise NoThumbnailError(error.message) from None
    except Exception as error:  # noqa: BLE001 - every storage has its own errors
        raise NoThumbnailError(f"it could not be read ({type(error).__name__})") from None


def _fetched(value: Any, source: ArchiveSource, fetch: FetchJob | None) -> io.BytesIO:
    if isinstance(value, Image):
        return io.BytesIO(value.data)
    if (uri := archived_uri(value)) is not None:
        value = uri
    elif (result := GivenResult.parse(value)) is not None:
        value = result.url
    text = str(value)
    if text.startswith(("sha256:", "data:")):
        raise NoThumbnailError("it was given as bytes, which are not kept")
    if text.startswith("job "):
        return _of_parent(text, source, fetch)
    if text.lower().startswith(("http://", "https://")):
        try:
            return _downloaded(text)
        except FaceSwapError:
            if "?" in text or not _parents(source):
                raise
            return _of_parent(text, source, fetch)
    if "://" not in text[:16]:
        raise NoThumbnailError("it is neither a link nor the URI of a file")
    return io.BytesIO(Image.read(text).data)


def _downloaded(url: str) -> io.BytesIO:
    into = io.BytesIO()
    download(url, into, max_bytes=MAX_BYTES, open_hosts=open_hosts())
    return into


def _parents(source: ArchiveSource) -> list[Mapping[str, Any]]:
    known = (source.result.provenance if source.result else None) or {}
    parents = known.get("parents")
    return [job for job in parents if isinstance(job, Mapping)] if isinstance(parents, list) else []


def _of_parent(text: str, source: ArchiveSource, fetch: FetchJob | None) -> io.BytesIO:
    """
    The output of a job before this one.

    :param text: ``job`` and its id, or its link without the query.
    :raises NoThumbnailError: None of the jobs has this output.
    """
    for parent in _parents(source)[:MAX_INPUTS] if fetch else ():
        known = [str(parent.get(name) or "") for name in ("vendor", "conn_id", "job_id", "kind")]
        if not all(known) or (text.startswith("job ") and text != f"job {known[2]}"):
            continue
        job = fetch(*known)  # type: ignore[misc] # the loop is empty without it
        for url in job.urls:
            if text.startswith("job ") or bare_url(url) == text:
                return _downloaded(url)
        if job.inline and text.startswith("job "):
            return io.BytesIO(job.inline[0])
    raise NoThumbnailError("its link does not work without its signature, which is not kept")
