"""Names of an archive: its folder, and the files below it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.archive.slugs import slug_of
from airflow_provider_faceswap.exceptions import ArchiveError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import bare_url, error_line
from airflow_provider_faceswap.foundation.rendered import as_text, is_set
from airflow_provider_faceswap.foundation.text import as_name
from airflow_provider_faceswap.foundation.validation import as_conn_id
from airflow_provider_faceswap.storage.files import usable_path
from airflow_provider_faceswap.storage.installed import check_installed, has_storage, how_to_install

if TYPE_CHECKING:
    from airflow_provider_faceswap.archive.sources import ArchiveSource

#: Bytes of a name. A disk allows 255, and a manifest's name is longer than that of its file.
LONGEST = 200
#: The suffixes that a filename may bring. Another gets the suffix of the file's type after it.
_SUFFIXES = re.compile(
    r"\.(png|apng|jpe?g|jpe|jfif|webp|gif|avif|hei[cf]|bmp|tiff?|jp2|jxl|svg|ico"
    r"|mp4|m4v|mov|webm|mkv|avi|mpe?g|ogv|mp3|wav|flac|m4a|aac|og[ga]|opus"
    r"|glb|gltf|obj|fbx|stl|ply|usdz)",
    re.IGNORECASE,
)
#: What version 0.1.0 took for a suffix.
_FORMER_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}")
#: The end of an id that looks like the number of an output.
_COUNTED = re.compile(r"-[0-9]{1,3}$")
#: A kind, and a vendor, between which and the job's id a dash shows where each ends.
_PLAIN = re.compile(r"[a-z][a-z0-9_]*")

_NO_NAME = "Nothing was archived. Give a name, or leave the argument out to name each picture after its job."


def folder_of(destination: Any, conn_id: str | None) -> ObjectStoragePath:
    """
    A destination as a path.

    :raises InvalidRequestError: It is empty or a relative path, or Airflow has no storage for its scheme.
    :raises ArchiveError: There is such a storage, and it cannot be used with its connection.
    """
    if isinstance(destination, str):
        destination = destination.strip()
    conn_id = as_conn_id(conn_id, "destination_conn_id") if is_set(conn_id) else None
    text = as_name("destination", "" if destination is None else str(destination))
    _check_absolute(text)
    try:
        return usable_path(destination, conn_id)
    except ImportError as error:
        raise _not_installed(text, error) from None
    except ValueError as error:
        if not has_storage(text):
            raise _not_installed(text, error) from None
        # Such as Azure's without an account: a connection may be corrected before a retry.
        raise ArchiveError(
            f"destination: the storage of {bare_url(text)!r} cannot be used ({error_line(error)})",
            advice="Nothing was archived. Correct the storage's connection, and retry.",
        ) from None


def check_known(destination: Any, conn_id: str | None, filename: Any = None) -> None:
    """
    Check what is known of a destination and a filename when the Dag is parsed, which is before anything is bought.

    A template, or another task's output, is checked when the task runs.

    :raises InvalidRequestError: The destination names no folder, or a relative one; Airflow has no such storage; or
        the filename leads out of the folder.
    """
    if _is_known(filename):
        given_filename(filename)
    conn_id = as_conn_id(conn_id, "destination_conn_id") if _is_known(conn_id) and is_set(conn_id) else None
    if not isinstance(destination, str | ObjectStoragePath):
        return
    text = str(destination).strip()
    scheme, mark, _ = text.partition("://")
    if not _is_template(text):
        _check_absolute(text)
    if not mark or _is_template(scheme):
        return
    try:
        check_installed(text, conn_id)
    except (ValueError, ImportError) as error:
        raise _not_installed(text, error) from None


def _is_known(value: Any) -> bool:
    """False for a template, and for what another task returns, which has a method to resolve it."""
    return not hasattr(value, "resolve") and not (isinstance(value, str) and _is_template(value))


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _check_absolute(text: str) -> None:
    if not _is_absolute(text):
        raise InvalidRequestError(
            "destination: must be an absolute path or a full URI of a folder, such as s3://bucket/swaps, "
            f"file:///data/swaps or /data/swaps, got {bare_url(text)!r}"
        )


def _not_installed(text: str, error: Exception) -> InvalidRequestError:
    return InvalidRequestError(
        f"destination: this Airflow has no storage for {bare_url(text)!r} ({type(error).__name__})",
        advice=f"Nothing was bought. {how_to_install(text)}",
    )


def _is_absolute(place: str) -> bool:
    """True for a URI of object storage and for an absolute path; a relative path would be on the worker's disk."""
    scheme, mark, rest = place.partition("://")
    if "::" in place:
        # The storage library reads the part before '::' as another storage and ignores the part after it.
        return False
    if not mark:
        return place.startswith("/")
    authority, slash, path = rest.partition("/")
    if scheme.lower() in {"file", "local"}:
        return not authority.rpartition("@")[2] and bool(slash) and not path.startswith("/")
    return bool(rest)


