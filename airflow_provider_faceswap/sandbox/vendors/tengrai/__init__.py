"""Tengrai: artworks, at one credit each."""

from __future__ import annotations

from airflow_provider_faceswap.sandbox.server.registry import Vendor
from airflow_provider_faceswap.sandbox.vendors.tengrai.api import (
    ENDPOINTS,
    NO_CREDITS,
    error,
    unknown_artwork,
)

VENDOR = Vendor(
    name="tengrai",
    unit="credit",
    funds=100_000.0,
    endpoints=ENDPOINTS,
    error=error,
    unknown_job=unknown_artwork,
    key_scheme="Bearer ",
    texts={"no_credits": NO_CREDITS},
)
