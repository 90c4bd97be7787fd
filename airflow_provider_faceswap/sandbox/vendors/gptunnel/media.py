"""GPTunneL's media API: pictures from prompts, with failures inside HTTP 200."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, edited, encode, frame, resized
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.samples import draw_clip
from airflow_provider_faceswap.sandbox.drawing.sound import TONE_SECONDS, tone
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.jobs import FAILED
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.server.webhooks import Webhook
from airflow_provider_faceswap.sandbox.vendors.gptunnel.answers import (
    FORBIDDEN,
    WORDS,
    cause,
    new_id,
    ordered_failure,
    unknown_task,
)

if TYPE_CHECKING:
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.output import Output
    from airflow_provider_faceswap.sandbox.server.inputs import Inputs
    from airflow_provider_faceswap.sandbox.server.jobs import View

_KIND = "media"
_LIFETIME = 48 * 3600.0
_FIVE = ("1:1", "16:9", "9:16", "4:3", "3:4")
_SEVEN = (*_FIVE, "21:9", "9:21")
_RATIOS: dict[str, tuple[str, ...]] = {
    "gpt-image-1-low": _FIVE,
    "gpt-image-1-medium": _FIVE,
    "gpt-image-1-high": _FIVE,
    "seedream-3": _FIVE,
}
_VIDEO = ("glabs-veo-3-1-fast", "sora")
_AUDIO = ("suno", "suno-cover", "suno-edit", "suno-extend")
_MODELS = (
    "gpt-image-1-low",
    "gpt-image-1-medium",
    "gpt-image-1-high",
    "gpt-image-1",
    "gpt-image-1.5",
    "gpt-image-1.5-low",
    "google-imagen-3",
    "google-imagen-4",
    "flux-dev",
    "flux-kontext-max",
    "flux-ultra",
    "seedream-3",
    "imagine-3",
    "nano-banana",
    "nano-banana-2",
    "nano-banana-2-2k",
    "qwen-image",
    "grok-imagine",
    "yandex-art",
    *_VIDEO,
    *_AUDIO,
)
#: Roubles by the end of the model's name, and otherwise: the sandbox's own figures, no price list is published.
_PRICES, _PRICE = {"-low": 5.0, "-medium": 10.0, "-high": 25.0}, 10.0
_BAD_REQUEST, _MODERATION, _INTERNAL = 3, 1001, 1


def _issue(field: str, expected: str, message: str) -> dict[str, Any]:
    return {"path": [field], "expected": expected, "message": message}


def _quoted(words: tuple[str, ...]) -> str:
    return " | ".join(f'"{word}"' for word in words)


def _issues(body: dict[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with a create body; an empty one gets the list of all models."""
    issues = []
    model = body.get("model")
    if model not in _MODELS:
        issues.append(_issue("model", _quoted(_MODELS), "Invalid input"))
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        issues.append(_issue("prompt", "string", "Required" if prompt is None else "Invalid input"))
    ratio = body.get("ar")
    ratios = _RATIOS.get(str(model), _SEVEN)
    if ratio is not None and ratio not in ratios:
        issues.append(_issue("ar", _quoted(ratios), "Invalid input"))
    if body.get("callback_url") is not None and not isinstance(body["callback_url"], str):
        issues.append(_issue("callback_url", "string", "Invalid input"))
    images = body.get("images")
    if images is None:
        return issues
    if not isinstance(images, list) or not all(
        isinstance(link, str) and link.startswith(("http://", "https://")) for link in images
    ):
        issues.append(_issue("images", "array of links", "Images must be http(s) links"))
    elif model == "seedream-3" and len(images) != 1:
        issues.append(_issue("images", "array of exactly 1 link", "seedream-3 edits exactly one image"))
    elif model == "flux-dev" and images:
        issues.append(_issue("images", "nothing", "flux-dev takes no images"))
    return issues


