"""
The limit: the same swaps from one asyncio script, with nothing that remembers, retries or shows anything.

Usage: ``python bare.py settings.json N``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: Seconds between two questions.
POLL = 1.0


async def swap(client: httpx.AsyncClient, settings: dict[str, Any], number: int, pictures: Path) -> str:
    """Submit, ask every second, download; one line that tells when the result was in hand."""
    key = {"Authorization": settings["key"]}
    request = {"sourceImage": settings["target"], "faceImage": f"{settings['face']}&n={number}"}
    made = await client.post("/v1/faceswap/create", json=request, headers=key)
    job_id = made.raise_for_status().json()["id"]
    while True:
        await asyncio.sleep(POLL)
        answer = await client.get("/v1/faceswap/result", params={"taskId": job_id}, headers=key)
        job = answer.raise_for_status().json()
        if job["status"] == "done":
            break
        if job["status"] == "failed":
            raise RuntimeError(job["error"])
    seen = json.dumps({"job_id": job_id, "at": time.time()})
    picture = (await client.get(job["result"])).raise_for_status().content
    (pictures / f"{job_id}.png").write_bytes(picture)
    return seen


async def go(
    work: Callable[[httpx.AsyncClient, dict[str, Any], int, Path], Awaitable[str]],
    settings: dict[str, Any],
    row: str,
    size: int,
) -> None:
    """Do the work of all items, so many at once."""
    name = f"{row}_{size}"
    pictures = Path(settings["home"]) / "pictures" / name
    pictures.mkdir(parents=True)
    at_once = asyncio.Semaphore(settings["concurrency"])
    # A connection that is kept for as long as the server keeps it may be closed just when it is used again.
    limits = httpx.Limits(max_connections=settings["concurrency"], keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=settings["url"], timeout=60, limits=limits) as client:

        async def one(number: int) -> str:
            async with at_once:
                return await work(client, settings, number, pictures)

        seen = await asyncio.gather(*(one(number) for number in range(size)))
    (Path(settings["home"]) / "seen" / f"{name}.jsonl").write_text("\n".join(seen) + "\n")


if __name__ == "__main__":
    asyncio.run(go(swap, json.loads(Path(sys.argv[1]).read_text()), "bare", int(sys.argv[2])))
