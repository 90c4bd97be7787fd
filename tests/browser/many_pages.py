"""Pages that a process of their own opens at once, so that opening them takes no time from who measures the server."""

from __future__ import annotations

import asyncio

import httpx


def open_pages(address: str, cookies: dict[str, str], number: int) -> list[tuple[int, str]]:
    """
    Open a page several times.

    :param number: How many times; 0 only loads what this needs.
    :returns: The status and the text of each.
    """

    async def opened() -> list[tuple[int, str]]:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(cookies=cookies, timeout=90, limits=limits) as client:
            pages = await asyncio.gather(*(client.get(address) for _ in range(number)))
        return [(page.status_code, page.text) for page in pages]

    return asyncio.run(opened())
