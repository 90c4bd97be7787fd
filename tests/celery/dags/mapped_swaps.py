"""Many pictures: each is swapped, then archived, and does not wait for the others."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, task_group

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

URL = os.environ["CELERY_TEST_MAPPED_URL"]
HOME = os.environ["CELERY_TEST_HOME"]
PICTURES = int(os.environ["CELERY_TEST_MAPPED"])

COMMON = {
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
    "executor": "CeleryExecutor",
    # Otherwise a swap has the weight of its archive too, and nothing is archived before the last is bought.
    "weight_rule": "absolute",
}


@task_group
def picture(face_image):
    swap = TengraiFaceSwapOperator(
        task_id="swap",
        conn_id="mapped",
        target_image=f"{URL}/samples/emil.png",
        face_image=face_image,
        pool="swaps",
        deferrable=True,
        **COMMON,
    )
    ArchiveOperator(
        task_id="archive",
        source=swap.output,
        destination=f"file://{HOME}/mapped",
        priority_weight=10,  # finished pictures first
        **COMMON,
    )


with DAG("mapped_swaps", schedule=None, max_active_tasks=PICTURES):
    picture.expand(face_image=[f"{URL}/samples/anna.jpg?n={number}" for number in range(PICTURES)])
