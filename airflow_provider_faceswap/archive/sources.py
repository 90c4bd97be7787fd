"""The sources of an archive: one output each, parsed from a result, a link, or a list of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.exceptions import ArchiveError, FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.rendered import OUTPUT_ADVICE, is_text_of_result
from airflow_provider_faceswap.foundation.text import as_name
from airflow_provider_faceswap.http.patience import UNKNOWN, patience_for
from airflow_provider_faceswap.jobs import GivenResult

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_faceswap.jobs import Job

#: Polls a job again; takes vendor, connection id, job id and kind.
FetchJob = Callable[[str, str, str, str], "Job"]

_ADVICE = "Nothing was archived. Correct the argument."


class ArchiveSource(BaseModel):
    """
    One output to archive.

    :param url: Its link, with the query; ``None`` if the vendor sent the picture itself.
    :param data: The picture itself, if there is no link.
    :param result: The result of its job; ``None`` for a bare link.
    :param position: Its place among the job's outputs, from 0.
    :param of: How many outputs the job has.
    :param number: The number at the end of its file name, if it shares the name with other sources.
    :param inputs: The arguments of its job as they were given, if they are known; else the result names them.
    :param checked: The manifest of an archived picture, if the two were compared just now.
    """

    model_config = ConfigDict(frozen=True)

    url: str | None
    data: bytes = Field(default=b"", repr=False)
    result: GivenResult | None = None
    position: int = 0
    of: int = 1
    number: int | None = None
    inputs: Mapping[str, Any] | None = Field(default=None, repr=False)
    checked: Manifest | None = Field(default=None, repr=False)

    @property
    def job_id(self) -> str | None:
        """The id of its job."""
        return self.result.job_id if self.result is not None else None

    def patience(self, now: datetime) -> float:
        """Seconds to wait in all for its link, which may not work yet."""
        result = self.result
        if result is None:
            return UNKNOWN
        return patience_for(result.expires_at, result.finished_at or result.submitted_at, now)


def parse_sources(value: Any, fetch: FetchJob) -> tuple[list[ArchiveSource], bool]:
    """
    The sources that an argument names.

    :param value: What a job operator returned, a URL, or a list of these; a mapped task's results are a lazy sequence.
    :param fetch: Polls a job whose result has no link, because its vendor sends the picture inside the response.
    :returns: The sources in their order, and whether the argument was a list.
    :raises InvalidRequestError: The argument, or an item of it, is something else.
    :raises ArchiveError: A job has neither a link nor a picture.
    """
    sources, is_list = parse_each(value, fetch)
    for source in sources:
        if isinstance(source, FaceSwapError):
            raise source
    return [source for source in sources if isinstance(source, ArchiveSource)], is_list


def parse_each(value: Any, fetch: FetchJob) -> tuple[list[ArchiveSource | FaceSwapError], bool]:
    """
    The sources that an argument names, as from :func:`parse_sources`; an error in place of each item that names none.

    An item that is ``None`` is left out: it comes from a task that was skipped, before a join after a branch.

    :raises InvalidRequestError: The argument is none and no list, or nothing is left of the list.
    """
    values, is_list = _flat(value)
    present = [one for one in values if one is not None]
    if values and not present and is_list:
        raise InvalidRequestError(
            "source: must be a result, but every task that it comes from was skipped",
            advice="Nothing was archived. Skip this task too, with a trigger rule such as none_failed_min_one_success.",
        )
    sources: list[ArchiveSource | FaceSwapError] = []
    for one in present or values:
        try:
            sources += _sources_of_one(one, fetch)
        except FaceSwapError as error:
            sources.append(error)
    return sources, is_list


def sources_of(result: GivenResult, fetch: FetchJob) -> list[ArchiveSource]:
    """
    The outputs of one job, as :func:`parse_sources` returns them.

    :raises InvalidRequestError: The result has no link and does not say how to poll its job.
    :raises ArchiveError: The job has neither a link nor a picture.
    """
    if links := result.links:
        return [
            ArchiveSource(url=url, result=result, position=position, of=len(links))
            for position, url in enumerate(links)
        ]
    pictures = _inline_pictures(result, fetch)
    return [
        ArchiveSource(url=None, data=data, result=result, position=position, of=len(pictures))
        for position, data in enumerate(pictures)
    ]


def _flat(value: Any) -> tuple[list[Any], bool]:
    # A model is iterable, too: over its fields.
    if isinstance(value, str | Mapping | BaseModel) or not isinstance(value, Iterable):
        return [value], False
    if isinstance(value, Sequence):
        # All at once: iterating over a lazy sequence would make one request to Airflow for each of a thousand.
        value = value[:]
    return [one for part in value for one in _flat(part)[0]], True


def _sources_of_one(value: Any, fetch: FetchJob) -> list[ArchiveSource]:
    if isinstance(value, str) and (link := value.strip()).startswith(("http://", "https://")):
        return [ArchiveSource(url=as_name("source", link))]
    try:
        result = GivenResult.parse(value)
    except InvalidRequestError as error:
        raise error.replaced(message=f"source: {error.message}", advice=_ADVICE) from None
    if result is None:
        raise InvalidRequestError(
            "source: must be what a job operator returned, an http(s) URL, or a list of these, "
            + (_text_is(value) if isinstance(value, str) else f"got {type(value).__name__}"),
            advice=_ADVICE,
        )
    return sources_of(result, fetch)


def _text_is(value: str) -> str:
    """What a text is that is no link."""
    if not value.strip():
        return "and is empty"
    if is_text_of_result(value):
        return f"and is the text of a result or of a list: {OUTPUT_ADVICE}"
    return "and is a text without http:// or https://"


def _inline_pictures(result: GivenResult, fetch: FetchJob) -> tuple[bytes, ...]:
    if result.conn_id is None or result.kind is None:
        missing = [name for name in ("conn_id", "kind") if getattr(result, name) is None]
        raise InvalidRequestError(
            f"source: a result without a link needs {' and '.join(missing)} too",
            vendor=result.vendor,
            job_id=result.job_id,
            advice=_ADVICE,
        )
    job = fetch(result.vendor, result.conn_id, result.job_id, result.kind)
    if not job.inline:
        raise ArchiveError(
            "the job has neither a link nor an inline picture", vendor=job.vendor, job_id=job.job_id
        )
    return job.inline
