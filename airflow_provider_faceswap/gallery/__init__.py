"""The gallery: a run's pictures inside Airflow's own UI, and as one file."""

from airflow_provider_faceswap.gallery.approval import approval_body

__all__ = ["FAILURE_KEY", "GALLERY", "approval_body"]

#: The path of its pages below ``[api] base_url``. Without a slash at its ends, so that it can be relative.
GALLERY = "faceswap/gallery"
#: Key of the XCom in which a failed task leaves its error, for the gallery.
FAILURE_KEY = "faceswap_failure"
