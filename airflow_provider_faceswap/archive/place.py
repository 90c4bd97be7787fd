"""
A file and its manifest under their two names: written as one unit, whoever else writes there at the same time.

The file comes first, and is created exclusively: of several writers, one gets the name. Then comes the manifest, also
exclusively. A manifest is believed only if the file beside it is the one that it describes. A file without a manifest is
one that somebody is just writing, for a few seconds; later, it is one that nobody completed. Then the order is reversed:
who creates the manifest may replace the file. So if that worker is killed, the manifest says whose task goes on.
"""

from __future__ import annotations

import io
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Literal

from airflow_provider_faceswap.archive.manifest import Archived, Manifest
from airflow_provider_faceswap.exceptions import ArchiveError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.storage.files import create, exists, holds, read, write

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

Overwrite = Literal["error", "skip", "replace"]

_log = logging.getLogger(__name__)

#: Seconds that a writer may take from the file to its manifest, which is one small request.
GRACE = 5.0
#: Seconds. A file that is older is no longer waited for.
FRESH = 60.0
#: Times that a unit is written again because another writer came in between.
TRIES = 50
#: Times that a unit counts as checked only if it could be read.
_READS = 3
#: Seconds between two looks at what another writer does.
_STEP = 0.1
#: The type of a manifest.
_JSON = "application/json"


class TakenError(ArchiveError):
    """The name has another picture."""

    advice = "Give another filename, or overwrite='replace' or 'skip'."


