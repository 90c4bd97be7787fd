"""Google's and Azure's storage, with a server of each on this machine."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores

from airflow_provider_faceswap.exceptions import ArchiveError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from tests.integration.conftest import HastyClock

pytestmark = pytest.mark.program

AZURITE = Path(__file__).resolve().parents[2] / "build" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
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

    def conditional(upload):
        """An upload with what the server lacks: the condition of a creation."""

        def refuse_or_upload(request, response, storage):
            with lock:
                taken = {found["name"] for found in storage.get_file_list(request.params["bucket_name"])[0]}
                first = request.query.get("ifGenerationMatch") == ["0"] and "upload_id" not in request.query
                if first and request.data.get("meta", request.data)["name"] in taken:
                    response.status = 412
                    response.json({"error": {"code": 412, "message": "Precondition failed"}})
                    return
                upload(request, response, storage)

        return refuse_or_upload

    with pytest.MonkeyPatch.context() as patched:
        for name in ("_multipart_upload", "_create_resumable_upload"):
            patched.setattr(objects, name, conditional(getattr(objects, name)))
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


@pytest.fixture(params=["gs", "abfs"])
def cloud(request, monkeypatch, tmp_path):
    """A folder of its own in a cloud, as Airflow reaches it."""
    files = request.getfixturevalue({"gs": "gcs", "abfs": "azure"}[request.param])
    monkeypatch.setitem(stores._STORE_CACHE, request.param, stores.ObjectStore(request.param, None, fs=files))
    monkeypatch.setattr(CLOCK, "source", HastyClock())
    return ObjectStoragePath(f"{request.param}://pictures/{tmp_path.name}")


def keep(cloud, context, source, **more):
    return ArchiveOperator(task_id="keep", source=source, destination=str(cloud / "kept"), **more).execute(
        context
    )


def type_of(path):
    found = path.fs.info(path.path, refresh=True)
    return found.get("contentType") or found["content_settings"]["content_type"]


@pytest.mark.usefixtures("alone")
def test_a_picture_is_archived_with_its_type_and_found_again(cloud, context, web, made, picture):
    web.will(picture(), picture(), picture(colour="red"))
    kept = keep(cloud, context, made())
    path, manifest = ObjectStoragePath(kept["uri"]), ObjectStoragePath(kept["manifest_uri"])
    assert path.fs.cat_file(path.path) == picture()
    assert json.loads(manifest.fs.cat_file(manifest.path))["file"] == kept
    assert (type_of(path), type_of(manifest)) == ("image/png", "application/json")
    assert keep(cloud, context, made(), overwrite="skip") == kept
    with pytest.raises(ArchiveError, match="already exists"):
        keep(cloud, context, made(), overwrite="error")
