"""Swap a face in each picture of a list that grows, every night: only the new rows are bought."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

with DAG(
    dag_id="nightly_new_rows",
    schedule=None,  # such as "@daily"
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
    },
    render_template_as_native_obj=True,
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:

    @task
    def rows(pictures: Any) -> list[str]:
        """The list of tonight; in your Dag, a query."""
        return list(pictures)

    # [START reuse]
    swap = PiAPIFaceSwapOperator.partial(
        task_id="swap",
        face_image="{{ params.face_image }}",
        reuse="archive",
        reuse_from="{{ params.destination }}",
        deferrable=True,
        retries=2,
        map_index_template="{{ task.target_image.split('/')[-1] }}",  # the UI's name for each instance
    ).expand(target_image=rows("{{ params.pictures }}"))
    ArchiveOperator(
        task_id="archive",
        source=swap.output,
        destination="{{ params.destination }}",
        retries=3,
    )
    # [END reuse]
