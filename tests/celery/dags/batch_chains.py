"""Many chains of two jobs, in a few tasks."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

URL = os.environ["CELERY_TEST_BATCH_URL"]
HOME = os.environ["CELERY_TEST_HOME"]
ITEMS = int(os.environ["CELERY_TEST_BATCH"])
#: Tasks that share the items.
TASKS = 2

PEOPLE = [
    {"role": f"person {number}", "face": f"{URL}/samples/anna.jpg?n={number}"} for number in range(ITEMS)
]

with DAG("batch_chains", schedule=None):
    MediaBatchOperator.partial(
        task_id="batch",
        steps=[
            Step(
                "picture",
                "batch",
                "selena_variete",
                parameters={"prompt": "portrait of {role}", "imageUrl": f"{URL}/samples/emil.png"},
            ),
            Step("swap", "batch", "face_swap", target_image="{picture}", face_image="{face}"),
        ],
        destination=f"file://{HOME}/batch",
        concurrency=ITEMS // 2 // TASKS,
        retries=3,
        retry_delay=timedelta(seconds=1),
        executor="CeleryExecutor",
    ).expand(items=[PEOPLE[number::TASKS] for number in range(TASKS)])
