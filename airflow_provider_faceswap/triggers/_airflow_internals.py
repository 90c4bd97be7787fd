"""
What triggers and operators need of Airflow beyond its public interface.

These are internals of the task SDK, kept together here, looked up when used, and done without where they are
missing. Seen working on Airflow 3.3.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.triggers.base import TriggerEvent


#: The states in which a person, or the run, has ended a task for good. Success is not among them: a trigger
#: sees it too where its task was ended from outside. Nor is a cleared task: its job is taken up again.
ENDED_STATES = frozenset({"failed", "skipped", "upstream_failed", "removed"})

#: Seconds to wait for another thread's question to end, such as the writer's of a batch. A lock that is held longer is
#: held by the very thread that was interrupted.
PATIENCE = 1.0

#: No state: nobody supervises this process, so that nobody but its own user can have ended the task.
UNSUPERVISED = "alone"


def has_success_listener() -> bool:
    """
    Whether a plugin wants to hear of tasks that succeed, as OpenLineage's does.

    Airflow calls listeners on workers only: a task that a trigger ends would end unheard.
    """
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # below Airflow 3.2
        from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    return bool(get_listener_manager().hook.on_task_instance_success.get_hookimpls())


def uses_default_xcom() -> bool:
    """
    Whether a return value goes into Airflow's database as it is.

    Another XCom backend may put it elsewhere, by calls that block, or fail: that is nothing for a trigger.
    """
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    return XCom is BaseXCom


async def task_state(task_instance: Any) -> str | None:
    """
    Ask from a trigger in which state its task is now.

    :param task_instance: What the triggerer set on the trigger.
    :returns: The state's name, or ``None`` where it cannot be known.
    """
    try:
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        return None
    question = _question(task_instance)
    return None if question is None else _state(await SUPERVISOR_COMMS.asend(question), task_instance)


def task_state_sync(task_instance: Any) -> str | None:
    """
    Ask from a worker, where a signal may have interrupted anything, in which state its task is now.

    :returns: The state's name; :data:`UNSUPERVISED` outside a worker; ``None`` where it cannot be known, as when the
        signal came amid another question, which holds a lock that this thread would wait for for ever.
    """
    try:
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS
    except ImportError:
        return UNSUPERVISED
    lock, question = getattr(SUPERVISOR_COMMS, "_thread_lock", None), _question(task_instance)
    try:
        if question is None:
            return None
        if lock is not None:
            if not lock.acquire(timeout=PATIENCE):
                return None
            lock.release()
        return _state(SUPERVISOR_COMMS.send(question), task_instance)
    except Exception:  # noqa: BLE001 - whatever it is, the task is being ended, and the job can be resumed
        return None


def _question(task_instance: Any) -> Any:
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


async def end_with_success(
    task_instance: Any, result: Mapping[str, Any], links: Mapping[str, str]
) -> TriggerEvent | None:
    """
    Store a return value and make the event that ends the task where it is, without a worker.

    ``TaskSuccessEvent(xcoms=...)`` would store a JSON string where downstream expects a dict, so the value is
    stored first, in the SDK's own encoding.

    :param links: What the worker would store as the task's links: XCom key to address. They go into Airflow's
        database whatever XCom backend there is, as the api server looks there.
    :returns: The event, or ``None`` where this Airflow cannot; the task then resumes on a worker.
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
    where = {
        "dag_id": task_instance.dag_id,
        "run_id": task_instance.run_id,
        "task_id": task_instance.task_id,
        "map_index": task_instance.map_index,
    }
    for key, link in links.items():
        await SUPERVISOR_COMMS.asend(SetXCom(key=key, value=link, **where))
    value = XCom.serialize_value(dict(result), key="return_value", **where)
    await SUPERVISOR_COMMS.asend(SetXCom(key="return_value", value=value, **where))
    return TaskSuccessEvent()
