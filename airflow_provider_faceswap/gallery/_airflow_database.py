"""
What the gallery reads from Airflow's database: the one module of the gallery that uses Airflow's tables.

The public API has no query for the return values of a whole run; it would take a request for each task instance.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.providers.common.compat.sdk import conf
from airflow.utils.session import create_session
from sqlalchemy import String, and_, cast, or_, select

from airflow_provider_faceswap.gallery import FAILURE_KEY
from airflow_provider_faceswap.gallery.files import NotShownError, asking

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_faceswap.gallery.results import Scope

#: Key of a task's return value.
_RETURNED = "return_value"
#: What the return value of an archive or of a batch has in it.
_MARK = "manifest_uri"
#: Values in object storage that are read for one query.
MAX_STORED = 2000
#: Such values that are read at a time.
_CHUNK = 250
#: Bytes of such a value. One file's archive has 300.
MAX_VALUE = 1024 * 1024
#: Values that are remembered, and bytes of each at most: 20 MB at the very most.
_REMEMBERED, _SMALL = 10_000, 2048


@dataclass(frozen=True, slots=True)
class Row:
    """
    An XCom of a task instance.

    :param value: As the task pushed it.
    """

    task_id: str
    map_index: int
    key: str
    value: Any


def results_of(scope: Scope) -> list[Row]:
    """What the tasks of a run have archived, and the errors of those that failed, in one query."""
    value = cast(XComModel.value, String)
    base = _storage_base()
    wanted = value.contains(_MARK, autoescape=True)
    if base:
        wanted = or_(wanted, value.contains(base, autoescape=True))
    query = (
        select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value)
        .where(XComModel.dag_id == scope.dag_id, XComModel.run_id == scope.run_id)
        .where(or_(XComModel.key == FAILURE_KEY, and_(XComModel.key == _RETURNED, wanted)))
        .order_by(XComModel.task_id, XComModel.map_index)
    )
    if scope.task_id is not None:
        query = query.where(XComModel.task_id == scope.task_id)
    if scope.map_index is not None:
        query = query.where(XComModel.map_index == scope.map_index)
    with create_session(scoped=False) as session:
        rows = [Row(task, index, key, _plain(value)) for task, index, key, value in session.execute(query)]
    if base:
        values = _with_stored([row.value for row in rows], base)
        rows = [replace(row, value=value) for row, value in zip(rows, values, strict=True)]
    return [row for row in rows if not isinstance(row.value, str)]


def single_values(dag_id: str, run_id: str, key: str) -> list[Any]:
    """The values of one key of all tasks of a run, such as ``cost``, which job operators push besides their result."""
    query = select(XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == key
    )
    with create_session(scoped=False) as session:
        values = [_plain(value) for value in session.scalars(query)]
    base = _storage_base()
    return _with_stored(values, base) if base else values


def last_runs(dag_id: str, number: int) -> list[tuple[str, datetime | None]]:
    """The last runs of a Dag that have archived something or failed here, the newest first, and when each was due."""
    value = cast(XComModel.value, String)
    marks = [mark for mark in (_MARK, _storage_base()) if mark]
    has_results = (
        select(XComModel.dag_run_id)
        .where(XComModel.dag_run_id == DagRun.id)
        .where(
            or_(
                XComModel.key == FAILURE_KEY,
                and_(
                    XComModel.key == _RETURNED,
                    or_(*(value.contains(mark, autoescape=True) for mark in marks)),
                ),
            )
        )
        .exists()
    )
    query = (
        select(DagRun.run_id, DagRun.run_after)
        .where(DagRun.dag_id == dag_id, has_results)
        .order_by(DagRun.run_after.desc(), DagRun.id.desc())
        .limit(number)
    )
    with create_session(scoped=False) as session:
        return [(run_id, moment) for run_id, moment in session.execute(query)]


def _plain(value: Any) -> Any:
    """A value as the task pushed it: some ways of writing put JSON into JSON."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _storage_base() -> str | None:
    """Where an XCom backend of object storage keeps large values; ``None`` without such a backend."""
    if "XComObjectStorageBackend" not in (conf.get("core", "xcom_backend", fallback="") or ""):
        return None
    return (conf.get("common.io", "xcom_objectstorage_path", fallback="") or "").rstrip("/") or None


def _with_stored(values: Sequence[Any], base: str) -> list[Any]:
    """The values, with each path of a stored one replaced by it; ``None`` for a path that is not read."""
    mine = [value for value in values if isinstance(value, str) and value.startswith(f"{base}/")]
    paths = [path for path in mine if ".." not in path.split("/")][:MAX_STORED]
    found: dict[str, Any] = dict.fromkeys(mine)
    for start in range(0, len(paths), _CHUNK):
        found |= _stored(base, paths[start : start + _CHUNK])
    return [found.get(value, value) if isinstance(value, str) else value for value in values]


#: The values of the last pages, as they are stored: a backend writes each under a name of its own, and never again.
_remembered: OrderedDict[str, bytes] = OrderedDict()
_lock = Lock()


def _stored(base: str, uris: Sequence[str]) -> dict[str, Any]:
    """Stored values by their paths, all with one question to the storage; ``None`` for one that is gone."""
    from airflow_provider_faceswap.storage.files import path_of

    with _lock:
        found: dict[str, Any] = {uri: _remembered[uri] for uri in uris if uri in _remembered}
    wanted = [uri for uri in uris if uri not in found]
    if wanted:
        # A path object for each would take as long as its reading.
        root = path_of(base)
        paths = [f"{root.path}{uri.removeprefix(base)}" for uri in wanted]
        try:
            with asking(root.fs):
                read = root.fs.cat_ranges(
                    paths, [0] * len(paths), [MAX_VALUE] * len(paths), on_error="return"
                )
        except NotShownError:
            raise
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise _unreadable(error) from None
        found |= zip(wanted, read, strict=True)
        with _lock:
            small = {
                uri: data for uri, data in found.items() if isinstance(data, bytes) and len(data) < _SMALL
            }
            _remembered.update(small)
            while len(_remembered) > _REMEMBERED:
                _remembered.popitem(last=False)
    return {uri: _value(uri, data) for uri, data in found.items()}


def _value(uri: str, data: Any) -> Any:
    """A stored value, which may be compressed as the end of its name says."""
    from fsspec.compression import compr
    from fsspec.utils import infer_compression

    if isinstance(data, OSError):
        return None
    if isinstance(data, BaseException):
        raise _unreadable(data)
    try:
        if kind := infer_compression(uri):
            data = compr[kind](BytesIO(data), mode="r").read(MAX_VALUE)
        return json.loads(data)
    except Exception:  # noqa: BLE001 - damaged, in any compression
        return None


def _unreadable(error: BaseException) -> NotShownError:
    return NotShownError(f"A value of XCom in object storage cannot be read ({type(error).__name__}).")
