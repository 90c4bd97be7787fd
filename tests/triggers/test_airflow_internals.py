"""In which state a task is, asked from a worker where a signal may have interrupted anything."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest

from airflow_provider_faceswap.triggers import _airflow_internals as supervisor
from airflow_provider_faceswap.triggers._airflow_internals import UNSUPERVISED, task_state_sync
from tests.conftest import needs

INSTANCE = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="a_task", map_index=-1)
MAPPED = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="a_task", map_index=4)


class Comms:
    """The worker's channel to its supervisor."""

    def __init__(self, lock=None):
        self.states = {"a_run": {"a_task": "failed"}}
        self.messages = []
        self.error = None
        if lock is not None:
            self._thread_lock = lock

    def send(self, message):
        self.messages.append(message)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(task_states=self.states)


@pytest.fixture
def comms(monkeypatch):
    answering = Comms(threading.Lock())
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", answering, raising=False)
    return answering


def test_without_a_supervisor_the_process_is_alone(monkeypatch):
    from airflow.sdk.execution_time import task_runner

    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    assert task_state_sync(INSTANCE) == UNSUPERVISED


def test_an_airflow_without_the_module_is_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.task_runner", None)
    assert task_state_sync(INSTANCE) == UNSUPERVISED


def test_an_airflow_without_the_question_cannot_tell(monkeypatch, comms):
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.comms", None)
    assert task_state_sync(INSTANCE) is None
    assert not comms.messages


@pytest.mark.parametrize("state", ["running", "failed", "skipped", "removed", "success", "restarting"])
def test_the_supervisor_tells_the_state(comms, state):
    comms.states = {"a_run": {"a_task": state}}
    assert task_state_sync(INSTANCE) == state
    [question] = comms.messages
    assert (question.dag_id, question.task_ids, question.run_ids) == ("a_dag", ["a_task"], ["a_run"])


def test_the_state_of_a_mapped_task_is_that_of_its_index(comms):
    comms.states = {"a_run": {"a_task_4": "failed"}}
    assert task_state_sync(MAPPED) == "failed"
    assert comms.messages[0].map_index == 4


@pytest.mark.parametrize("states", [{}, {"a_run": {}}, {"a_run": None}, {"a_run": {"a_task": None}}])
def test_a_task_without_a_state_has_none(comms, states):
    comms.states = states
    assert task_state_sync(INSTANCE) is None


def test_a_state_of_another_run_is_not_ours(comms):
    comms.states = {"another_run": {"a_task": "failed"}}
    assert task_state_sync(INSTANCE) is None


def test_an_answer_of_another_kind_tells_nothing(comms):
    comms.send = lambda _: SimpleNamespace(error="not found")
    assert task_state_sync(INSTANCE) is None


def in_a_thread(ask):
    """What ``ask`` returns; a failure, and no test that hangs, if it never does."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for a lock that nobody will open"
    return answers[0]


def test_amid_another_question_nothing_is_asked(comms, monkeypatch):
    locked, sent = comms._thread_lock, comms.send

    def send(message):
        with locked:
            return sent(message)

    comms.send = send
    monkeypatch.setattr(supervisor, "SUPERVISOR_LOCK_TIMEOUT", 0.01)
    with locked:
        assert in_a_thread(lambda: task_state_sync(INSTANCE)) is None
    assert not comms.messages
    assert in_a_thread(lambda: task_state_sync(INSTANCE)) == "failed", "the lock is free again"


def test_a_question_of_another_thread_is_waited_for(comms):
    class Busy:
        """Held by another thread, which lets go while somebody waits."""

        def acquire(self, timeout):
            return timeout > 0

        def release(self):
            """Let go."""

        def locked(self):
            return True

    comms._thread_lock = Busy()
    assert task_state_sync(INSTANCE) == "failed"


@needs("lock", at="airflow.sdk.execution_time.comms", has="CommsDecoder._thread_lock")
def test_the_lock_that_airflow_has_tells_whether_it_is_held():
    from airflow.sdk.execution_time.comms import CommsDecoder

    lock = CommsDecoder(socket=None)._thread_lock
    assert lock.locked() is False
    with lock:
        assert lock.locked() is True


def test_a_channel_without_a_lock_is_asked(monkeypatch):
    bare = Comms()
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", bare, raising=False)
    assert task_state_sync(INSTANCE) == "failed"


@pytest.mark.parametrize("error", [RuntimeError("closed"), BrokenPipeError(), EOFError(), ValueError("odd")])
def test_a_question_that_fails_tells_nothing(comms, error):
    comms.error = error
    assert task_state_sync(INSTANCE) is None
    assert len(comms.messages) == 1
