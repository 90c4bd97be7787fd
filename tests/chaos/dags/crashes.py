"""One Dag for each scenario of the chaos tests: swap, then archive; the swap dies once, at its own point."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import httpx
from airflow.sdk import DAG, get_parsing_context

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

HOME = Path(os.environ["CHAOS_HOME"])
OPERATORS = {
    "gptunnel": GPTunnelFaceSwapOperator,
    "tengrai": TengraiFaceSwapOperator,
    "piapi": PiAPIFaceSwapOperator,
}


def die_once(name):
    """As ``kill -9`` from outside, but at an exact place; the next try comes through."""
    try:
        (HOME / f"{name}.died").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner, name, die):
    """Die on entry of a method."""
    whole = getattr(owner, name)

    def dying(*args, **kwargs):
        die()
        return whole(*args, **kwargs)

    setattr(owner, name, dying)


def after(owner, name, die):
    """Die when a method has done its work, before anybody learns of it."""
    whole = getattr(owner, name)

    def dying(*args, **kwargs):
        result = whole(*args, **kwargs)
        die()
        return result

    setattr(owner, name, dying)


def while_unanswered(url, die):
    """Die once the vendor has accepted a create, which it is told to answer late."""

    def watch():
        while not httpx.get(f"{url}/sandbox/ledger").json()["creates"]:
            time.sleep(0.02)
        die()

    threading.Thread(target=watch, daemon=True).start()


def arm(scenario):
    """What to do at the start of a task process, so that it dies where the scenario says."""

    def pre_execute(context):
        from airflow.sdk.execution_time import task_runner

        from airflow_provider_faceswap.foundation.clock import Clock
        from airflow_provider_faceswap.http.api import ApiClient
        from airflow_provider_faceswap.operators.base import JobOperator

        def die():
            die_once(scenario["name"])

        places = {
            "before the create": lambda: before(ApiClient, "send_submission", die),
            "between send and answer": lambda: while_unanswered(scenario["url"], die),
            "between answer and record": lambda: after(ApiClient, "send_submission", die),
            "between record and deferral": lambda: before(JobOperator, "_defer", die),
            "after the deferral": lambda: before(task_runner, "finalize", die),
            "during the resume": lambda: before(JobOperator, "execute_complete", die),
            "while waiting": lambda: before(Clock, "pause", die),
            "after the result was sent": lambda: before(task_runner, "finalize", die),
        }
        hide_connection_once(scenario)
        if scenario["point"] and not (HOME / f"{scenario['name']}.died").exists():
            places[scenario["point"]]()

    return pre_execute


def hide_connection_once(scenario):
    """In the retry, the first connection cannot be read, as if its secrets backend were away."""
    from airflow.sdk.bases.hook import BaseHook

    home = HOME / f"{scenario['name']}.hidden"
    if not scenario["failover"] or home.exists() or not (HOME / f"{scenario['name']}.died").exists():
        return
    home.touch()
    whole = BaseHook.get_connection

    def get_connection(conn_id):
        if conn_id == scenario["name"]:
            raise RuntimeError("the secrets backend is away")
        return whole(conn_id)

    BaseHook.get_connection = get_connection


def note_error(scenario):
    """Leave word of how the task failed for good."""

    def on_failure(context):
        error = context["exception"]
        (HOME / f"{scenario['name']}.error.json").write_text(
            json.dumps({"error": type(error).__name__, "message": str(error)})
        )

    return on_failure


def dag_of(scenario):
    with DAG(dag_id=scenario["name"], schedule=None, max_active_tasks=64) as dag:
        url = scenario["url"]
        operator, account = OPERATORS[scenario["vendor"]], {"conn_id": scenario["name"]}
        if scenario["failover"]:
            operator = FaceSwapOperator
            account = {"conn_ids": [scenario["name"], f"{scenario['name']}__second"]}
        swap = operator(
            task_id="swap",
            **account,
            target_image=f"{url}/samples/emil.png",
            face_image=f"{url}/samples/anna.jpg",
            deferrable=scenario["deferrable"],
            retries=scenario["retries"],
            retry_delay=timedelta(seconds=scenario["retry_delay"]),
            pre_execute=arm(scenario),
            on_failure_callback=note_error(scenario),
            # With something to do on success, the task resumes on a worker.
            on_success_callback=print if scenario["point"] == "during the resume" else None,
            **scenario["options"],
        )
        ArchiveOperator(
            task_id="archive",
            source=swap.output,
            destination=f"file://{HOME}/pictures/{scenario['name']}",
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
    return dag


# A task process needs its own Dag only; a hundred of them would cost it seconds.
_wanted = get_parsing_context().dag_id
for _scenario in json.loads((HOME / "scenarios.json").read_text()):
    if _wanted in {None, _scenario["name"]}:
        globals()[_scenario["name"]] = dag_of(_scenario)
