"""
Generate a picture with GPT image, swap its face, archive the output.

The picture is generated at GPTunneL and the face is swapped at PiAPI, because GPT image returns WebP. PiAPI accepts
WebP; GPTunneL's own face swap does not.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelImageOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

with DAG(
    dag_id="gpt_image_swap_archive",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a violinist at sunset, red scarf",
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
    render_template_as_native_obj=True,
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    # [START image]
    picture = GPTunnelImageOperator(
        task_id="generate",
        model="gpt-image-1-low",
        prompt="{{ params.prompt }}",
        aspect_ratio="1:1",
        deferrable=True,
        retries=2,
    )
    # [END image]
    # [START piapi_face_swap]
    swap = PiAPIFaceSwapOperator(
        task_id="swap",
        target_image=picture.output,
        face_image="{{ params.face_image }}",
        deferrable=True,
        retries=2,
    )
    # [END piapi_face_swap]
    # [START archive]
    ArchiveOperator(
        task_id="archive",
        source=swap.output,
        destination="{{ params.destination }}",
        retries=3,
    )
    # [END archive]
