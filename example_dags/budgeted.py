"""Swap a face in each of several pictures, and never spend more than a budget in a day."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator

with DAG(
    dag_id="budgeted",
    schedule=None,
    params={
        "pictures": Param(
            ["https://example.com/1.jpg", "https://example.com/2.jpg"],
            type="array",
            title="Pictures",
            description="The pictures whose faces are replaced: public links, or files in object storage",
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
            description="The folder in object storage that the results are written to",
        ),
        "budget": Param(
            "file:///tmp/faceswap-budget",
            type="string",
            title="Budget",
            description="The folder in object storage that holds what was spent",
        ),
    },
    render_template_as_native_obj=True,
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    # [START budget]
    marketing = Budget(
        "{{ params.budget }}/marketing", amount=5000, unit="RUB", per="day", timezone="Europe/Moscow"
    )
    swap = FaceSwapOperator(
        task_id="swap",
        target_image="{{ params.pictures[0] }}",
        face_image="{{ params.face_image }}",
        conn_ids=["gptunnel_default"],
        budget=marketing,
        price=15,  # until the budget has seen what a swap costs
        deferrable=True,
        retries=2,
    )
    # [END budget]
    again = FaceSwapOperator(
        task_id="again",
        target_image="{{ params.pictures[1] }}",
        face_image="{{ params.face_image }}",
        conn_ids=["gptunnel_default"],
        budget=marketing,
        price=15,
        deferrable=True,
        retries=2,
    )
    ArchiveOperator(
        task_id="archive",
        source=[swap.output, again.output],
        destination="{{ params.destination }}",
        retries=3,
    )
