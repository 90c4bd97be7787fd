"""Tengrai through an Airflow connection."""

from __future__ import annotations

from airflow_provider_faceswap.hooks.base import JobHook
from airflow_provider_faceswap.vendors.tengrai import Tengrai


class TengraiHook(JobHook):
    """Jobs at Tengrai; see :class:`~airflow_provider_faceswap.hooks.base.JobHook`."""

    vendor = Tengrai()
    conn_type = "tengrai"
    hook_name = "Tengrai"
    default_conn_name = "tengrai_default"
