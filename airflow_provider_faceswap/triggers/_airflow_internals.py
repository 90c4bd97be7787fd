"""
What triggers and operators need of Airflow beyond its public interface.

These are internals of the task SDK. Each is imported when it is used; if this Airflow lacks it, the caller
works without it. Tested with Airflow 3.3.2.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.triggers.base import TriggerEvent


#: States in which a person, or the run, has ended a task for good. Success is not among them: a trigger also sees it
#: when its task was marked so. Nor is a cleared task: its job is resumed.
ENDED_STATES = frozenset({"failed", "skipped", "upstream_failed", "removed"})

#: The state of a task without a supervisor, as in ``task.test()``: only the user can have ended its process.
UNSUPERVISED = "alone"

#: Seconds to wait until another thread's message to the supervisor is answered, such as one from a batch's
#: writer. A lock that is held longer is held by the thread that the signal interrupted.
SUPERVISOR_LOCK_TIMEOUT = 1.0


def is_made_by_mapping(operator: BaseOperator) -> bool:
    """True in the constructor of a mapped operator that is made when its task runs, not when the Dag is parsed."""
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def has_success_listener() -> bool:
    """
    True if a plugin listens to the success of tasks, as OpenLineage's does.

    Airflow calls listeners on workers only: they would miss a task that a trigger ends.
    """
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # below Airflow 3.2
        from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    return bool(get_listener_manager().hook.on_task_instance_success.get_hookimpls())


def stores_map_index_early() -> bool:
    """
    True if Airflow stores what a ``map_index_template`` rendered before the task runs.

    Airflow 3.1 stores it with the end of a worker's task, and never for a task that a trigger ends.
    """
    from airflow.sdk.execution_time import comms

    return hasattr(comms, "SetRenderedMapIndex")


def uses_default_xcom() -> bool:
    """
    True if Airflow's database stores return values.

    Another XCom backend may store them elsewhere. Its calls may block or fail, so a trigger must not make
    them.
    """
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    return XCom is BaseXCom


async def task_state(task_instance: Any) -> str | None:
    """
    The current state of a trigger's task.

    :param task_instance: What the triggerer set on the trigger.
    :returns: The state's name, ``None`` if it is unknown.
    """
    try:
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        return None
    message = _state_request(task_instance)
    return None if message is None else _state(await SUPERVISOR_COMMS.asend(message), task_instance)


def task_state_sync(task_instance: Any) -> str | None:
    """
    The current state of a worker's task, for a signal handler.

    :returns: The state's name; :data:`UNSUPERVISED` outside a worker; ``None`` if it is unknown. That includes a signal
        during another message to the supervisor: that message holds a lock, on which this thread would wait for ever.
    """
    try:
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        return UNSUPERVISED
    lock, message = getattr(SUPERVISOR_COMMS, "_thread_lock", None), _state_request(task_instance)
    try:
        if message is None:
            return None
        if lock is not None:
            if not lock.acquire(timeout=SUPERVISOR_LOCK_TIMEOUT):
                return None
            lock.release()
        return _state(SUPERVISOR_COMMS.send(message), task_instance)
    except Exception:  # noqa: BLE001 - whatever it is, the task is being ended, and the job can be resumed
        return None


def _state_request(task_instance: Any) -> Any:
    """The message that asks the supervisor for a task's state, ``None`` if this Airflow has none."""
    try:
        from airflow.sdk.execution_time.comms import GetTaskStates
    except ImportError:
        return None
    return GetTaskStates(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )


def _state(answer: Any, task_instance: Any) -> str | None:
    states: Mapping[str, Mapping[str, str]] = getattr(answer, "task_states", {})
    return next(iter((states.get(task_instance.run_id) or {}).values()), None)


def mapped_downstream(operator: BaseOperator) -> bool:
    """True if tasks are mapped over this task's return value, so that its length is stored with it."""
    if operator.get_dag() is None:
        return False
    # Of a task that is mapped itself, Airflow counts the values instead.
    is_mapped = operator.dag.get_task(operator.task_id).is_mapped
    return not is_mapped and next(iter(operator.iter_mapped_dependants()), None) is not None


def stores_in_place(stored: Mapping[str, bool]) -> bool:
    """True if a trigger of this Airflow can store what is wanted besides the return value."""
    try:
        from airflow.sdk.execution_time.comms import SetXCom
    except ImportError:
        return False
    return all(
        name in SetXCom.model_fields for name in ("mapped_length", "dag_result") if stored.get(name, False)
    )


async def end_with_success(
    task_instance: Any,
    result: Mapping[str, Any],
    links: Mapping[str, str],
    stored: Mapping[str, bool] = MappingProxyType({}),
) -> TriggerEvent | None:
    """
    Store a return value as a worker does, and make the event that ends the task without a worker.

    ``TaskSuccessEvent(xcoms=...)`` would store a JSON string where downstream tasks expect a dict. So the value is
    stored first, in the SDK's own encoding.

    :param links: What a worker would store as the task's links: XCom key to URL. They always go into
        Airflow's database, whatever the XCom backend, because the API server reads them there.
    :param stored: What is stored besides the return value: ``multiple_outputs`` (each key on its own),
        ``mapped_length`` (for tasks that are mapped over the value), ``dag_result`` (it is a result of the Dag).
    :returns: The event; ``None`` if this Airflow has none, and the task must resume on a worker.
    """
    try:
        from airflow.sdk.execution_time.comms import SetXCom
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
        from airflow.sdk.execution_time.xcom import XCom
        from airflow.triggers.base import TaskSuccessEvent
    except ImportError:
        return None
    if not uses_default_xcom():
        return None
    task = {
        "dag_id": task_instance.dag_id,
        "run_id": task_instance.run_id,
        "task_id": task_instance.task_id,
        "map_index": task_instance.map_index,
    }

    async def push(key: str, value: Any, **more: Any) -> None:
        if stored.get("dag_result"):
            more["dag_result"] = True
        encoded = XCom.serialize_value(value, key=key, **task)
        await SUPERVISOR_COMMS.asend(SetXCom(key=key, value=encoded, **task, **more))

    for key, link in links.items():
        await SUPERVISOR_COMMS.asend(SetXCom(key=key, value=link, **task))
    if stored.get("multiple_outputs"):
        for key, value in result.items():
            await push(key, value)
    length = {"mapped_length": len(result)} if stored.get("mapped_length") else {}
    await push("return_value", dict(result), **length)
    return TaskSuccessEvent()


def clear_deletes_records() -> bool:
    """
    True if a clear may delete the task's state store, as in the UI of Airflow 3.4.

    The option to keep it is the mark of such an Airflow. An Airflow without the class that has it may be newer.
    """
    try:
        from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody
    except ImportError:
        return True
    return "keep_task_state" in ClearTaskInstancesBody.model_fields
