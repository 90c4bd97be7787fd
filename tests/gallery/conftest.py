"""The gallery's app in this process, behind Airflow's own dependency for permissions, with files on the disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api import security
from airflow.models.dag import DagModel
from airflow.providers.common.compat.sdk import ObjectStoragePath
from jwt import InvalidTokenError

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.archive.thumbnails import ThumbnailKeeper
from airflow_provider_faceswap.batch.manifest import manifest_name
from airflow_provider_faceswap.gallery import FAILURE_KEY, _airflow_database
from airflow_provider_faceswap.gallery._airflow_database import Row
from airflow_provider_faceswap.gallery.app import create_app
from airflow_provider_faceswap.gallery.batches import _indexes
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.jobs import GivenResult
from tests.conftest import needs

#: Who may see the XComs of which Dags.
RIGHTS = {"viewer": {"a_dag"}, "other": {"another_dag"}, "nobody": set()}


NEEDS_COOKIE = needs(
    "sign-in by cookie", at="airflow.api_fastapi.core_api.security", has="COOKIE_NAME_JWT_TOKEN"
)


def pytest_collection_modifyitems(items):
    """A page is opened with the cookie of Airflow's UI, which 3.1.0 does not read."""
    for item in items:
        if item.path.parent == Path(__file__).parent and "gallery" in item.fixturenames:
            item.add_marker(NEEDS_COOKIE)


class AuthManager:
    """Airflow's question to its auth manager, answered by a table."""

    async def get_user_from_token(self, token):
        if token not in RIGHTS:
            raise InvalidTokenError
        return SimpleNamespace(name=token)

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        return method == "GET" and access_entity is DagAccessEntity.XCOM and details.id in RIGHTS[user.name]


class Gallery:
    """
    The gallery, and the run that it shows.

    :ivar rows: What the tasks of the run ``a_run`` of ``a_dag`` have pushed.
    """

    def __init__(self, folder) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.app = create_app()

    def get(self, path, token="viewer", **options):
        """An answer; the address is below the run's page, or a whole one."""
        [answer] = self.get_all([path], token, **options)
        return answer

    def get_all(self, paths, token="viewer", **options):
        """The answers to several requests that are sent at once."""
        places = [
            path if path.startswith("/") else f"/gallery/dags/a_dag/runs/a_run/{path}" for path in paths
        ]
        cookies = {"_token": token} if token else {}

        async def ask():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://airflow.test", cookies=cookies
            ) as client:
                gets = (client.get(place, headers={"accept": "text/html"}, **options) for place in places)
                return await asyncio.gather(*gets)

        return asyncio.run(ask())

    def push(self, value, *, task_id="archive", map_index=-1, key="return_value"):
        """An XCom, as the worker stores it."""
        self.rows.append(Row(task_id, map_index, key, json.loads(json.dumps(value))))

    def fail(self, value, **more):
        self.push(value, key=FAILURE_KEY, **more)


@pytest.fixture
def folder(tmp_path):
    """A folder below the gallery's roots."""
    return tmp_path / "roots" / "kept"


@pytest.fixture
def gallery(monkeypatch, tmp_path, folder):
    monkeypatch.setattr(security, "get_auth_manager", AuthManager)
    monkeypatch.setattr(DagModel, "get_team_name", staticmethod(lambda *_, **__: None), raising=False)
    monkeypatch.setenv(
        "AIRFLOW__FACESWAP__GALLERY_ROOTS", f"s3://no_connection@bucket, file://{tmp_path}/roots/"
    )
    _indexes.clear()
    site = Gallery(folder)

    def results_of(scope):
        if (scope.dag_id, scope.run_id) != ("a_dag", "a_run"):
            return []
        return [
            row
            for row in site.rows
            if scope.task_id in {None, row.task_id} and scope.map_index in {None, row.map_index}
        ]

    def single_values(_dag_id, _run_id, key):
        return [row.value for row in site.rows if row.key == key]

    monkeypatch.setattr(_airflow_database, "results_of", results_of)
    monkeypatch.setattr(_airflow_database, "single_values", single_values)
    monkeypatch.setattr(_airflow_database, "last_runs", lambda *_: [("a_run", None)] if site.rows else [])
    return site


@pytest.fixture
def archived(folder, made, picture):
    """Archive a picture; returns what the operator returns."""

    def archive(filename=None, *, where=folder, size=(640, 480), thumbnails=True, run=None, data=None, **job):
        arguments = job.pop("arguments", {"prompt": "a king"})
        inputs = job.pop("inputs", {"target_image": picture("JPEG", (400, 300)), "face_image": picture()})
        result = GivenResult.parse(
            made(provenance={"arguments": arguments, "parents": job.pop("parents", [])}, **job)
        )
        source = ArchiveSource(
            url=None,
            data=data or picture(size=size),
            result=result,
            inputs={name: Image(one) if isinstance(one, bytes) else one for name, one in inputs.items()},
        )
        ids = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "archive", "map_index": -1, "try_number": 1}
        return (
            Archive(
                ObjectStoragePath(f"file://{where}"),
                filename=filename,
                overwrite="replace",
                max_bytes=10_000_000,
                open_hosts=(),
                run=RunInfo(**{**ids, **(run or {})}),
                thumbnails=ThumbnailKeeper() if thumbnails else None,
            )
            .keep(source)
            .model_dump()
        )

    return archive


@pytest.fixture
def batch(folder):
    """Write the manifest of a batch; returns its summary."""

    def write(lines, *, task_id="batch", run_id="a_run", dag_id="a_dag", name=None, **more):
        folder.mkdir(parents=True, exist_ok=True)
        run = RunInfo(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=-1)
        path = folder / (name or manifest_name(run))
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        good = sum(line["status"] == "archived" for line in lines)
        summary = {"total": len(lines), "archived": good, "failed": len(lines) - good, "errors": {}}
        return {**summary, "cost_in_all": {}, "manifest_uri": f"file://{path}", **more}

    return write


@pytest.fixture
def line():
    """A line of a batch's manifest."""

    def one(position, file=None, **more):
        known = {"job_id": f"job{position}", "cost": None, "attempt_reused": False}
        end = (
            {"status": "archived", **known, "files": [{"uri": file["uri"], "sha256": "", "bytes": 1}]}
            if file
            else {
                "status": "failed",
                "error": "NoFaceError",
                "message": "no face",
                "job_id": f"job{position}",
            }
        )
        return {
            "position": position,
            **end,
            "item": {"target_image": f"https://x.test/{position}.jpg"},
            **more,
        }

    return one
