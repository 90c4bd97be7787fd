"""GPTunneL: face swaps, both routes of the media API, the Midjourney API and the balance, in roubles."""

from __future__ import annotations

from airflow_provider_faceswap.sandbox.server.registry import Vendor
from airflow_provider_faceswap.sandbox.vendors.gptunnel import face_swap, generate, media, midjourney
from airflow_provider_faceswap.sandbox.vendors.gptunnel.answers import error, unknown_task

VENDOR = Vendor(
    name="gptunnel",
    unit="RUB",
    funds=100_000.0,
    endpoints=[*face_swap.ENDPOINTS, *media.ENDPOINTS, *generate.ENDPOINTS, *midjourney.ENDPOINTS],
    error=error,
    unknown_job=unknown_task,
    keyless_routes=midjourney.picture_routes,
)
