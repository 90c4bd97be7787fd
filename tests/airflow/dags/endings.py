"""Dags of the end-to-end tests: one for each way a deferred job can end."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Asset

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor

SANDBOX = os.environ.get("SANDBOX_URL", "http://127.0.0.1:1")
SIGNED = "?sig=planted-signature"
PICTURES = {
    "target_image": f"{SANDBOX}/samples/clara.jpg{SIGNED}",
    "face_image": f"{SANDBOX}/samples/dora.jpg{SIGNED}",
}

with DAG("resumes_on_a_worker", schedule=None):
    # An outlet is work for a worker, so the trigger does not end this task itself.
    swap = GPTunnelFaceSwapOperator(
        task_id="swap",
        **PICTURES,
        webhook="https://hooks.example.com/done?token=planted-webhook-token",
        deferrable=True,
        outlets=[Asset("faceswap-resumed")],
    )
    kept = ArchiveOperator(
        task_id="archive", source=swap.output, destination="{{ dag_run.conf['destination'] }}"
    )
    again = JobSensor(
        task_id="ask_again",
        conn_id="gptunnel_default",
        job_id=swap.output,
        kind="face_swap",
        deferrable=True,
    )
    kept >> again

with DAG("fails_for_its_reason", schedule=None):
    # Retries would help nothing here: the error class must stop them.
    GPTunnelFaceSwapOperator(
        task_id="no_face",
        target_image=f"{SANDBOX}/samples/landscape.jpg{SIGNED}",
        face_image=PICTURES["face_image"],
        deferrable=True,
        retries=3,
        retry_delay=timedelta(seconds=1),
    )
    PiAPIFaceSwapOperator(
        task_id="wrong_key",
        **PICTURES,
        conn_id="piapi_wrong_key",
        deferrable=True,
        retries=3,
        retry_delay=timedelta(seconds=1),
    )
    PiAPIFaceSwapOperator(
        task_id="waits_in_the_worker",
        **PICTURES,
        deferrable=False,
    )

with DAG("takes_its_time", schedule=None):
    for place in ("triggerer", "worker"):
        GPTunnelFaceSwapOperator(
            task_id=f"in_the_{place}",
            **PICTURES,
            deferrable=place == "triggerer",
        )
