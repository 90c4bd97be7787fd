"""PiAPI through an Airflow connection."""

from __future__ import annotations

from airflow_provider_faceswap.hooks.base import JobHook
from airflow_provider_faceswap.vendors.piapi import PiAPI


class PiAPIHook(JobHook):
    """Jobs at PiAPI; see :class:`~airflow_provider_faceswap.hooks.base.JobHook`."""

    vendor = PiAPI()
    conn_type = "piapi"
    hook_name = "PiAPI"
    default_conn_name = "piapi_default"
