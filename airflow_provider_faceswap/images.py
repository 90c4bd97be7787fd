"""The public import path of :class:`Image`, for pictures as arguments."""

from airflow_provider_faceswap.media.image import Image

__all__ = ["Image"]
