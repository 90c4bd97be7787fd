"""
The same with apache-airflow-providers-http, as somebody who knows it well would build it.

HttpOperator submits. ``HttpSensor(deferrable=True)`` is no help: with a ``response_check`` it does not defer, and
without one it takes any answer but a 404 for the end. So a small operator defers to the provider's
HttpEventTrigger, which can check an answer in the triggerer, and downloads when it is resumed: one task process
fewer than a third task would cost. Items go through a mapped task group, so that none waits for the others.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseOperator
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.triggers.http import HttpEventTrigger, HttpResponseSerializer
from airflow.sdk import DAG, task_group
from bench_common import POLL, body, dags_of, faces, folder, note

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class FetchOperator(BaseOperator):
    """Wait for a job in the triggerer, then keep its picture."""

    template_fields = ("job_id",)

    def __init__(self, *, job_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id

    def execute(self, context: Context) -> None:  # noqa: ARG002 - what Airflow calls
        """Hand over to the triggerer."""
        self.defer(
            trigger=HttpEventTrigger(
                response_check_path="answers.finished",
                http_conn_id="vendor_api",
                endpoint=f"v1/faceswap/result?taskId={self.job_id}",
                poll_interval=POLL,
            ),
            method_name="execute_complete",
            timeout=timedelta(minutes=20),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Download from the link of the answer that came with the event."""
        job = HttpResponseSerializer.deserialize(event["response"]).json()
        if job["status"] == "failed":
            raise RuntimeError(job["error"])
        dag_id = context["ti"].dag_id
        note(dag_id, job["id"])
        link = urlsplit(job["result"])
        # A connection of its own: the key must not be sent to the file storage.
        storage = HttpHook(method="GET", http_conn_id="vendor_files")
        path = folder(dag_id) / f"{job['id']}.png"
        path.write_bytes(storage.run(f"{link.path}?{link.query}").content)
        return str(path)


def dag_of(dag_id: str, size: int) -> DAG:
    """Make the Dag for this many swaps."""
    with DAG(dag_id=dag_id, schedule=None) as dag:

        @task_group
        def one(data: str) -> None:
            """Submit, wait, download."""
            submit = HttpOperator(
                task_id="submit",
                http_conn_id="vendor_api",
                endpoint="v1/faceswap/create",
                method="POST",
                headers={"Content-Type": "application/json"},
                data=data,
                response_filter=lambda response: response.json()["id"],
                retries=0,
            )
            # Reading again costs nothing, so this may be tried again.
            FetchOperator(task_id="fetch", job_id=submit.output, retries=2, retry_delay=timedelta(seconds=1))

        one.expand(data=[json.dumps(body(face)) for face in faces(size)])
    return dag


for _, _dag_id, _size in dags_of("http"):
    globals()[_dag_id] = dag_of(_dag_id, _size)
