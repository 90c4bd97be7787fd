"""GPTunneL through an Airflow connection."""

from __future__ import annotations

from airflow_provider_faceswap.hooks.base import JobHook
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel


class GPTunnelHook(JobHook):
    """Jobs at GPTunneL; see :class:`~airflow_provider_faceswap.hooks.base.JobHook`."""

    vendor = GPTunnel()
    conn_type = "gptunnel"
    hook_name = "GPTunneL"
    default_conn_name = "gptunnel_default"
