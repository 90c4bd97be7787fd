"""Where a command saves a result: a folder, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from airflow_provider_faceswap.archive.names import folder_of
from airflow_provider_faceswap.archive.store import archive_at
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.text import as_name

if TYPE_CHECKING:
    from typing import Self

    from airflow_provider_faceswap.archive.store import Archive


@dataclass(frozen=True)
class Destination:
    """
    A place for the results of one job.

    :param folder: A URI; for a local folder, ``file://`` followed by an absolute path.
    :param filename: The name in the folder; ``None`` lets the archive choose it.
    """

    folder: str
    filename: str | None
    overwrite: Literal["error", "replace"]

    @classmethod
    def of(cls, out: str, *, overwrite: bool) -> Self:
        """
        Parse what the user typed. A name with a suffix is a file, any other is a folder.

        An existing file is replaced only on request. In a folder the name is made from the job, so an existing file
        there is the same picture.

        :raises InvalidRequestError: The file exists, or the name contains control characters.
        :raises ValueError: There is no such storage.
        """
        uri = as_uri("--out", out)
        place = uri.partition("://")[2].partition("/")[2]
        name = PurePosixPath(place)
        is_file = name.suffix[1:2].isalpha() and not out.endswith("/") and not Path(out).is_dir()
        if not is_file:
            folder_of(uri, None)
            return cls(uri, None, "replace")
        folder = uri.removesuffix(name.name)
        path = folder_of(folder, None) / name.name
        if not overwrite and path.exists():
            raise InvalidRequestError(
                f"{out} already exists", advice="Nothing was sent. Give another name, or --overwrite."
            )
        return cls(folder, name.name, "replace" if overwrite else "error")

    def archive(self) -> Archive:
        """The archive at this place, with the settings of this Airflow. Its manifests name no run."""
        return archive_at(self.folder, None, run=None, filename=self.filename, overwrite=self.overwrite)


def as_uri(name: str, place: str) -> str:
    """
    A file or a folder as the user typed it, as a URI.

    :raises InvalidRequestError: It contains control characters.
    """
    as_name(name, place)
    return place if "://" in place else f"file://{Path(place).resolve()}"
