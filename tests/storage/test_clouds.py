"""The same on all three clouds' storages, with a server of each on this machine."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import shutil
import subprocess
import threading
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores

from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.exceptions import ArchiveError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.storage.files import PART, write
from tests.integration.conftest import HastyClock
from tests.sizes import FULL, SIZES
from tests.storage.test_s3 import INSTANCE, creates
from tests.storage.test_unit import agree, meet, stored

pytestmark = pytest.mark.program

AZURITE = Path(__file__).resolve().parents[2] / "build" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
#: Rounds of two writers for each rule.
ROUNDS = 200 if SIZES is FULL else 2
FACE = "https://pictures.test/face.jpg"
#: Azurite's own account, which its documentation names.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def gcs():
    """A file system at a server with Google's interface."""
    # Read when it is imported: otherwise it asks the server over gRPC, which this one lacks.
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    gcsfs = pytest.importorskip("gcsfs", reason="gcsfs is not installed; `make clouds` installs it")
    server = pytest.importorskip(
        "gcp_storage_emulator.server",
        reason="gcp-storage-emulator is not installed; `make clouds` installs it",
    )
    from gcp_storage_emulator.handlers import objects

    lock = threading.Lock()

    def name_in(request, storage):
        if "upload_id" in request.query:
            return storage.get_resumable_file_obj(request.query["upload_id"][0])["name"]
        return request.data.get("meta", request.data)["name"]

    def conditional(upload):
        """An upload with what the server lacks: the condition of a creation."""

        def refuse_or_upload(request, response, storage):
            with lock:
                taken = {found["name"] for found in storage.get_file_list(request.params["bucket_name"])[0]}
                if request.query.get("ifGenerationMatch") == ["0"] and name_in(request, storage) in taken:
                    response.status = HTTPStatus.PRECONDITION_FAILED
                    response.json({"error": {"code": 412, "message": "Precondition failed"}})
                    return
                upload(request, response, storage)

        return refuse_or_upload

    with pytest.MonkeyPatch.context() as patched:
        for name in ("_multipart_upload", "_create_resumable_upload"):
            patched.setattr(objects, name, conditional(getattr(objects, name)))
        # Nor can it abort an upload.
        uploads = next(
            methods for _, methods in server.HANDLERS if objects.upload_partial in methods.values()
        )
        patched.setitem(uploads, server.DELETE, lambda *_: None)
        # A connection that is kept open would keep the only thread.
        patched.setattr("http.server.HTTPServer", ThreadingHTTPServer)
        logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
        running = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket="pictures")
        running.start()
        port = running._api._httpd.server_port
        yield gcsfs.GCSFileSystem(token="anon", project="p", endpoint_url=f"http://127.0.0.1:{port}")
        running.stop()


@pytest.fixture(scope="module")
def azure():
    """A file system at a server with Azure's interface."""
    adlfs = pytest.importorskip("adlfs", reason="adlfs is not installed; `make clouds` installs it")
    program = shutil.which("azurite-blob") or (AZURITE if AZURITE.exists() else None)
    if program is None or shutil.which("node") is None:
        pytest.skip("Azurite is not here; `make clouds` installs it, with npm")
    options = ("--inMemoryPersistence", "--blobPort", "0", "--skipApiVersionCheck", "--disableTelemetry")
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True) as running:
        said = iter(running.stdout.readline, "")
        port = next(
            found[1]
            for line in said
            if (found := re.search(r"(?:listening|listens) (?:at|on) http://127\.0\.0\.1:(\d+)", line))
        )
        reading = threading.Thread(target=lambda: [None for _ in said])
        reading.start()
        files = adlfs.AzureBlobFileSystem(
            connection_string=f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )
        files.mkdir("pictures")
        yield files
        running.terminate()
        reading.join()


@pytest.fixture(params=["s3", "gs", "abfs"])
def cloud(request, monkeypatch, tmp_path):
    """A folder of its own in a cloud, as Airflow reaches it."""
    monkeypatch.setattr(CLOCK, "source", HastyClock())
    if request.param == "s3":
        return request.getfixturevalue("bucket").path(tmp_path.name)
    files = request.getfixturevalue({"gs": "gcs", "abfs": "azure"}[request.param])
    monkeypatch.setitem(stores._STORE_CACHE, request.param, stores.ObjectStore(request.param, None, fs=files))
    return ObjectStoragePath(f"{request.param}://pictures/{tmp_path.name}")


def read(uri):
    path = ObjectStoragePath(uri)
    return path.fs.cat_file(path.path)


def names(folder):
    return sorted(found.rpartition("/")[2] for found in folder.fs.find(folder.path, refresh=True))


