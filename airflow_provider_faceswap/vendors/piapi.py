"""
PiAPI: face swap on pictures and videos, and every other task of the unified API.

Facts are from the vendor's pages (piapi.ai/docs), unless a comment names public clients.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_faceswap.jobs import Job, JobState
from airflow_provider_faceswap.vendors.base import Vendor
from airflow_provider_faceswap.vendors.capabilities import Generation
from airflow_provider_faceswap.vendors.kinds import Accepts, Kind, Timing
from airflow_provider_faceswap.vendors.messages import (
    Request,
    as_datetime,
    as_id,
    as_object,
    as_word,
    clean,
    path_segment,
)
from airflow_provider_faceswap.vendors.piapi_account import (
    BALANCES,
    CANCELLATION,
    CONCURRENCY_LIMIT,
    HISTORY,
    UPLOADS,
    describe_account,
)
from airflow_provider_faceswap.vendors.piapi_arguments import (
    MAX_BYTES,
    MAX_SIDE,
    PICTURES,
    FaceSwap,
    MultiFaceSwap,
    Task,
    VideoFaceSwap,
    inline_doubts,
)
from airflow_provider_faceswap.vendors.piapi_outputs import read_output
from airflow_provider_faceswap.vendors.piapi_replies import (
    error_text,
    error_texts,
    is_own_reply,
    no_task,
    read_cost,
    task_in,
)
from airflow_provider_faceswap.vendors.piapi_tables import STATES, WORDS
from airflow_provider_faceswap.vendors.words import texts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.vendors.messages import Reply

_PATH = "/api/v1/task"
_FAST = Timing(first=2, cap=20)
#: Documented for the toolkits and for Flux. Other models may keep their output for less time.
_RETENTION = timedelta(days=3)
#: Larger pictures are uploaded: the vendor was seen to refuse bodies of many megabytes (HTTP 413).
_INLINE = 4_000_000
_FACE = Accepts(
    formats=PICTURES,
    suffixes=(".jpg", ".jpeg", ".png", ".webp"),
    inline=_INLINE,
    max_bytes=MAX_BYTES,
    max_side=MAX_SIDE,
    fit_side=MAX_SIDE - 1,
    doubtful_side=MAX_SIDE,
)
_SWAP_MEDIA = {"target_image": _FACE, "face_image": _FACE}
#: The model and the task of a generated picture without one: the cheapest on the page of Flux.
_DEFAULT_MODEL, _DEFAULT_TASK = "Qubico/flux1-schnell", "txt2img"
#: Arguments of a task that are not part of its input.
_OF_TASK = {"service_mode", "webhook", "webhook_secret"}
#: The page says MP4 and 600 frames; the other limits are a public client's.
_VIDEO = Accepts(
    formats=frozenset({"video/mp4"}), doubtful_bytes=MAX_BYTES, doubtful_frames=600, doubtful_lines=720
)


def _generated(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A task of a model, with the prompt and all else in its input."""
    named = {"model": _DEFAULT_MODEL, "task_type": _DEFAULT_TASK} | {
        name: value for name, value in arguments.items() if value is not None
    }
    outer = {name: named.pop(name) for name in ("model", "task_type", *_OF_TASK) if name in named}
    return "task", {**outer, "input": named}


class PiAPI(Vendor):
    """PiAPI's API."""

    name = "piapi"
    default_base_url = "https://api.piapi.ai"
    cost_unit = "point"
    version_prefix = "/api/v1"
    not_found_grace = 30.0
    connection_arguments = ("service_mode", "webhook", "webhook_secret")
    history = HISTORY
    uploads = UPLOADS
    balances = BALANCES
    concurrency_limit = CONCURRENCY_LIMIT
    cancellation = CANCELLATION
    generation = Generation(_generated)
    states = STATES
    words = WORDS
    kinds: ClassVar[Mapping[str, Kind]] = {
        "face_swap": Kind(_PATH, FaceSwap, _FAST, _RETENTION, media=_SWAP_MEDIA),
        "multi_face_swap": Kind(_PATH, MultiFaceSwap, _FAST, _RETENTION, media=_SWAP_MEDIA),
        "video_face_swap": Kind(
            _PATH,
            VideoFaceSwap,
            Timing(first=10, cap=30),
            _RETENTION,
            media={"target_video": _VIDEO, "face_image": _FACE},
        ),
        "task": Kind(_PATH, Task, _FAST, _RETENTION),
    }

    def warnings(self, kind: str, request: Request) -> list[str]:
        """
        Pictures and videos at a limit that is not certain, and links without the suffix that the page asks for.

        A signed link may have none.
        """
        pictures = ((request.body or {}).get("input") or {}) if kind != "task" else {}
        # A picture that was read for the request may be inside it.
        inline = [] if request.doubts else inline_doubts(pictures).values()
        return [*request.doubts, *inline] + [
            f"the path of {name} does not end in jpg, jpeg, png or webp, and may be refused"
            for name in ("target_image", "swap_image")
            if str(pictures.get(name, "")).startswith("http") and _FACE.may_refuse(pictures[name])
        ]

    def fetch(self, kind: str, job_id: str) -> Request:  # noqa: ARG002 - one endpoint for all kinds
        """One endpoint for every kind."""
        return Request("GET", f"{_PATH}/{path_segment(job_id)}")

    def account(self, options: Mapping[str, Any]) -> Request:  # noqa: ARG002 - nothing to choose
        """The account, with balances and limit."""
        return Request("GET", "/account/info")

    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - nothing to set
        """The unified API accepts no bearer token."""
        return {"x-api-key": key}

    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """
        Read the task, whatever the HTTP status.

        A task can come back already failed, if the vendor could not download an input. This was once seen with a
        status other than 2xx.
        """
        task = task_in(reply)
        found_id = self.job_id_in(reply)
        if not found_id:
            raise no_task(reply, job_id)
        status = as_word(task.get("status") or "")
        state = self.state(status)
        urls, inline = read_output(kind, task.get("output")) if state is JobState.SUCCEEDED else ((), ())
        meta = as_object(task.get("meta"))
        failed = state is JobState.FAILED
        failure = error_text(reply.fields, task) if failed else ""
        texts = [*error_texts(reply.fields, task), *texts_in(task.get("logs"))] if failed else []
        if state is JobState.SUCCEEDED and not urls and not inline:
            keys = ", ".join(sorted(as_object(task.get("output")))) or "nothing"
            failure = clean(f"its output holds {keys}")
        return Job(
            vendor=self.name,
            kind=kind,
            job_id=found_id if job_id is None else job_id,
            state=state,
            status=status,
            urls=urls,
            inline=inline,
            cost=read_cost(meta.get("usage"), state),
            failure=failure or None,
            failure_reason=self.words.reason(texts),
            # Go's zero time means "not yet".
            created_at=as_datetime(meta.get("created_at")),
            finished_at=as_datetime(meta.get("ended_at")),
        )

    def job_id_in(self, reply: Reply) -> str:
        """The task's ``task_id``."""
        return as_id(task_in(reply).get("task_id"))

    def is_own_reply(self, reply: Reply) -> bool:
        """The envelope, or the plain text about an unknown task."""
        return is_own_reply(reply)

    def read_account(self, reply: Reply) -> str:
        """Name, plan, balances and limit."""
        return describe_account(reply)
