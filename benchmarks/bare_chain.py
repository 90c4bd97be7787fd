"""
The limit for chains: generate, swap and download from one asyncio script that remembers nothing.

Usage: ``python bare_chain.py settings.json N``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bare import POLL, go, swap

if TYPE_CHECKING:
    import httpx


async def chain(client: httpx.AsyncClient, settings: dict[str, Any], number: int, pictures: Path) -> str:
    """Generate a picture, and put a face onto it."""
    key = {"Authorization": f"Bearer {settings['key']}"}
    request = {
        "prompt": f"portrait of person {number}",
        "imageUrl": settings["target"],
        "processingMode": "retake",
        "outputFormat": "png",
    }
    made = await client.post("/v2/artworks/selena-variete", json=request, headers=key)
    job_id = made.raise_for_status().json()["id"]
    while True:
        await asyncio.sleep(POLL)
        answer = await client.get(f"/v2/artworks/{job_id}", headers=key)
        job = answer.raise_for_status().json()
        if job["status"] == "succeeded":
            break
        if job["status"] in {"failed", "canceled"}:
            raise RuntimeError(job["status"])
    return await swap(client, {**settings, "target": job["results"][0]}, number, pictures)


if __name__ == "__main__":
    asyncio.run(go(chain, json.loads(Path(sys.argv[1]).read_text()), "chain_bare", int(sys.argv[2])))
