"""The requests of Tengrai's create paths, and the complaints of a strict validator."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: Largest input and drawn picture of most artworks, in pixels (1216 x 1216).
MOST_PIXELS = 1_478_656
_MOST_PIXELS_HIGH = 1_763_584


@dataclass(frozen=True)
class Field:
    """One field of a request.

    :param kind: ``url``, ``webhook``, ``text``, ``flag``, ``whole``, ``number`` or ``object``.
    :param default: what the artwork's parameters show when it is left out; ``None`` shows nothing.
    :param low: smallest number.
    :param high: largest number, or most words of a text.
    :param choices: the only values, for a text.
    """

    kind: str
    required: bool = False
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def complaints(self, name: str, value: object) -> list[str]:
        """What is wrong with a given value, in the words of NestJS's validator."""
        if self.choices and value not in self.choices:
            return [f"{name} must be one of the following values: {', '.join(self.choices)}"]
        if self.kind in ("url", "webhook"):
            return _about_link(name, value, public=self.kind == "webhook")
        if self.kind == "text":
            return self._about_text(name, value)
        if self.kind == "flag":
            return [] if isinstance(value, bool) else [f"{name} must be a boolean value"]
        if self.kind == "object":
            return [] if isinstance(value, dict) else [f"{name} must be an object"]
        return self._about_number(name, value)

    def _about_text(self, name: str, value: object) -> list[str]:
        if not isinstance(value, str):
            return [f"{name} must be a string"]
        if self.high is not None and len(value.split()) > self.high:
            return [f"{name} must not be longer than {self.high:g} words"]
        return []

    def _about_number(self, name: str, value: object) -> list[str]:
        complaints = []
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if self.kind == "whole" and not (isinstance(number, int)):
            complaints.append(f"{name} must be an integer number")
        elif number is None:
            complaints.append(f"{name} must be a number")
        if self.low is not None and (number is None or number < self.low):
            complaints.append(f"{name} must not be less than {self.low:g}")
        if self.high is not None and (number is None or number > self.high):
            complaints.append(f"{name} must not be greater than {int(self.high)}")
        return complaints


def _about_link(name: str, value: object, *, public: bool) -> list[str]:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        host = parts.hostname if parts else None
    except ValueError:
        parts = host = None
    if parts is None or not host or parts.scheme not in ("http", "https"):
        return [f"{name} must be a URL address"]
    if public and (parts.scheme != "https" or not _public(host)):
        return [f"{name} must be a publicly routable HTTPS URL"]
    return []


def _public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))


def _choice(listed: str, default: str | None = None) -> Field:
    """A text that is one of the words listed."""
    return Field("text", default=default, choices=tuple(listed.split()))


_WEBHOOK = Field("webhook")
_SEED = Field("whole", low=1, high=2_147_483_647)
_FORMAT = _choice("auto png webp")
_IMAGE = Field("url", required=True)
_FIVE = Field("whole", default=3, low=1, high=5)
_MODE = _choice("seer servitor", "servitor")
_SIDE = Field("whole", low=512, high=2048)
_FLAG = Field("flag")
_MODEL = _choice(
    "tengrai-20231128-m-d.safetensors tengrai-20240423-m-f.safetensors", "tengrai-20231128-m-d.safetensors"
)
_STYLES = (
    "default portraiture landscape photographer analog car food horror stained-glass impasto "
    "abstract-ink illustration aquarelle water-cute sphericute fairytale machinart isometric logo "
    "abstractpen lineart manga infiny-weave infiny-pattern infiny-flow"
)
_HAMILTON_STYLES = (
    "default stained-glass line-drawing simple-sketch hand-sketch coloring-book plasticine photographer "
    "analog abstract-flat surreal manga"
)
_COMMON = {"webhook": _WEBHOOK, "seed": _SEED, "outputFormat": _FORMAT}


_DRAWN = {
    "prompt": Field("text", default="cat", high=256),
    "negativePrompt": Field("text", high=64),
    "nsfw": Field("flag", default=False),
    "width": _SIDE,
    "height": _SIDE,
    "promptMode": _MODE,
    **_COMMON,
}
_SELENA = {
    **_DRAWN,
    "model": _MODEL,
    "batch": Field("whole", default=2, low=1, high=2),
    "style": _choice(_STYLES, "default"),
    "creativity": _FIVE,
    "details": _FIVE,
    "aspectRatio": _choice("1:1 7:9 2:3 4:7 9:16 9:21 9:7 3:2 7:4 16:9 21:9"),
}
_HAMILTON = {
    **_DRAWN,
    "style": _choice(_HAMILTON_STYLES, "default"),
    "creativity": _FIVE,
    "effort": _FIVE,
    "aspectRatio": _choice("1:1 2:3 3:4 4:3 9:16 3:2 16:9"),
    "transparentBackground": _FLAG,
    "highResolution": _FLAG,
}

