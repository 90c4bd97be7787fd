"""What a vendor sells: a kind of job, how long it takes, and which pictures it accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from airflow_provider_faceswap.vendors.arguments import Arguments


@dataclass(frozen=True, slots=True)
class Timing:
    """
    How long a kind of job takes, which decides when to poll.

    :param first: Seconds before the first poll: near the shortest time this kind is known to take.
    :param cap: Maximum seconds between two polls.
    """

    first: float
    cap: float


@dataclass(frozen=True, slots=True)
class Accepts:
    """
    Which pictures or videos a vendor accepts for an argument, and how they may be sent.

    :param formats: Media types; empty if the vendor does not say.
    :param link: Whether a link is accepted.
    :param suffixes: With which of these a link's path should end; a link without one may be refused.
    :param inline: Maximum number of bytes that may be sent in the request as a ``data:`` URI; 0 for none.
    :param max_bytes: Maximum number of bytes of a file, ``None`` if the vendor does not say.
    :param max_side: Maximum number of pixels of a side, ``None`` if the vendor does not say.
    :param any_file: Whether it may be something else than a picture or a video, such as a sound.
    :param fit_side: The pixels to which a side is shrunk, if not ``max_side``.
    :param doubtful_side: A side of at least so many pixels may be refused; a warning, as for the others below.
    :param doubtful_bytes: More bytes may be refused.
    :param doubtful_frames: More frames of a video may be refused.
    :param doubtful_lines: A video with more lines, such as 720, may be refused.
    """

    formats: frozenset[str] = frozenset()
    link: bool = True
    suffixes: tuple[str, ...] = ()
    inline: int = 0
    max_bytes: int | None = None
    max_side: int | None = None
    fit_side: int | None = None
    doubtful_side: int | None = None
    doubtful_bytes: int | None = None
    doubtful_frames: int | None = None
    doubtful_lines: int | None = None
    any_file: bool = False

    def may_refuse(self, link: str) -> bool:
        """Whether a link lacks the suffix that it should have, as a signed link may."""
        return bool(self.suffixes) and not urlsplit(link).path.lower().endswith(self.suffixes)


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of job that a vendor sells.

    :param path: Path of the request that submits it.
    :param family: The vendor's own grouping, if endpoints or replies differ by it.
    :param retention: How long the vendor keeps the output, ``None`` if it does not say.
    :param media: Which arguments are pictures or videos, and what is accepted for each.
    :param polled: Whether the vendor has a route that polls such a job. If not, the reply to the submission is the
        only one that ever has its output.
    """

    path: str
    arguments: type[Arguments]
    timing: Timing
    retention: timedelta | None
    family: str = ""
    media: Mapping[str, Accepts] = field(default_factory=dict)
    polled: bool = True
