"""Many swaps in one task."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

URL = os.environ["CELERY_TEST_BATCH_URL"]
HOME = os.environ["CELERY_TEST_HOME"]
ITEMS = int(os.environ["CELERY_TEST_BATCH"])

with DAG("batch_swaps", schedule=None):
    FaceSwapBatchOperator(
        task_id="batch",
        conn_id="batch",
        items=[
            {"target_image": f"{URL}/samples/emil.png", "face_image": f"{URL}/samples/anna.jpg?n={number}"}
            for number in range(ITEMS)
        ],
        destination=f"file://{HOME}/batch",
        concurrency=ITEMS // 2,
        retries=3,
        retry_delay=timedelta(seconds=1),
        executor="CeleryExecutor",
    )
