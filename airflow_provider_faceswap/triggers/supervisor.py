"""
What a trigger needs of Airflow beyond the public trigger interface.

These are internals of the task SDK, kept together here, looked up when used, and done without where they are
missing. Seen working on Airflow 3.3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.triggers.base import TriggerEvent


async def task_state(task_instance: Any) -> str | None:
    """
    Ask in which state the task of a trigger is now.

    :param task_instance: What the triggerer set on the trigger.
    :returns: The state's name, or ``None`` where it cannot be known.
    """
    try:
        from airflow.sdk.execution_time.comms import GetTaskStates
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        return None
    answer = await SUPERVISOR_COMMS.asend(
        GetTaskStates(
            dag_id=task_instance.dag_id,
            task_ids=[task_instance.task_id],
            run_ids=[task_instance.run_id],
            map_index=task_instance.map_index,
        )
    )
    states: Mapping[str, Mapping[str, str]] = getattr(answer, "task_states", {})
    return next(iter((states.get(task_instance.run_id) or {}).values()), None)


async def success_in_place(task_instance: Any, result: Mapping[str, Any]) -> TriggerEvent | None:
    """
    Store a return value and make the event that ends the task where it is, without a worker.

    ``TaskSuccessEvent(xcoms=...)`` would store a JSON string where downstream expects a dict, so the value is
    stored first, in the SDK's own encoding.

    :returns: The event, or ``None`` where this Airflow cannot; the task then resumes on a worker.
    """
    try:
        from airflow.sdk.execution_time.comms import SetXCom
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
        from airflow.sdk.execution_time.xcom import XCom
        from airflow.triggers.base import TaskSuccessEvent
    except ImportError:
        return None
    where = {
        "dag_id": task_instance.dag_id,
        "run_id": task_instance.run_id,
        "task_id": task_instance.task_id,
        "map_index": task_instance.map_index,
    }
    value = XCom.serialize_value(dict(result), key="return_value", **where)
    await SUPERVISOR_COMMS.asend(SetXCom(key="return_value", value=value, **where))
    return TaskSuccessEvent()
