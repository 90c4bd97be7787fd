"""GPTunneL's media API: pictures from prompts, with failures inside HTTP 200."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, edited, encode, frame, resized
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.samples import draw_clip
from airflow_provider_faceswap.sandbox.output import JobFailedError, Output
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError, View
from airflow_provider_faceswap.sandbox.server.inputs import Inputs
from airflow_provider_faceswap.sandbox.server.state import FAILED
from airflow_provider_faceswap.sandbox.vendors.gptunnel import (
    UNIT,
    WORDS,
    GPTunneL,
    envelope,
    job_kind,
    new_id,
    pay,
)

if TYPE_CHECKING:
    from starlette.responses import Response

LIFETIME = 48 * 3600.0
FORBIDDEN = "forbidden-content"
"""A prompt with this in it is refused by the pretended moderation."""

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
MODELS = (
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
    "seedream-4",
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
_PRICES = {"-low": 5.0, "-medium": 10.0, "-high": 25.0}
_BAD_REQUEST, _MODERATION, _INTERNAL = 3, 1001, 1


def price(model: str) -> float:
    """Roubles for one job: the sandbox's own figures, no price list is published."""
    return next((cost for ending, cost in _PRICES.items() if model.endswith(ending)), 10.0)


def _issue(field: str, expected: str, message: str) -> dict[str, Any]:
    return {"path": [field], "expected": expected, "message": message}


def _quoted(words: tuple[str, ...]) -> str:
    return " | ".join(f'"{word}"' for word in words)


def _issues(body: dict[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with a create body; an empty one is told every model id."""
    issues = []
    model = body.get("model")
    if model not in MODELS:
        issues.append(_issue("model", _quoted(MODELS), "Invalid input"))
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        issues.append(_issue("prompt", "string", "Required" if prompt is None else "Invalid input"))
    ratio = body.get("ar")
    ratios = _RATIOS.get(str(model), _SEVEN)
    if ratio is not None and ratio not in ratios:
        issues.append(_issue("ar", _quoted(ratios), "Invalid input"))
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


def _painted(inputs: Inputs, body: dict[str, Any]) -> list[Output]:
    """The file of a media job: a portrait, an edit of the first image, or a clip."""
    model, prompt, links = body["model"], body["prompt"], body.get("images") or []
    if model in _AUDIO:
        raise JobFailedError("the sandbox makes no music")
    if model in _VIDEO:
        return [draw_clip(prompt)]
    width, height = frame(body.get("ar") or "1:1")
    given = [decode(inputs.read(link)) for link in links]
    if not given:
        return [encode(draw_portrait(prompt, width, height), "webp")]
    result = edited(given[0], prompt)
    for number, reference in enumerate(given[1:4]):
        # Further images are context; the sandbox shows that it has read them by small insets.
        side = max(16, min(result.shape[:2]) // 5)
        inset = resized(reference, side, side)
        left = number * (side + 8) + 8
        if left + side < result.shape[1]:
            result[-side - 8 : -8, left : left + side] = inset
    return [encode(result, "webp")]


async def _create(call: Call) -> Response:
    body = call.fields()
    issues = _issues(body)
    if issues:
        raise _refusal(_BAD_REQUEST, "Validation error", issues)
    if FORBIDDEN in body["prompt"]:
        raise _refusal(_MODERATION, "The request was refused by content moderation")
    cost = price(body["model"])
    pay(call, cost)
    inputs = Inputs(call.sandbox, call.base_url)
    job = call.sandbox.accept(
        new_id(),
        GPTunneL.name,
        "media",
        amount=cost,
        unit=UNIT,
        paint=lambda: _painted(inputs, body),
        request=body,
        base_url=call.base_url,
        lifetime=LIFETIME,
        failure=call.planted_failure(),
        facts={"cost": cost},
    )
    return JSONResponse(
        {
            "code": 0,
            "id": job.id,
            "model": body["model"],
            "prompt": body["prompt"],
            "created_at": int(job.created_at),
            "status": "idle",
            "url": None,
        }
    )


async def _result(call: Call) -> Response:
    task = call.request.query_params.get("task_id") or call.fields().get("task_id")
    if not isinstance(task, str) or not task:
        raise _refusal(_BAD_REQUEST, "Validation error", [_issue("task_id", "string", "Required")])
    job = call.sandbox.find(GPTunneL.name, task)
    if job is None or job.kind != "media":
        raise RefusedError(envelope(400, "Task not found"))
    view = View.of(call)
    phase = view.phase(job)
    urls = view.urls(job)
    answer: dict[str, Any] = {
        "code": 0,
        "id": job.id,
        "model": job.request["model"],
        "prompt": job.request["prompt"],
        "created_at": int(job.created_at),
        "status": view.word or WORDS[phase],
        "url": urls[0] if urls else None,
    }
    if urls:
        answer["cost"] = job.facts["cost"]
    if phase == FAILED:
        # Seen in the wild: a failed task reports a code of its own in an answer with HTTP 200.
        answer |= {"code": _INTERNAL, "error": job.failure_text(), "message": job.failure_text()}
    return JSONResponse(answer)


def endpoints() -> list[Endpoint]:
    """The paths of this file."""
    return [
        Endpoint("/v1/media/create", "POST", "create", _create, lambda _: "media"),
        Endpoint("/v1/media/result", "POST", "fetch", _result, job_kind("task_id")),
        Endpoint("/v1/media/result", "GET", "fetch", _result, job_kind("task_id")),
    ]
