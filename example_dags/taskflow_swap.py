"""
Two face swaps from plain Python, in ``@task`` functions.

A hook keeps no record: a task that calls ``submit`` pays again each time it runs, after a failure, a crash or a clear. So
the tasks that submit have no retries here. If a task should submit *and* be retried, use an operator such as
``GPTunnelFaceSwapOperator``: it pays for the job once.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.sensors.job import JobSensor

with DAG(
    dag_id="taskflow_swap",
    schedule=None,
    params={
        "target_image": Param(
            "https://example.com/portrait.jpg",
            type="string",
            title="Target image",
            description="The picture whose face is replaced: a public link, or a file in object storage",
        ),
        "face_image": Param(
            "https://example.com/face.jpg",
            type="string",
            title="Face image",
            description="The picture that donates the face: a public link, or a file in object storage",
        ),
        "destination": Param(
            "file:///tmp/faceswap",
            type="string",
            title="Destination",
            description="The folder in object storage that the result is written to",
        ),
    },
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    target, face = "{{ params.target_image }}", "{{ params.face_image }}"
    destination = "{{ params.destination }}"

    # A retry would pay again. Its link is signed at some vendors, so keep it out of the log.
    @task(retries=0, show_return_value_in_logs=False)
    def swap(target_image: str, face_image: str) -> dict[str, Any]:
        """Submit a job and wait for it on this worker; return it as a job operator does."""
        with GPTunnelHook() as hook:
            job = hook.submit("face_swap", target_image=target_image, face_image=face_image)
            return hook.to_xcom(hook.wait(job, timeout=600))

    ArchiveOperator(
        task_id="archive", source=swap(target, face), destination=f"{destination}/waited", retries=3
    )

    @task(retries=0)  # a retry would pay again
    def buy(target_image: str, face_image: str) -> str:
        """Submit a job and return its id. The tasks after this one can be retried freely."""
        with GPTunnelHook() as hook:
            job = hook.submit(
                "face_swap", target_image=target_image, face_image=face_image, enhance_face=True
            )
        return job.job_id

    # Waits in the triggerer and returns the same result as a job operator.
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
