"""
Links of the UI to what a task has made.

Airflow stores a link in XCom and shows it to everybody who may see the task. So no link here grants access: a signed one
is replaced by the page of the task's own XCom, which Airflow protects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

from airflow_provider_faceswap.foundation.iterations import region_of
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.gallery import GALLERY
from airflow_provider_faceswap.storage.files import path_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class OutcomeLink(BaseOperatorLink):
    """
    A link to a part of what a task has made.

    Airflow calls it in the worker at the end of each attempt. If the operator's ``outcome`` is ``None``, the link is
    empty and the UI shows no button.
    """

    #: The field of the outcome with the URL.
    part: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        The URL of the link.

        :param operator: The operator as it ran.
        :param ti_key: The task instance; only its ids are read.
        :returns: An http(s) URL; empty if there is nothing to open.
        """
        outcome = getattr(operator, "outcome", None)
        if isinstance(outcome, list) and len(outcome) == 1:
            [outcome] = outcome
        if not outcome:
            return ""
        if not isinstance(outcome, Mapping):
            return xcom_page(ti_key)
        place = outcome.get(self.part)
        return self.address(place, ti_key, getattr(operator, "destination_conn_id", None)) if place else ""

    def address(self, place: str, instance: Any, conn_id: str | None) -> str:
        """
        The page about a file in object storage: in the cloud's console if there is one, which checks access itself.

        :param place: The file's URI.
        :param conn_id: The connection of the storage.
        """
        return console_page(place, conn_id) or xcom_page(instance)


class ResultLink(OutcomeLink):
    """The first picture or video at the vendor."""

    name = "Result"
    part = "url"

    def address(self, place: str, instance: Any, conn_id: str | None = None) -> str:
        """
        The vendor's link; the page of the XCom if the link has a query, which may be a signature.

        :param place: The vendor's link.
        """
        del conn_id
        if not place.startswith(("http://", "https://")):
            return ""
        return place if place == bare_url(place) else xcom_page(instance)


class ArchivedLink(OutcomeLink):
    """The archived file, or, if there are several, the page that lists them."""

    name = "Archived file"
    part = "uri"


class ManifestLink(OutcomeLink):
    """The manifest of an archived file, or of a batch."""

    name = "Manifest"
    part = "manifest_uri"


class GalleryLink(BaseOperatorLink):
    """The pictures of the run; for a task that archives, its own. It needs no plugin tab, which not everybody sees."""

    name = "Pictures"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        The URL of the page.

        :param operator: The operator as it ran.
        :param ti_key: The task instance; only its ids are read.
        """
        outcome = getattr(operator, "outcome", None)
        first = outcome[0] if isinstance(outcome, list) and outcome else outcome
        archives = isinstance(first, Mapping) and "manifest_uri" in first
        return gallery_page(ti_key, whole_run=not archives)


def gallery_page(instance: Any, *, whole_run: bool = True) -> str:
    """
    The page of the gallery with the pictures of a run, or of one task instance.

    :param instance: Anything with the ids of a task instance.
    :returns: A URL on ``[api] base_url``, or relative to the UI if that is not set.
    """
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    ids = [quote(str(part), safe="") for part in (instance.dag_id, instance.run_id, instance.task_id)]
    page = f"{base}/{GALLERY}/dags/{ids[0]}/runs/{ids[1]}/"
    index = -1 if instance.map_index is None else instance.map_index
    return page if whole_run else f"{page}tasks/{ids[2]}/{index}/"


def result_links(result: Mapping[str, Any], instance: Any) -> dict[str, str]:
    """
    The links for a task that a trigger ends without a worker, in the form in which a worker would store them.

    :param result: The task's return value.
    :param instance: The task instance; only its ids are read.
    :returns: XCom key to URL.
    """
    link, gallery = ResultLink(), GalleryLink()
    return {
        link.xcom_key: link.address(result.get("url") or "", instance),
        gallery.xcom_key: gallery_page(instance),
    }


def xcom_page(instance: Any) -> str:
    """
    The page of the UI that shows a task's return value.

    :param instance: Anything with the ids of a task instance.
    :returns: A URL on ``[api] base_url``, or relative to the UI if that is not set. It is empty for a task
        that has failed, because it has no return value.
    """
    if getattr(instance, "state", None) in {"failed", "up_for_retry"}:
        return ""
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    index = instance.map_index
    ids = [quote(str(part), safe="") for part in (instance.dag_id, instance.run_id, instance.task_id)]
    mapped = f"/mapped/{index}" if index is not None and index >= 0 else ""
    page = f"{base}/dags/{ids[0]}/runs/{ids[1]}/tasks/{ids[2]}{mapped}/xcom"
    if (region := region_of(instance)) is None:
        return page
    # The UI's own form for one iteration of a task loop; without it, the page is that of the last one.
    return f"{page}?{urlencode({'region_id': region[0], 'region_index': region[1]})}"


def console_page(uri: str, conn_id: str | None) -> str:
    """
    The page about a file in the cloud's own console.

    :param uri: The file in object storage.
    :param conn_id: The connection, if the URI names none.
    :returns: A URL; empty if there is no console, as for a disk, or another server with the interface of S3 or GCS.
    """
    if urlsplit(uri).scheme not in {"s3", "s3a", "s3n", "gs", "gcs"}:
        return ""
    path = path_of(uri, conn_id)
    # Airflow 3.1 puts the connection before the bucket.
    bucket, key = quote(path.bucket.rpartition("@")[2], safe=""), path.key.lstrip("/")
    # The server that the file is at: a connection or the environment may name another than the cloud's own.
    if path.protocol in {"gs", "gcs"}:
        server, cloud = path.fs.base, ".googleapis.com"
        page = f"https://console.cloud.google.com/storage/browser/_details/{bucket}/{quote(key)}"
    else:
        server, cloud = path.fs.s3.meta.endpoint_url, ".amazonaws.com"
        page = f"https://console.aws.amazon.com/s3/object/{bucket}?prefix={quote(key, safe='')}"
    return page if (urlsplit(server).hostname or "").endswith(cloud) else ""
