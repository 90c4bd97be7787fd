"""
PiAPI's words and output shapes, in one place.

Each table says where its entries are from: the vendor's pages (piapi.ai/docs), or public clients and what they have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.vendors.phrases import Meaning
from airflow_provider_faceswap.vendors.words import SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Status words. The schema writes them with capitals, every sample in lower case. The pages have the first of each
#: state, ``staged``, and ``processing`` for running; public clients have seen the others, and lists say ``finished``.
STATES: Mapping[str, JobState] = {
    "pending": JobState.QUEUED,
    "staged": JobState.QUEUED,
    "queued": JobState.QUEUED,
    "starting": JobState.QUEUED,
    "created": JobState.QUEUED,
    "completed": JobState.SUCCEEDED,
    "complete": JobState.SUCCEEDED,
    "success": JobState.SUCCEEDED,
    "succeeded": JobState.SUCCEEDED,
    "finished": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "failure": JobState.FAILED,
    "error": JobState.FAILED,
    "cancelled": JobState.CANCELED,
    "canceled": JobState.CANCELED,
}

#: Words of refusals and failures, besides the shared ones; public clients have seen them. The vendor's own table was not
#: available.
WORDS = SHARED.adding(
    {
        Meaning.BUSY: ("concurren",),
        Meaning.NO_BALANCE: ("freeze .. credit|point|quota",),
        Meaning.BAD_INPUT: ("failed to get valid",),
    }
)

#: Keys of the output of the kinds that this package names, in this order; pages and public clients.
OUTPUTS = ("video_url", "video", "image_url", "image_urls", "images", "temporary_image_urls")
#: Keys that are read if none of those has a link; public clients.
OTHER_OUTPUTS = ("image", "output_url", "url", "result")

#: In the output of any other task every link counts, at any depth. These keys come first. Midjourney's four single
#: pictures come before the grid that shows all of them.
FIRST_OUTPUTS = ("video_url", "video", "temporary_image_urls", "image_url", "image_urls", "images")
#: A link below a key with one of these words is left out if there is any other: it shows a part of the result, an
#: earlier stage of it, or something else.
LESSER_WORDS = frozenset(
    """
    preview previews cover covers thumbnail thumbnails thumb thumbs poster posters intermediate progress
    placeholder discord input inputs webhook callback endpoint share page
    """.split()  # noqa: SIM905 - a list with one word a line is not read in a minute
)
