"""Generate a picture with a model that answers at once, swap its face, archive the output."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelGenerateOperator

with DAG(
    dag_id="seedream_swap_archive",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a captain at night, blue coat, beard",
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
    # [START generate]
    picture = GPTunnelGenerateOperator(
        task_id="draw",
        model="seedream-4",
        prompt="{{ params.prompt }}",
        aspect_ratio="3:4",
        size="4K",
        retries=2,
    )
    # [END generate]
    swap = GPTunnelFaceSwapOperator(
        task_id="swap",
        target_image=picture.output,
        face_image="{{ params.face_image }}",
        preflight="fit",  # no page says which format the model writes
        deferrable=True,
        retries=2,
    )
    ArchiveOperator(task_id="archive", source=swap.output, destination="{{ params.destination }}", retries=3)