#: Path below ``/v2/artworks/`` -> (artworkType, fields by name).
REQUESTS: dict[str, tuple[str, dict[str, Field]]] = {
    "face-swap": (
        "face_swap",
        {"sourceImage": _IMAGE, "targetImage": _IMAGE, "denoising": _FIVE, **_COMMON},
    ),
    "selena": ("selena", _SELENA),
    "selena-variete": (
        "selena_variete",
        {
            **_SELENA,
            "imageUrl": _IMAGE,
            "processingMode": _choice("sketch-to-image reimagine 3d ai-rchitect human-pose retake"),
            "denoising": _FIVE,
        },
    ),
    "quantum": (
        "quantum",
        {
            **_DRAWN,
            "prompt": Field("text", default="cat", high=200),
            "style": _choice(f"{_STYLES} tengrai-anime folktale", "default"),
            "aspectRatio": _choice("1:1 9:16 2:3 3:4 16:9 3:2 4:3"),
            "width": Field("whole", low=512, high=1360),
            "height": Field("whole", low=512, high=1360),
            "transparentBackground": _FLAG,
        },
    ),
    "hamilton": ("hamilton", _HAMILTON),
    "photo-pilot": (
        "photo_pilot",
        {
            **{name: field for name, field in _HAMILTON.items() if name not in ("style", "promptMode")},
            "imageUrl": _IMAGE,
            "imageGuidance": Field("whole", required=True, low=1, high=3),
            "modification": Field("whole", required=True, low=1, high=5),
            "creativity": Field("whole", required=True, low=1, high=5),
            "effort": Field("whole", required=True, low=1, high=5),
        },
    ),
    "face-refiner": ("face_refiner", {"imageUrl": _IMAGE, "model": _MODEL, "denoising": _FIVE, **_COMMON}),
    "upscaling": (
        # The artwork's type is not the path's name.
        "upscaling_v2",
        {"imageUrl": _IMAGE, "scaleFactor": Field("whole", default=2, low=2, high=8), **_COMMON},
    ),
    "detailer-upscaler": (
        "detailer_upscaler",
        {
            "imageUrl": _IMAGE,
            "scaleFactor": Field("whole", default=2, low=1, high=8),
            "details": Field("whole", default=2, low=1, high=3),
            "modification": Field("whole", default=2, low=1, high=3),
            **_COMMON,
        },
    ),
    "remove-background": (
        "remove_background",
        {"imageUrl": _IMAGE, "outputFormat": _FORMAT, "webhook": _WEBHOOK},
    ),
    "segmentation": (
        "segmentation",
        {
            "imageUrl": _IMAGE,
            "method": Field("text", required=True, choices=("text", "points")),
            "textPrompt": Field("text"),
            "textConfidence": Field("number", default=0.2, high=1),
            "textMaxDetections": Field("whole", default=-1, low=-1, high=100),
            "textCombineMasks": Field("flag", default=True),
            "pointsPositive": Field("object"),
            "pointsNegative": Field("object"),
            "maskExpand": Field("whole", default=0, low=-16384, high=16384),
            "maskTaperedCorners": _FLAG,
            "maskBlurSigma": Field("number", default=0.1, low=0.1, high=100),
            "maskKernelSize": Field("whole", default=0, high=100),
            "webhook": _WEBHOOK,
        },
    ),
    "depth-map": (
        "depth_map",
        {
            "imageUrl": _IMAGE,
            "invertDepth": Field("flag", default=False),
            "resolutionLowerLimit": Field("whole", default=1024, low=256, high=2048),
            "usePostResize": _FLAG,
            "useVersion3": _FLAG,
            "model": _choice("large"),
            "normalizationMode": _choice("Standard V2-Style Raw"),
            "webhook": _WEBHOOK,
        },
    ),
}
_STYLE_DNA = {
    "aspectRatio": _choice("1:1 7:9 2:3 4:7 9:16 9:21 9:7 3:2 7:4 16:9 21:9"),
    "width": _SIDE,
    "height": _SIDE,
    "imageFormat": _choice("png webp", "png"),
    "webhook": _WEBHOOK,
}
#: Path below ``/v2/style-dna/`` -> (artworkType, fields by name). The types and the names of the fields of an anchor
#: are guesses: the page says only that it takes a reference image.
STYLE_DNA: dict[str, tuple[str, dict[str, Field]]] = {
    "generate-anchor": (
        "style_dna_anchor",
        {"prompt": Field("text"), "description": Field("text"), "imageUrl": Field("url"), **_STYLE_DNA},
    ),
    "generate": (
        "style_dna",
        {
            "visualPrompt": Field("text", required=True),
            "anchorImageUrl": _IMAGE,
            "description": Field("text", required=True),
            **_STYLE_DNA,
        },
    ),
}


def checked(body: object, fields: dict[str, Field]) -> tuple[dict[str, Any], list[str]]:
    """The parameters of a request with defaults, and what is wrong with it.

    :param body: the decoded JSON body.
    :param fields: what the path accepts; everything else is refused, as a whitelisting validator does.
    """
    if not isinstance(body, dict):
        return {}, ["the request body must be a JSON object"]
    complaints = [f"property {name} should not exist" for name in body if name not in fields]
    parameters = {}
    for name, field in fields.items():
        value = body.get(name)
        if value is not None or field.required:
            complaints += field.complaints(name, value)
        elif field.default is not None:
            value = field.default
        if value is not None:
            parameters[name] = value
    if not complaints and {"width", "height"} <= parameters.keys():
        most = _MOST_PIXELS_HIGH if parameters.get("highResolution") else MOST_PIXELS
        if parameters["width"] * parameters["height"] > most:
            complaints.append(f"width * height must not be greater than {most}")
    return parameters, complaints
