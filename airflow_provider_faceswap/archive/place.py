"""
A file and its manifest under their two names: written as one unit, whoever else writes there at the same time.

The file comes first, and is created exclusively: of several writers, one gets the name. Then comes the manifest, also
exclusively. A manifest is believed only if the file beside it is the one that it describes. So a file without its own
manifest is one that somebody is just writing, for a few seconds; later, it is one that nobody completed.
"""

from __future__ import annotations

import hashlib
import io
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from airflow_provider_faceswap.archive.manifest import Archived, Manifest
from airflow_provider_faceswap.exceptions import ArchiveError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.storage.files import create, holds, version_of, write

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

Overwrite = Literal["error", "skip", "replace"]

_log = logging.getLogger(__name__)

#: Seconds that a writer may take from the file to its manifest, which is one small request.
GRACE = 5.0
#: Seconds. A file that is older is no longer waited for.
FRESH = 60.0
#: Seconds. A claim that is older belonged to a worker that was killed.
CLAIM = 3600.0
#: Times that a unit is written again because another writer came in between.
TRIES = 50
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

    @property
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
        waited = 0.0
        for _ in range(TRIES + int(GRACE / _STEP)):
            old = self._read(overwrite)
            if overwrite == "replace":
                _warn(self.path, old, new)
                if old is None and self._create(file, new):
                    return new.file
                return self._replace(file, new, old)
            if old is not None and self._is_there():
                if self._is_believed(old) or overwrite == "error" or not old.has_origin_of(new):
                    return self._kept(old, new, overwrite)
            elif old is None and self._create(file, new):
                return new.file
            if waited < GRACE and _is_younger(self.path, FRESH):
                CLOCK.sleep(_STEP)
                waited += _STEP
            elif self._take_over(file, new, old):
                return new.file
        raise self._busy()

    def existing(self, new: Manifest, overwrite: Overwrite) -> Archived | None:
        """What an earlier attempt stored here, if it stays; ``None`` if there is nothing or something else."""
        try:
            old = self._read(overwrite)
            if old is None or overwrite == "replace" or not self._is_believed(old):
                return None
            return self._kept(old, new, overwrite)
        except Exception:  # noqa: BLE001 - such as a name that is too long for this storage
            return None

    def _kept(self, old: Manifest, new: Manifest, overwrite: Overwrite) -> Archived:
        if overwrite == "skip" and old.has_origin_of(new):
            return self._described(old, new)
        if (
            overwrite == "error"
            and old.is_same_picture(new)
            and old.airflow.is_earlier_attempt_of(new.airflow)
        ):
            _log.info("%s was archived by an earlier attempt and is not written again", self.path)
            return self._described(old, new)
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
            # Not through the path's own reading, which would report it to Airflow's lineage; and by a range, because
            # the S3 library would otherwise ask for the size first.
            return Manifest.parse(path.fs.cat_file(path.path, start=0))
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

    def _is_there(self) -> bool:
        return bool(self.path.fs.exists(self.path.path))

    def _is_believed(self, manifest: Manifest) -> bool:
        """True if the file beside a manifest is the one that it describes."""
        return manifest.is_of(self.path) and holds(self.path, manifest.file.bytes, manifest.file.sha256)

    # -- writing ------------------------------------------------------------------------------------------

    def _create(self, file: BinaryIO, new: Manifest) -> bool:
        """
        Write both if the name is free, or complete what has the same content.

        :returns: False if somebody else has the name.
        """
        began = CLOCK.monotonic()
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
            if self._is_there():
                return False
            self._replace(file, new, None)
            return True
        try:
            create(self.manifest_path, io.BytesIO(new.to_json()), _JSON)
        except FileExistsError:
            return False
        # A writer that paused may have been taken for one that stopped.
        return CLOCK.monotonic() - began < GRACE / 2 or self._is_settled()

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
            write(self.manifest_path, io.BytesIO(new.to_json()), _JSON)
            if self._is_settled():
                return new.file
            CLOCK.sleep(random.uniform(0.0, 0.02 * (number + 1)))  # noqa: S311 - only to be out of step
        raise self._busy()

    def _is_settled(self) -> bool:
        """True if file and manifest belong together, whoever wrote them, or if they may not be read."""
        try:
            text = self.manifest_path.fs.cat_file(self.manifest_path.path, start=0)
            file = Manifest.parse(text).file
            return holds(self.path, file.bytes, file.sha256)
        except FileNotFoundError:
            return False
        except Exception:  # noqa: BLE001 - a store that may be written to but not read
            return True

    def _take_over(self, file: BinaryIO, new: Manifest, old: Manifest | None) -> bool:
        """
        Replace what an attempt that stopped early has left.

        Of several that find it, one may: it creates a claim, whose name contains the version of what was left.

        :returns: False if there is something else by now.
        :raises ArchiveError: Another attempt does it just now.
        """
        try:
            version = version_of(self.path)
        except FileNotFoundError:
            version = ""
        mark = hashlib.sha256(f"{self.path.name} {version}".encode()).hexdigest()[:32]
        claim = self.path.with_name(f".{mark}.claim")
        try:
            create(claim, io.BytesIO(b"claimed"))
        except NotImplementedError:
            self._replace(file, new, old)
            return True
        except FileExistsError:
            if _is_younger(claim, CLAIM):
                raise self._busy() from None
            with suppress(FileNotFoundError):
                claim.fs.rm_file(claim.path)
            return False
        try:
            if self._has_changed(version, old):
                return False
            if not version and old is not None:
                # A manifest without its file: from here on, the name is free.
                self.manifest_path.fs.rm_file(self.manifest_path.path)
                return False
            self._replace(file, new, old)
        finally:
            with suppress(Exception):
                claim.fs.rm_file(claim.path)
        return True

    def _has_changed(self, version: str, old: Manifest | None) -> bool:
        try:
            now = version_of(self.path)
        except FileNotFoundError:
            now = ""
        return (now, self._read("skip")) != (version, old)

    def _busy(self) -> ArchiveError:
        return ArchiveError(
            f"{self.path} is being written by another task",
            advice="Retry. If two tasks shall write there, give each its own filename.",
        )


def _warn(path: ObjectStoragePath, old: Manifest | None, new: Manifest) -> None:
    if old is not None and old.job is not None and not old.has_origin_of(new):
        _log.warning("%s, which was %s, is replaced by %s", path, old.origin, new.origin)


def _is_younger(path: ObjectStoragePath, seconds: float) -> bool:
    """True unless the file is gone, or the storage says that it was last written longer ago."""
    try:
        return CLOCK.now() - float(path.fs.modified(path.path).timestamp()) < seconds
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - not every storage says it
        return True
