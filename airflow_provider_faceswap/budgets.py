"""Public: the import path of :class:`Budget`, a cap on what jobs may cost."""

from airflow_provider_faceswap.spending.budget import Budget

__all__ = ["Budget"]
