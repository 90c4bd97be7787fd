"""Body of ``airflow faceswap gallery``; imported when it is run."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_faceswap.archive.names import folder_of
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.text import as_name
from airflow_provider_faceswap.gallery.sheet import Sheet

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def write_sheet(folder: str, out: str, *, overwrite: bool) -> dict[str, object]:
    """
    Write the gallery of a folder as one HTML file.

    :returns: Where it is, and how many results it shows.
    :raises InvalidRequestError: The folder or the file cannot be used.
    """
    source = _path("FOLDER", folder)
    target = _path("--out", out)
    if not overwrite and target.exists():
        raise InvalidRequestError(f"{out} already exists", advice="Give another name, or --overwrite.")
    if not source.is_dir():
        raise InvalidRequestError(
            f"{folder} is not a folder", advice="Give the folder that an archive writes to."
        )
    sheet = Sheet.of_folder(source)
    sheet.write(target, posixpath.basename(source.path.rstrip("/")) or folder)
    failed = sum(card.failed for card in sheet.cards)
    return {
        "uri": str(target),
        "pictures": len(sheet.cards) - failed,
        "failed": failed,
        "left_out": sheet.left_out,
    }


def _path(name: str, place: str) -> ObjectStoragePath:
    as_name(name, place)
    return folder_of(place if "://" in place else f"file://{Path(place).resolve()}", None)
