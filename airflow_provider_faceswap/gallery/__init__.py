"""The gallery: a run's pictures inside Airflow's own UI, and as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_faceswap.gallery.approval import approval_body

__all__ = ["FAILURE_KEY", "GALLERY", "approval_body"]

#: The path of its pages below ``[api] base_url``. Without a slash at its ends, so that it can be relative.
GALLERY = "faceswap/gallery"
#: Key of the XCom in which a failed task leaves its error, for the gallery.
FAILURE_KEY = "faceswap_failure"


def __getattr__(name: str) -> Any:
    """Import what only a Dag needs when it is asked for: the plugin is loaded in processes that have no use for it."""
    if name == "approval_body":
        from airflow_provider_faceswap.gallery.approval import approval_body

        return approval_body
    raise AttributeError(name)
