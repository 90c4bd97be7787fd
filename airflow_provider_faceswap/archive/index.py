"""
The index of an archive: which archived files a request has made, whatever Dag and run bought them.

One object for each request, in the archive's folder. It names files and holds a copy of their manifests, and is not believed
by itself: a file counts only if its manifest names this request, and the file has the manifest's size and hash. The copy
saves reading the manifest beside the file; if it does not fit, that one is read.

A claim, with a lease, says that a task is making the picture. Claims are numbered and created exclusively, so of several
tasks one makes it. Where a storage cannot create exclusively, each task makes it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.entries import (
    LONGEST_CLAIM,
    Claim,
    Entry,
    ReusableJob,
    are_whole,
    is_below,
    is_no_file,
)
from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.archive.place import Place
from airflow_provider_faceswap.archive.turns import ANOTHER
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.signed_links import unsigned
from airflow_provider_faceswap.lifecycle.provenance import is_private
from airflow_provider_faceswap.storage.disk import DISKS
from airflow_provider_faceswap.storage.files import create, read, write
from airflow_provider_faceswap.storage.listing import listed, removed
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.link_contents import LinkContents
    from airflow_provider_faceswap.vendors.messages import Request

#: The folder of the index, below that of the archive.
FOLDER = ".faceswap-index"
#: The name of a request's entry, and the beginning of that of a claim.
_ENTRY, _CLAIM = "entry", "claim-"
#: Times that a claim is tried again because others claim at the same time.
_TRIES = 20


def request_key(vendor: str, kind: str, request: Request, contents: Mapping[str, str]) -> str:
    """
    The fingerprint of a request without its account: what makes two pictures the same.

    Pictures count by content if their bytes pass through here, else by their link without a signature. Webhooks are left
    out.

    :param contents: Texts that stand for links and for results of other requests, by link or by text in the request.
    """
    known = unsigned(_content_of(request.identity, contents))
    return hashlib.sha256(
        json.dumps([vendor, kind, request.path, known], sort_keys=True).encode()
    ).hexdigest()


def _content_of(value: Any, contents: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        parts = {name: _content_of(part, contents) for name, part in value.items() if not is_private(name)}
        return {name: part for name, part in parts.items() if part != {}}
    if isinstance(value, list | tuple):
        return [_content_of(part, contents) for part in value]
    return contents.get(value, value) if isinstance(value, str) else value


class Index:
    """
    The index of an archive.

    :param folder: The archive's folder.
    :param contents: Fetches links, so that they count by what they lead to; ``None`` if they count by their text.
    """

    def __init__(self, folder: ObjectStoragePath, contents: LinkContents | None = None) -> None:
        self.folder = folder
        self._contents = contents

    def key_of(
        self, vendor: str, kind: str, request: Request, results: Mapping[str, str] | None = None
    ) -> str:
        """
        The key of a request.

        :param results: The keys of the requests whose results it takes, by the text that stands for such a result in it.
        :raises FaceSwapError: A link could not be fetched.
        """
        contents = self._contents.of(request.identity) if self._contents else {}
        return request_key(vendor, kind, request, {**contents, **(results or {})})

    # -- archived files -----------------------------------------------------------------------------------

    def find(self, key: str) -> tuple[Manifest, ...]:
        """
        The manifests of the files that a request has made, in the order of its outputs.

        :returns: None if there is no entry, or a file is not whole any more.
        :raises FaceSwapError: The archive could not be read.
        """
        try:
            return self._find(key)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise FaceSwapError(
                f"the archive {place_of(str(self.folder))} could not be searched ({error_line(error)})",
                advice="Nothing was bought. Retry when its storage works again.",
            ) from None

    def _find(self, key: str) -> tuple[Manifest, ...]:
        try:
            text = read(self._of(key, _ENTRY))
        except (FileNotFoundError, IsADirectoryError):
            return ()
        try:
            entry = Entry.parse(text)
        except ValueError:
            return ()
        try:
            return self._named(key, entry)
        except OSError as error:
            # A storage that fails is not an entry that names no file.
            if is_no_file(error):
                return ()
            raise

    def _named(self, key: str, entry: Entry) -> tuple[Manifest, ...]:
        """
        The manifests of the files that an entry names; empty if they are not whole.

        :raises Exception: A file could not be read.
        """
        places = [Place(self.folder / name) for name in entry.files if is_below(name)]
        if len(places) < len(entry.files):
            return ()
        if are_whole(key, places, entry.manifests):
            return entry.manifests
        # It is an entry without copies, or the file was archived again.
        texts = [read(place.manifest_path) for place in places]
        try:
            beside = tuple(map(Manifest.parse, texts))
        except ValueError:
            return ()
        return beside if are_whole(key, places, beside) else ()

    def record(self, key: str, manifests: Sequence[Manifest]) -> None:
        """
        Write the entry of a request whose files are all archived, and end the claims on it.

        An entry that is whole stays, unless its job is older: the request was then bought anew because somebody asked for it.

        :param manifests: Of the files, in the order of the outputs.
        :raises Exception: The storage's own error.
        """
        root = place_of(str(self.folder)).rstrip("/") + "/"
        names = [place_of(manifest.file.uri).removeprefix(root) for manifest in manifests]
        if not all(map(is_below, names)):
            return
        entry = Entry(files=tuple(names), manifests=tuple(manifests))
        path, content = self._of(key, _ENTRY), entry.model_dump_json().encode()
        try:
            create(path, io.BytesIO(content))
        except NotImplementedError:
            write(path, io.BytesIO(content))
        except FileExistsError:
            if not (kept := self.find(key)) or _is_newer(manifests, kept):
                _replace(path, content)
        self.release(key)

    # -- claims -------------------------------------------------------------------------------------------

    def claim(self, key: str, owner: str, seconds: float) -> str | None:
        """
        Claim that this task makes the picture.

        :param owner: The task instance, the same in all its attempts.
        :param seconds: How long others wait for the picture.
        :returns: ``None`` if it is claimed now, or already was by this owner; else the owner of the claim.
        :raises FaceSwapError: The archive could not be read or written.
        """
        try:
            return self._claim(key, owner, seconds)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise FaceSwapError(
                f"the archive {place_of(str(self.folder))} could not be claimed in ({error_line(error)})",
                advice="Nothing was bought. Retry when its storage works again.",
            ) from None

    def _claim(self, key: str, owner: str, seconds: float) -> str | None:
        free = 1
        for _ in range(_TRIES):
            claims = self._claims(key)
            number = 1
            if claims:
                number, last = max(claims.items())
                if last.owner == owner:
                    return None
                if last.is_held(CLOCK.now()):
                    return last.owner
                number += 1
            number = max(number, free)
            path = self._claim_path(key, number)
            new = Claim(owner=owner, until=CLOCK.now() + min(seconds, LONGEST_CLAIM))
            try:
                create(path, io.BytesIO(new.model_dump_json().encode()))
            except FileExistsError:
                # On a disk, a folder may have the name: it is in no list of claims, and stays.
                free = number + 1 if path.protocol in DISKS and path.fs.isdir(path.path) else free
                continue
            except NotImplementedError:
                return None
            return None
        return ANOTHER

    def release(self, key: str, owner: str | None = None) -> None:
        """
        End the claims of an owner, or of all.

        :raises Exception: The storage's own error.
        """
        for number, claim in self._claims(key).items():
            if owner is None or claim.owner == owner:
                removed(self._claim_path(key, number))

    def _claims(self, key: str) -> dict[int, Claim]:
        """The claims, by their numbers."""
        folder, found = self._of(key), {}
        for name, _ in listed(folder):
            number = name.removeprefix(_CLAIM)
            if not name.startswith(_CLAIM) or not number.isdecimal():
                continue
            try:
                found[int(number)] = Claim.parse(read(folder / name))
            except FileNotFoundError:
                continue
        return found

    def _claim_path(self, key: str, number: int) -> ObjectStoragePath:
        return self._of(key, f"{_CLAIM}{number:04d}")

    def _of(self, key: str, *name: str) -> ObjectStoragePath:
        # In one step: each makes a path, which takes longer than it looks.
        return self.folder / "/".join((FOLDER, key[:2], key, *name))


def _is_newer(manifests: Sequence[Manifest], kept: Sequence[Manifest]) -> bool:
    """True for pictures of a job that was bought anew, after that of an entry."""
    new, old = ReusableJob.of(manifests[0]), ReusableJob.of(kept[0])
    if new.submitted_at is None or old.submitted_at is None:
        return False
    return (new.vendor, new.job_id) != (old.vendor, old.job_id) and new.submitted_at > old.submitted_at


def _replace(path: ObjectStoragePath, content: bytes) -> None:
    """
    Write an entry in place of another one.

    :raises Exception: The storage's own error; a folder with something in it stays.
    """
    try:
        write(path, io.BytesIO(content))
    except IsADirectoryError:
        path.fs.rmdir(path.path)
        write(path, io.BytesIO(content))
