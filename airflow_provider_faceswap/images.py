"""Images as arguments: the public address of :class:`Image`."""

from airflow_provider_faceswap.media.image import Image

__all__ = ["Image"]
