"""The gallery: a run's pictures inside Airflow's own UI, and as one file."""

#: The path of its pages below ``[api] base_url``. Without a slash at its ends, so that it can be relative.
GALLERY = "faceswap/gallery"
#: Key of the XCom in which a failed task leaves its error, for the gallery.
FAILURE_KEY = "faceswap_failure"