def as_filename(value: Any) -> str | None:
    """
    A filename as it was written, without blanks around it; ``None`` if it is not set.

    :raises InvalidRequestError: It is not a text.
    """
    if not isinstance(value, str) and not is_set(value):
        return None
    try:
        return as_text(value).strip()
    except ValueError as error:
        raise InvalidRequestError(f"filename: {error}", advice=_NO_NAME) from None


def given_filename(value: Any) -> str | None:
    """
    A user's filename, checked; ``None`` if it is not set.

    :raises InvalidRequestError: It is no text, or cannot be a name below the folder.
    """
    name = as_filename(value)
    if name is not None:
        check_filename(name)
    return name


def check_filename(filename: str) -> None:
    """
    Check that a user's filename stays below the folder.

    :raises InvalidRequestError: It is empty, escapes the folder, or contains ``::`` or ``://``, which the storage
        library would interpret.
    """
    if not isinstance(filename, str) or filename.strip() in {"", "None"}:
        raise InvalidRequestError(
            f"filename: must be a name, got {filename!r}",
            advice=_NO_NAME,
        )
    name = PurePosixPath(as_name("filename", filename))
    if name.is_absolute() or ".." in name.parts or not name.name:
        raise InvalidRequestError(f"filename: must stay below the destination, got {filename!r}")
    if "::" in filename or "://" in filename:
        raise InvalidRequestError(f"filename: must not contain '::' or '://', got {filename!r}")


@dataclass(frozen=True)
class Names:
    """
    The names under which a source's file may be.

    :param name: The name that it gets.
    :param former: Other names that older versions of this package gave it, the newest first.
    """

    name: str
    former: tuple[str, ...] = ()

    def for_origin(self, origin: str) -> Names:
        """The name if another picture has the first one: the same for the same origin."""
        stem, suffix = split_suffix(self.name)
        return Names(_fitting(f"{stem}-{_digest(origin)}", suffix))


def names_of(source: ArchiveSource, filename: str | None, *, sha256: str, suffix: str) -> Names:
    """
    The names of a source's file, which cannot lead out of the folder.

    Two jobs never get the same default name: an id that is not the end of its name as it is has its hash there, and the
    words before it have no dash.

    :param filename: The user's filename, if there is one; see :func:`check_filename`.
    :param suffix: The usual suffix of the file's media type.
    """
    number = source.number or (source.position + 1 if source.of > 1 else None)
    counted = f"-{number}" if number else ""
    end = f"{counted}{suffix}"
    if filename is not None:
        filename = str(PurePosixPath(filename))
        stem, given = split_suffix(filename)
        names = [_fitting(stem, f"{counted}{given or suffix}")]
        last = PurePosixPath(filename).suffix
        former_suffix = last if _FORMER_SUFFIX.fullmatch(last) else ""
        names.append(f"{filename.removesuffix(former_suffix)}{counted}{former_suffix or suffix}")
    elif source.result is not None:
        vendor, kind, job_id = source.result.vendor, source.result.kind or "", source.result.job_id
        names = [_of_job((vendor, kind, job_id), end)]
        # A kind in front, where others have the vendor.
        if _PLAIN.fullmatch(kind) and _PLAIN.fullmatch(vendor) and (slug := slug_of(source.result)):
            names.insert(0, _of_job((kind, slug, vendor, job_id), end))
        names.append(f"{_readable(vendor, kind, job_id)}{end}")
    else:
        names = [f"{sha256[:16]}{end}"]
    name, *former = dict.fromkeys(names)
    return Names(name, tuple(former))


def _of_job(parts: tuple[str, ...], end: str) -> str:
    readable = _readable(*parts)
    plain = readable == "-".join(parts) and not _COUNTED.search(readable)
    return _fitting(readable if plain else f"{readable}-{_digest(*parts)}", end)


def _readable(*parts: str) -> str:
    return "-".join("".join(c if c.isalnum() or c in "-_." else "_" for c in part) for part in parts)


def split_suffix(filename: str) -> tuple[str, str]:
    """
    A filename without the suffix of a picture, a video, a sound or a model, and that suffix; empty if it has none.

    A date, a version and ``anna.maria`` have a dot, but no suffix.
    """
    suffix = PurePosixPath(filename).suffix
    return (filename.removesuffix(suffix), suffix) if _SUFFIXES.fullmatch(suffix) else (filename, "")


def _fitting(stem: str, end: str) -> str:
    """A name of which no part is longer than :data:`LONGEST`; a longer one is cut, and gets its hash."""
    *folders, last = PurePosixPath(stem).parts
    return str(PurePosixPath(*(_cut(folder, "") for folder in folders), _cut(last, end)))


def _cut(part: str, end: str) -> str:
    if len(f"{part}{end}".encode()) <= LONGEST:
        return f"{part}{end}"
    mark = f"-{_digest(part)}{end}"
    room = LONGEST - len(mark.encode())
    return part.encode()[:room].decode(errors="ignore") + mark


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
