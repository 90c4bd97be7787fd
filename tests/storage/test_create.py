"""Creating a file only if there is none, on a disk and on S3."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_faceswap.storage.files import PART, create, holds, write

pytestmark = pytest.mark.program


@pytest.fixture(params=["disk", "s3"])
def folder(request, tmp_path):
    if request.param == "disk":
        return ObjectStoragePath(f"file://{tmp_path / 'kept'}")
    return request.getfixturevalue("bucket").path("kept")


@pytest.mark.parametrize("size", [1, 300_000, PART + 1, 2 * PART])
def test_a_file_is_created_once(folder, size):
    path = folder / "deep" / "pic.png"
    create(path, io.BytesIO(b"a" * size), "image/png")
    with pytest.raises(FileExistsError):
        create(path, io.BytesIO(b"b" * size), "image/png")
    assert path.read_bytes() == b"a" * size


def test_of_many_at_a_time_one_creates_it(folder):
    def attempt(number):
        try:
            create(folder / "pic.png", io.BytesIO(b"%d" % number))
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        (winner,) = [number for number in threads.map(attempt, range(1, 17)) if number]
    assert (folder / "pic.png").read_bytes() == b"%d" % winner
    if folder.protocol == "file":
        assert [found.name for found in Path(folder.path).iterdir()] == ["pic.png"]


@pytest.mark.parametrize("size", [1, PART - 1, PART, PART + 1, 2 * PART])
def test_only_the_very_same_content_is_held(folder, size):
    path = folder / "pic.png"
    data = b"a" * size
    write(path, io.BytesIO(data))
    digest = hashlib.sha256(data).hexdigest()
    assert holds(path, size, digest)
    assert not holds(path, size, hashlib.sha256(b"").hexdigest())
    write(path, io.BytesIO(data + b"a"))
    assert not holds(path, size, digest)
    assert not holds(folder / "gone.png", size, digest)
