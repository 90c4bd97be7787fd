"""How large a picture may be, how long it may take to arrive, and which private hosts it may come from."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.http.limits import DOWNLOAD_LIMIT

#: Bytes; no larger picture is read or downloaded for an argument, unless a setting allows it.
MAX_BYTES = 64 * 1024 * 1024
#: Pixels; no larger picture is sent, whatever the vendor accepts. From here on Pillow warns of a decompression bomb.
MAX_PIXELS = 89_478_485
#: Pixels of a picture that is decoded here. A decoded copy takes 4 bytes for each, and there are at most two at a time.
MAX_DECODED_PIXELS = 32 * 1024 * 1024


def max_picture_bytes() -> int:
    """``[faceswap] max_picture_bytes``."""
    return int(conf.getint("faceswap", "max_picture_bytes", fallback=MAX_BYTES))


def max_decoded_pixels() -> int:
    """``[faceswap] max_decoded_pixels``."""
    return int(conf.getint("faceswap", "max_decoded_pixels", fallback=MAX_DECODED_PIXELS))


def max_transfer_seconds() -> float:
    """``[faceswap] max_transfer_seconds``."""
    return float(conf.getint("faceswap", "max_transfer_seconds", fallback=int(DOWNLOAD_LIMIT)))


def open_hosts() -> frozenset[str]:
    """The hosts of ``[faceswap] allowed_private_hosts``, in lower case."""
    hosts = conf.get("faceswap", "allowed_private_hosts", fallback="") or ""
    return frozenset(host.strip().lower() for host in hosts.split(",") if host.strip())
