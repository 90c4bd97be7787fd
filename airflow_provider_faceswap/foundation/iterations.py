"""Which iteration of a task loop a task instance is. Airflow below 3.4 has no task loops."""

from __future__ import annotations

from typing import Any
from uuid import UUID

#: What Airflow writes for a task instance outside any region.
_NO_REGION = str(UUID(int=0))


def region_of(instance: Any) -> tuple[str, int] | None:
    """
    The region of a task instance, and its place there: the map index of a mapped task, or the iteration of a loop.

    :param instance: Anything with the ids of a task instance.
    :returns: ``None`` outside any region, and for an Airflow without regions.
    """
    region, place = getattr(instance, "region_id", None), getattr(instance, "region_index", None)
    return None if region is None or place is None or str(region) == _NO_REGION else (str(region), place)


def iteration_of(instance: Any) -> int | None:
    """
    The number of the loop's iteration, from 0; ``None`` outside a loop.

    Iterations have the same Dag, run, task and map index. A loop cannot contain a loop, so the number is enough to
    tell them apart, and it stays the same after a clear.
    """
    region = region_of(instance)
    if region is None:
        return None
    if instance.map_index is None or instance.map_index < 0:
        return region[1]
    # A mapped task has a region too; it is in a loop only if its context says so.
    context: dict[str, Any] = getattr(instance, "get_template_context", dict)()
    return getattr(context.get("loop"), "index", None)
