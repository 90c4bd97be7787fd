"""
Generate four pictures with Midjourney at PiAPI, swap the face of the first, archive the output.

PiAPI says on its site that it no longer offers Midjourney; public clients still use these tasks.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator, PiAPITaskOperator

with DAG(
    dag_id="piapi_midjourney_swap",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a pilot in the morning, brown jacket",
            type="string",
            title="Prompt",
            description="What the picture shows",
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
    # [START midjourney]
    pictures = PiAPITaskOperator(
        task_id="imagine",
        model="midjourney",
        task_type="imagine",
        input={"prompt": "{{ params.prompt }}", "aspect_ratio": "1:1", "process_mode": "fast"},
        deferrable=True,
        retries=2,
    )
    swap = PiAPIFaceSwapOperator(
        task_id="swap",
        target_image=pictures.output,  # its url is the first of the four pictures, not the grid
        face_image="{{ params.face_image }}",
        deferrable=True,
        retries=2,
    )
    # [END midjourney]
    ArchiveOperator(task_id="archive", source=swap.output, destination="{{ params.destination }}", retries=3)
