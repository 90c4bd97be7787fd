"""PiAPI: unified tasks, account, history and uploads, in points (10 million are about 1 USD)."""

from __future__ import annotations

from airflow_provider_faceswap.sandbox.server.registry import Vendor
from airflow_provider_faceswap.sandbox.vendors.piapi import account, api

VENDOR = Vendor(
    name="piapi",
    unit="point",
    funds=1_000_000_000.0,
    endpoints=[*api.ENDPOINTS, *account.ENDPOINTS],
    error=api.error,
    unknown_job=api.unknown_task,
    key_header="x-api-key",
    refunds=True,
    texts=api.TEXTS,
    hidden_error=api.hidden_error,
)
