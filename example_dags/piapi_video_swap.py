"""Swap a face in a video at PiAPI, and archive it."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.piapi import PiAPIVideoFaceSwapOperator

with DAG(
    dag_id="piapi_video_swap",
    schedule=None,
    params={
        "target_video": Param(
            "https://example.com/clip.mp4",
            type="string",
            title="Target video",
            description="The MP4 whose face is replaced: a public link, or a file in object storage",
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
    # [START video]
    swap = PiAPIVideoFaceSwapOperator(
        task_id="swap",
        target_video="{{ params.target_video }}",
        face_image="{{ params.face_image }}",
        timeout=3600,
        deferrable=True,
        retries=2,
    )
    # [END video]
    ArchiveOperator(task_id="archive", source=swap.output, destination="{{ params.destination }}", retries=3)
