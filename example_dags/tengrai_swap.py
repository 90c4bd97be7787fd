"""Swap a face at Tengrai, as lossless PNG, and archive it."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

with DAG(
    dag_id="tengrai_swap",
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
    # [START face_swap]
    swap = TengraiFaceSwapOperator(
        task_id="swap",
        target_image="{{ params.target_image }}",
        face_image="{{ params.face_image }}",
        denoising=3,
        output_format="png",
        deferrable=True,
        retries=2,
    )
    # [END face_swap]
    ArchiveOperator(task_id="archive", source=swap.output, destination="{{ params.destination }}", retries=3)
