"""Generate a grid with Midjourney, take one picture, then make variations of it and redraw a part of it."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from airflow.sdk import DAG, Param, task

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelImagineOperator,
    GPTunnelInpaintOperator,
    GPTunnelUpsampleOperator,
    GPTunnelVariationOperator,
)

with DAG(
    dag_id="midjourney_edit",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a botanist, green coat --ar 1:1",
            type="string",
            title="Prompt",
            description="What the picture shows",
        ),
        "change": Param(
            "a red hat", type="string", title="Change", description="What is drawn into the masked part"
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
    grid = GPTunnelImagineOperator(
        task_id="imagine", prompt="{{ params.prompt }}", deferrable=True, retries=2
    )
    picked = GPTunnelUpsampleOperator(
        task_id="pick", parent_job_id=grid.output, image=1, deferrable=True, retries=2
    )
    # [START variation]
    varied = GPTunnelVariationOperator(
        task_id="vary",
        parent_job_id=picked.output,
        mode="high",  # if the parent is a grid, set image=1 to 4 instead
        deferrable=True,
        retries=2,
    )
    # [END variation]

    # [START inpaint]
    @task
    def mask() -> str:
        """White marks the part to redraw: here the upper third of a picture of 1024 x 1024 pixels."""
        from PIL import Image

        picture = Image.new("L", (1024, 1024), "black")
        picture.paste("white", (0, 0, 1024, 341))
        file = BytesIO()
        picture.save(file, "PNG")
        return b64encode(file.getvalue()).decode()

    changed = GPTunnelInpaintOperator(
        task_id="change",
        parent_job_id=picked.output,
        mask=mask(),
        prompt="{{ params.change }}",
        deferrable=True,
        retries=2,
    )
    # [END inpaint]
    ArchiveOperator(
        task_id="archive",
        source=[varied.output, changed.output],
        destination="{{ params.destination }}",
        retries=3,
    )
