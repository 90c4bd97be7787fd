"""Generate a grid of four pictures with Midjourney, pick one, swap its face, archive the output."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelFaceSwapOperator,
    GPTunnelImagineOperator,
    GPTunnelUpsampleOperator,
)

with DAG(
    dag_id="imagine_pick_swap_archive",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a captain at night, blue coat, beard",
            type="string",
            title="Prompt",
            description="What the picture shows",
        ),
        "pick": Param(
            2,
            type="integer",
            minimum=1,
            maximum=4,
            title="Pick",
            description="Which of the four pictures of the grid is used",
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
    # [START imagine]
    grid = GPTunnelImagineOperator(
        task_id="imagine", prompt="{{ params.prompt }}", deferrable=True, retries=2
    )
    # [END imagine]
    # [START upsample]
    picked = GPTunnelUpsampleOperator(
        task_id="pick",
        parent_job_id=grid.output,
        image="{{ params.pick }}",  # 1 to 4
        deferrable=True,
        retries=2,
    )
    # [END upsample]
    # [START face_swap]
    swap = GPTunnelFaceSwapOperator(
        task_id="swap",
        target_image=picked.output,
        face_image="{{ params.face_image }}",
        preflight="fit",  # a Midjourney link does not say its format, and this swap takes PNG and JPEG only
        deferrable=True,
        retries=2,
    )
    # [END face_swap]
    ArchiveOperator(task_id="archive", source=swap.output, destination="{{ params.destination }}", retries=3)
