"""
Parts of GPTunneL's replies.

Facts are from public clients, unless a comment names the vendor's pages: these show successes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    VendorError,
)
from airflow_provider_faceswap.jobs import FailureReason, JobState
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    as_number,
    as_object,
    as_word,
    clean,
    links_in,
)
from airflow_provider_faceswap.vendors.phrases import Meaning
from airflow_provider_faceswap.vendors.refusals import class_by_words, malformed, refusal
from airflow_provider_faceswap.vendors.words import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Status words. The pages show ``idle`` and ``done`` only.
STATES: dict[str, JobState] = {
    "idle": JobState.QUEUED,
    "processing": JobState.RUNNING,
    "running": JobState.RUNNING,
    "done": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "error": JobState.FAILED,
    "canceled": JobState.CANCELED,
    "cancelled": JobState.CANCELED,
}

#: ``error.type`` of a refusal, from the vendor's pages.
ERROR_TYPES: dict[str, type[VendorError]] = {
    "invalid_request_error": InvalidRequestError,
    "unauthorized_request_error": AuthenticationError,
    "insufficient_balance_error": InsufficientBalanceError,
}

#: The media API's code of a success, from the vendor's pages.
MEDIA_OK = 0
#: The media API's codes of a failure in an HTTP 200: the error of a refused request, and the reason of a failed job. Any
#: other code is a fault of the vendor.
MEDIA_CODES: dict[int, tuple[type[VendorError], FailureReason]] = {
    3: (InvalidRequestError, FailureReason.BAD_INPUT),
    1001: (ContentRefusedError, FailureReason.CONTENT_REFUSED),
}

#: Words of refusals and failures, besides the shared ones. The vendor is Russian; these are assumed.
WORDS = SHARED.adding(
    {
        Meaning.BUSY: ("слишком много запросов|задач", "превышен .. лимит запросов|задач"),
        Meaning.PASSING: ("временно недоступ", "попробуйте .. позже", "внутренняя ошибка"),
        Meaning.NO_BALANCE: ("недостаточно .. средств|баланс|денег", "пополните .. баланс|счет|счёт"),
        Meaning.CONTENT_REFUSED: (
            "модерац",
            "запрещенн|запрещённ",
            "недопустим* .. контент|содержан",
            "нарушает .. правил",
        ),
        Meaning.NO_FACE: (
            "лицо|лица не найден|обнаружен|распознан",
            "не найдено|обнаружено|удалось .. лицо|лица|лиц",
            "нет .. лица|лиц",
        ),
    }
)

#: Keys of an output of the media API in their order. Covers come last: ``image_url`` beside an ``audio_url`` is one.
_LINK_KEYS = ("url", "audio_url", "video_url", "image_url")

#: Assumed: one of these is in the text about an unknown task.
_LOST_WORDS = ("task", "not found", "задач", "не найден")


def media_code(body: Mapping[str, Any]) -> int | None:
    """The media API's ``code``, also if it is a text; ``None`` if there is none."""
    code = as_number(body.get("code"))
    return None if code is None else int(code)


def media_links(body: Mapping[str, Any]) -> tuple[str, ...]:
    """
    The links of a media reply, the covers last.

    ``url`` has one link. ``result`` has one link, or objects with a link for each file: two songs, each with its cover.
    """
    outputs = [body.get("url"), *_outputs(body.get("result"))]
    objects = [output for output in outputs if isinstance(output, dict)]
    found = links_in(
        [output for output in outputs if isinstance(output, str)],
        *([output.get(key) for output in objects] for key in _LINK_KEYS),
    )
    return found or links_in(*(list(output.values()) for output in objects))


def _outputs(result: Any) -> Iterator[Any]:
    yield from result if isinstance(result, list) else [result]


def error_text(body: Mapping[str, Any]) -> str:
    """The failure text: ``error``, ``error.message``, ``message``, and the issues of the request's schema."""
    error = body.get("error")
    texts = [error if isinstance(error, str) else as_object(error).get("message"), body.get("message")]
    issues = body.get("issues")
    for issue in issues if isinstance(issues, list) else ():
        if isinstance(issue, dict):
            path = issue.get("path")
            where = ".".join(str(part) for part in path) if isinstance(path, list) else str(path or "")
            texts.append(f"{where}: {issue.get('message') or ''} (expected {issue.get('expected')})")
    return clean("; ".join(dict.fromkeys(str(text) for text in texts if text)))


def is_lost(text: str) -> bool:
    """Whether the text of a 400 says that the task is unknown. A 400 may also be about the request."""
    folded = text.casefold()
    return "required property" not in folded and any(word in folded for word in _LOST_WORDS)


def is_own_reply(reply: Reply) -> bool:
    """
    Whether a reply without a job is GPTunneL's: it has an error with message and type, or the media API's code.

    The page's sample of a 401 is not valid JSON, so its type counts in the text, too. No page shows the type of a 403.
    """
    error = as_object(reply.fields.get("error"))
    if reply.ok and media_code(reply.fields) is not None:
        return True
    if isinstance(error.get("message"), str):
        return isinstance(error.get("type"), str) or reply.status_code in {401, 402, 403}
    return reply.body is None and any(f'"{word}"' in reply.text for word in ERROR_TYPES)


def no_result(reply: Reply, what: str, job_id: str | None = None) -> VendorError:
    """
    The error for a reply without its result. An HTTP 200 may carry an error, too.

    :param what: What the reply should hold.
    """
    error_type = as_word(as_object(reply.fields.get("error")).get("type"))
    text = error_text(reply.fields)
    if not reply.ok:
        return refusal("gptunnel", reply, text or reply.text, code=error_type, job_id=job_id, words=WORDS)
    if error_type in ERROR_TYPES:
        return ERROR_TYPES[error_type](
            text or "refused without a reason",
            vendor="gptunnel",
            status_code=reply.status_code,
            code=error_type,
            job_id=job_id,
        )
    return malformed("gptunnel", reply, f"the reply has no {what}", job_id=job_id)


def refused_by_code(reply: Reply, job_id: str | None) -> VendorError | None:
    """
    The error for a media reply without a job and with a code other than 0; ``None`` for any other reply.

    The words of the reply count if the code says nothing and no job was polled.
    """
    code = media_code(reply.fields)
    if not reply.ok or code is None or code == MEDIA_OK:
        return None
    text = error_text(reply.fields)
    error: type[VendorError] = VendorError
    if code in MEDIA_CODES:
        error, _ = MEDIA_CODES[code]
    elif job_id is None:
        error = class_by_words(WORDS.meaning([text])) or VendorError
    return error(
        text or f"code={code} status={as_word(reply.fields.get('status'))}",
        vendor="gptunnel",
        status_code=reply.status_code,
        code=str(code),
        job_id=job_id,
    )