def type_of(uri):
    path = ObjectStoragePath(uri)
    found = path.fs.info(path.path, refresh=True)
    return found.get("ContentType") or found.get("contentType") or found["content_settings"]["content_type"]


# -- the archive --------------------------------------------------------------------------------------


@pytest.fixture
def keep(cloud, context):
    """Run an archive task into the cloud."""

    def run(source, **more):
        options = {"destination": str(cloud / "kept"), **more}
        return ArchiveOperator(task_id="keep", source=source, **options).execute(context)

    return run


@pytest.mark.usefixtures("alone")
def test_a_picture_is_archived_and_found_again(keep, web, made, picture):
    web.will(picture(), picture(), picture(colour="red"))
    kept = keep(made())
    assert read(kept["uri"]) == picture()
    assert json.loads(read(kept["manifest_uri"]))["file"] == kept
    assert keep(made(), overwrite="skip") == kept
    with pytest.raises(ArchiveError, match="already exists"):
        keep(made(), overwrite="error")
    assert read(kept["uri"]) == picture()


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("overwrite", ["error", "replace"])
def test_every_object_has_its_type(cloud, keep, web, made, picture, overwrite):
    video = b"\0\0\0\x20ftypisom" + bytes(PART + 1)
    web.will(picture(), video)
    for result, media_type in ((made(), "image/png"), (made(kind="video"), "video/mp4")):
        kept = keep(result, overwrite=overwrite)
        assert (type_of(kept["uri"]), type_of(kept["manifest_uri"])) == (media_type, "application/json")
    small = [name for name in names(cloud / "kept") if name.endswith(".jpg")]
    assert [type_of(str(cloud / "kept" / name)) for name in small] == ["image/jpeg"] * len(small)
    assert small


@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
def test_two_writers_of_one_name_never_mix(cloud, made, picture, overwrite):
    pictures = [picture(colour="red"), picture(colour="green")]
    sources = [
        ArchiveSource(url=None, data=data, result=made(job_id=name))
        for name, data in zip(("one", "two"), pictures, strict=True)
    ]
    for number in range(ROUNDS):
        folder = cloud / str(number)
        kept = meet(folder, sources, overwrite)
        found = stored(folder)
        won = [one for one in kept if not isinstance(one, ArchiveError)]
        assert all(agree(*pair) for pair in found.values()), (number, kept)
        assert len(won) == (1 if overwrite == "error" else 2), (number, kept)
        assert len(found) == (2 if overwrite == "skip" else 1)


# -- pictures, records, batches -----------------------------------------------------------------------


def test_a_picture_is_read_and_gets_a_signed_link_if_the_credentials_have_a_key(cloud, picture, connections):
    connections("https://vendor.test")
    write(cloud / "face.png", io.BytesIO(picture()), "image/png")
    body = GPTunnelHook().prepare("face_swap", target_image=str(cloud / "face.png"), face_image=FACE).body
    given = body["sourceImage"]
    if cloud.protocol == "gs":
        assert given == f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    else:
        assert httpx.get(given).content == picture()


def test_a_retry_finds_its_paid_job_in_the_ledger(sandbox, cloud, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", str(cloud / "ledger"))
    pictures = {
        "target_image": f"{sandbox.url}/samples/emil.png",
        "face_image": f"{sandbox.url}/samples/anna.jpg",
    }

    def swap():
        task = GPTunnelFaceSwapOperator(task_id="swap", **pictures)
        return task.execute({"ti": SimpleNamespace(**INSTANCE)})

    first, again = swap(), swap()
    assert (again["job_id"], again["attempt_reused"]) == (first["job_id"], True)
    assert creates(sandbox) == 1


def test_a_batch_reads_its_items_and_keeps_its_pictures(sandbox, cloud, context):
    rows = [
        {
            "target_image": f"{sandbox.url}/samples/emil.png",
            "face_image": f"{sandbox.url}/samples/anna.jpg?n={number}",
        }
        for number in range(3)
    ]
    write(cloud / "swaps.jsonl", io.BytesIO("\n".join(map(json.dumps, rows)).encode()))
    summary = FaceSwapBatchOperator(
        task_id="swaps",
        conn_id="gptunnel_default",
        items=str(cloud / "swaps.jsonl"),
        destination=str(cloud / "kept"),
    ).execute(context)
    assert (summary["total"], summary["archived"], creates(sandbox)) == (3, 3, 3)
    lines = read(summary["manifest_uri"]).decode().splitlines()
    assert {type_of(json.loads(line)["files"][0]["uri"]) for line in lines} == {"image/png"}
