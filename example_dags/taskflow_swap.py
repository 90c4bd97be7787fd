"""
Two face swaps bought from plain Python, in ``@task`` functions.

A hook has no ledger: a task that calls ``submit`` pays again whenever it runs again, after a failure, a crash or a
clear. So the tasks that buy have no retries here. Where a task is to buy *and* be retried, use an operator, such as
``GPTunnelFaceSwapOperator``: it pays once.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.sensors.job import JobSensor

with DAG(
    dag_id="taskflow_swap",
    schedule=None,
    params={
        "target_image": Param("https://example.com/portrait.jpg", type="string"),
        "face_image": Param("https://example.com/face.jpg", type="string"),
        "destination": Param("file:///tmp/faceswap", type="string"),
    },
    tags=["faceswap"],
) as dag:
    target, face = "{{ params.target_image }}", "{{ params.face_image }}"
    destination = "{{ params.destination }}"

    # A retry would pay again; and the link that it returns is signed at some vendors, which no log should show.
    @task(retries=0, show_return_value_in_logs=False)
    def swap(target_image: str, face_image: str) -> str:
        """Buy, and wait in this worker; the link is what the archive needs."""
        with GPTunnelHook() as hook:
            job = hook.submit("face_swap", target_image=target_image, face_image=face_image)
            job = hook.wait(job, timeout=600)
        return job.urls[0]

    ArchiveOperator(
        task_id="archive", source=swap(target, face), destination=f"{destination}/waited", retries=3
    )

    @task(retries=0)  # a retry would pay again
    def buy(target_image: str, face_image: str) -> str:
        """Buy, and nothing else: what comes after it knows the job by its id, and can be retried freely."""
        with GPTunnelHook() as hook:
            job = hook.submit(
                "face_swap", target_image=target_image, face_image=face_image, enhance_face=True
            )
        return job.job_id

    # Waits in the triggerer, and returns what a job operator would.
    result = JobSensor(
        task_id="result",
        conn_id="gptunnel_default",
        job_id=buy(target, face),
        kind="face_swap",
        deferrable=True,
        retries=3,
    )
    ArchiveOperator(
        task_id="archive_result", source=result.output, destination=f"{destination}/sensed", retries=3
    )
