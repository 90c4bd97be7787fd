"""PiAPI: unified tasks, account, history and uploads, in points (10 million are about 1 USD)."""

from __future__ import annotations

from airflow_provider_faceswap.sandbox.server.registry import Vendor
from airflow_provider_faceswap.sandbox.vendors.piapi.api import ENDPOINTS, error, unknown_task

VENDOR = Vendor(
    name="piapi",
    unit="point",
    funds=1_000_000_000.0,
    endpoints=ENDPOINTS,
    error=error,
    unknown_job=unknown_task,
    key_header="x-api-key",
    refunds=True,
)