@dataclass(frozen=True)
class Place:
    """
    Two names in a folder.

    :param path: The name of the file.
    """

    path: ObjectStoragePath

    @cached_property
    def manifest_path(self) -> ObjectStoragePath:
        """The name of the manifest."""
        return self.path.with_name(f"{self.path.name}.json")

    def put(self, file: BinaryIO, new: Manifest, overwrite: Overwrite) -> Archived:
        """
        Write a file and its manifest, by the rule for a name that is taken.

        :returns: What is there afterwards.
        :raises TakenError: The name is taken, and stays as it is.
        :raises ArchiveError: Others write under this name all the time.
        """
        if overwrite == "replace":
            old = self._read(overwrite)
            _warn(self.path, old, new)
            return new.file if old is None and self._create(file, new) else self._replace(file, new, old)
        for _ in range(TRIES):
            old = self._read(overwrite)
            free = old is None or not exists(self.path)
            if free and self._create(file, new, beside=old):
                return new.file
            if old is not None and not free and (kept := self._kept(old, new, overwrite)) is not None:
                return kept
            if self._is_left(old, overwrite) and (not free or self._claim(new)):
                return self._replace(file, new, old)
        raise self._busy()

    def existing(self, new: Manifest, overwrite: Overwrite) -> Archived | None:
        """What an earlier attempt stored here, if it stays; ``None`` if there is nothing or something else."""
        try:
            old = self._read(overwrite)
            return None if old is None or overwrite == "replace" else self._kept(old, new, overwrite)
        except Exception:  # noqa: BLE001 - such as a name that is too long for this storage
            return None

    def _kept(self, old: Manifest, new: Manifest, overwrite: Overwrite) -> Archived | None:
        """
        What stays of a unit that is there.

        :returns: ``None`` if it is of the same output, and of a write that did not end.
        :raises TakenError: It is something else.
        """
        believed = old.is_of(self.path) and holds(self.path, old.file.bytes, old.file.sha256)
        if overwrite == "skip":
            if old.has_origin_of(new):
                return self._described(old, new) if believed else None
        # The first is the own manifest, if the answer to its writing was lost.
        elif old == new or (old.has_origin_of(new) and old.airflow.is_earlier_attempt_of(new.airflow)):
            if believed and old.is_same_picture(new):
                _log.info("%s was archived by an earlier attempt and is not written again", self.path)
                return self._described(old, new)
            if not believed and not self._is_edited():
                return None
        raise TakenError(
            f"{self.path} already exists" + ("" if old.has_origin_of(new) else f", and is {old.origin}")
        )

    def _described(self, old: Manifest, new: Manifest) -> Archived:
        """The file at this place. Only its size and hash are certain; where it is, no manifest may say."""
        file = new.file if old.file.sha256 == new.file.sha256 else old.file
        return file.model_copy(update={"uri": str(self.path), "manifest_uri": str(self.manifest_path)})

    # -- what is there ------------------------------------------------------------------------------------

    def _read(self, overwrite: Overwrite) -> Manifest | None:
        """
        Read the existing manifest, if there is one.

        :raises ArchiveError: It is some other file, and may not be replaced.
        """
        path = self.manifest_path
        try:
            return Manifest.parse(read(path))
        except FileNotFoundError:
            return None
        except Exception as error:
            if overwrite == "replace":
                # Some stores may be written to but not read. The picture is paid for.
                return None
            if isinstance(error, ValueError):
                raise ArchiveError(
                    f"{path} already exists and is not a manifest",
                    advice="Give another filename, or overwrite='replace'.",
                ) from None
            raise

    def _is_edited(self) -> bool:
        """True if the storage says that the file was written after its manifest."""
        try:
            return _modified(self.path) > _modified(self.manifest_path)
        except Exception:  # noqa: BLE001 - not every storage says it
            return False

    def _is_left(self, old: Manifest | None, overwrite: Overwrite) -> bool:
        """
        Wait for whoever may just be writing here.

        :returns: True if the manifest, or its absence, is still the same.
        """
        end = CLOCK.monotonic() + GRACE
        while (same := self._read(overwrite) == old) and _is_younger(self.path, FRESH):
            if CLOCK.monotonic() >= end:
                break
            CLOCK.sleep(_STEP)
        return same

    # -- writing ------------------------------------------------------------------------------------------

    def _create(self, file: BinaryIO, new: Manifest, beside: Manifest | None = None) -> bool:
        """
        Write both if the name is free, or complete what has the same content.

        :param beside: A manifest whose file is gone.
        :returns: False if somebody else has the name.
        """
        try:
            create(self.path, file, new.file.media_type)
        except FileExistsError:
            # The same bytes are the own ones of an attempt that stopped early, or as good as that.
            try:
                if not holds(self.path, new.file.bytes, new.file.sha256):
                    return False
            except Exception:  # noqa: BLE001 - a store that may be written to but not read
                return False
        except NotImplementedError:
            if exists(self.path):
                return False
            self._replace(file, new, beside)
            return True
        if beside is None:
            return self._claim(new)
        self._write_manifest(new)
        return self._is_settled()

    def _claim(self, new: Manifest) -> bool:
        """
        Create the manifest. Of several writers, one can, and the file is its own.

        :returns: False if there is one by now.
        """
        try:
            create(self.manifest_path, io.BytesIO(new.to_json()), _JSON)
        except FileExistsError:
            return False
        except NotImplementedError:
            pass
        return True

    def _write_manifest(self, new: Manifest) -> None:
        write(self.manifest_path, io.BytesIO(new.to_json()), _JSON)

    def _replace(self, file: BinaryIO, new: Manifest, old: Manifest | None) -> Archived:
        """
        Write both, again and again until they belong together.

        Whoever writes last looks at both afterwards, so they belong together when all have ended.

        :raises ArchiveError: Others write under this name all the time.
        """
        if old is not None and not old.is_same_picture(new):
            # If this attempt stops between the two writes, the new file must not be beside the old manifest.
            # A store that does not allow deleting is still written to, because the picture is paid for.
            with suppress(Exception):
                self.manifest_path.fs.rm_file(self.manifest_path.path)
        for number in range(TRIES):
            write(self.path, file, new.file.media_type)
            self._write_manifest(new)
            try:
                if self._is_settled():
                    return new.file
            except PermissionError:
                return new.file
            except Exception:  # noqa: BLE001 - a store that may be written to but not read, or a passing fault
                if number + 1 >= _READS:
                    return new.file
            CLOCK.sleep(random.uniform(0.0, 0.02 * (number + 1)))  # noqa: S311 - only to be out of step
        raise self._busy()

    def _is_settled(self) -> bool:
        """
        True if file and manifest belong together, whoever wrote them.

        :raises Exception: They could not be read.
        """
        try:
            text = read(self.manifest_path)
        except FileNotFoundError:
            return False
        file = Manifest.parse(text).file
        return holds(self.path, file.bytes, file.sha256)

    def _busy(self) -> ArchiveError:
        return ArchiveError(
            f"{self.path} is being written by another task",
            advice="Retry. If two tasks write there, give each its own filename.",
        )


def _warn(path: ObjectStoragePath, old: Manifest | None, new: Manifest) -> None:
    if old is not None and old.job is not None and not old.has_origin_of(new):
        _log.warning("%s, which was %s, is replaced by %s", path, old.origin, new.origin)


def _modified(path: ObjectStoragePath) -> float:
    return float(path.fs.modified(path.path).timestamp())


def _is_younger(path: ObjectStoragePath, seconds: float) -> bool:
    """True unless the file is gone, or the storage says that it was last written longer ago."""
    try:
        return CLOCK.now() - _modified(path) < seconds
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - not every storage says it
        return True
