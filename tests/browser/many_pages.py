"""
What processes of their own ask a server, and how long that takes.

Opening pages takes no time from who measures then. Nor does the collection of garbage, which in the process of thousands of
tests takes most of a second.
"""

from __future__ import annotations

import asyncio
import time

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


def slowest_request(address: str, cookies: dict[str, str], number: int) -> float:
    """
    Ask for something again and again, five times a second.

    :param number: How many times.
    :returns: The seconds that the slowest answer took.
    """
    seconds = []
    with httpx.Client(cookies=cookies, timeout=90) as client:
        for _ in range(number):
            begun = time.perf_counter()
            client.get(address).raise_for_status()
            seconds.append(time.perf_counter() - begun)
            time.sleep(0.2)
    return max(seconds)