def _refusal(code: int, message: str, issues: list[dict[str, Any]] | None = None) -> RefusedError:
    body: dict[str, Any] = {"code": code, "message": message}
    if issues is not None:
        body["issues"] = issues
    return RefusedError(JSONResponse(body))


def _drawn(inputs: Inputs, body: dict[str, Any]) -> list[Output]:
    """The file of a media job: a portrait, an edit of the first image, or a clip."""
    model, prompt, links = body["model"], body["prompt"], body.get("images") or []
    if model in _AUDIO:
        return [tone(prompt), encode(draw_portrait(prompt, 320, 320), "jpg")]
    if model in _VIDEO:
        return [draw_clip(prompt)]
    width, height = frame(body.get("ar") or "1:1")
    given = [decode(inputs.read(link)) for link in links]
    if not given:
        return [encode(draw_portrait(prompt, width, height), "webp")]
    result = edited(given[0], prompt)
    for number, reference in enumerate(given[1:4]):
        # Further images are context; small insets show that the sandbox has read them.
        side = max(16, min(result.shape[:2]) // 5)
        inset = resized(reference, side, side)
        left = number * (side + 8) + 8
        if left + side < result.shape[1]:
            result[-side - 8 : -8, left : left + side] = inset
    return [encode(result, "webp")]


def _task(view: View) -> dict[str, Any]:
    """The task object of create and result."""
    job = view.job
    return {
        "code": 0,
        "id": job.job_id,
        "model": job.request["model"],
        "prompt": job.request["prompt"],
        "created_at": int(job.created_at),
        "status": view.status(WORDS),
        "url": view.urls[0] if view.urls and job.request["model"] not in _AUDIO else None,
    }


def _song(view: View) -> dict[str, Any]:
    """The output of an audio model, which other models have in ``url``."""
    audio, cover = view.urls
    return {"status": "succeeded", "audio_url": audio, "image_url": cover, "duration": TONE_SECONDS}


def _final(view: View) -> dict[str, Any]:
    """The task object of result, which the webhook repeats."""
    task = _task(view)
    if view.urls:
        task["cost"] = view.job.price
        if view.job.request["model"] in _AUDIO:
            task["result"] = [_song(view)]
    if view.phase == FAILED:
        # Seen in practice: a failed task reports a code of its own in a response with HTTP 200.
        task |= {"code": _INTERNAL, **cause(view, "error", "message")}
    return task


async def _create(call: Call) -> Response:
    body = call.fields()
    issues = _issues(body)
    if issues:
        raise _refusal(_BAD_REQUEST, "Validation error", issues)
    if FORBIDDEN in body["prompt"]:
        raise _refusal(_MODERATION, "The request was refused by content moderation")
    price = next((cost for ending, cost in _PRICES.items() if body["model"].endswith(ending)), _PRICE)
    call.pay(price)
    inputs = call.inputs
    # Seen in practice: a first webhook says "running".
    webhook = Webhook(body.get("callback_url"), _final, progress="running")
    failure, facts = ordered_failure(call)
    view = call.accept(
        new_id(),
        _KIND,
        price,
        lambda: _drawn(inputs, body),
        body,
        lifetime=_LIFETIME,
        failure=failure,
        facts=facts,
        webhook=webhook,
    )
    return JSONResponse(_task(view))


async def _result(call: Call) -> Response:
    if call.argument("task_id") is None:
        raise _refusal(_BAD_REQUEST, "Validation error", [_issue("task_id", "string", "Required")])
    if call.job is None or call.job.kind != _KIND:
        raise RefusedError(unknown_task())
    return JSONResponse(_final(call.view(call.job)))


ENDPOINTS = [
    Endpoint("/v1/media/create", "POST", "create", _create, kind=_KIND),
    Endpoint("/v1/media/result", "POST", "fetch", _result, job="task_id"),
    Endpoint("/v1/media/result", "GET", "fetch", _result, job="task_id"),
]
