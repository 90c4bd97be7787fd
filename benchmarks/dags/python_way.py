"""What is mostly written today: a task that submits, sleeps and asks, and downloads, mapped."""

from __future__ import annotations

import time

import httpx
from airflow.sdk import DAG, task
from bench_common import KEY, POLL, URL, body, dags_of, faces, folder, note


def dag_of(dag_id: str, size: int) -> DAG:
    """Make the Dag for this many swaps."""
    with DAG(dag_id=dag_id, schedule=None) as dag:
        # No retry: it would pay for the same swap again.
        @task(retries=0)
        def swap(face: str) -> str:
            """Buy one swap, wait for it on the worker, keep the picture."""
            with httpx.Client(base_url=URL, timeout=60) as client:
                key = {"Authorization": KEY}
                made = client.post("/v1/faceswap/create", json=body(face), headers=key)
                job_id = made.raise_for_status().json()["id"]
                while True:
                    time.sleep(POLL)
                    seen = client.get("/v1/faceswap/result", params={"taskId": job_id}, headers=key)
                    job = seen.raise_for_status().json()
                    if job["status"] == "done":
                        break
                    if job["status"] == "failed":
                        raise RuntimeError(job["error"])
                note(dag_id, job_id)
                picture = client.get(job["result"]).raise_for_status().content
            path = folder(dag_id) / f"{job_id}.png"
            path.write_bytes(picture)
            return str(path)

        swap.expand(face=faces(size))
    return dag


for _, _dag_id, _size in dags_of("python"):
    globals()[_dag_id] = dag_of(_dag_id, _size)
