"""Generate a picture with Flux through PiAPI's unified task API, and archive it."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.piapi import PiAPITaskOperator

with DAG(
    dag_id="flux_text_to_image",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a gardener, green hat, smile",
            type="string",
            title="Prompt",
            description="What the picture shows",
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
    # [START task]
    picture = PiAPITaskOperator(
        task_id="draw",
        model="Qubico/flux1-schnell",
        task_type="txt2img",
        input={"prompt": "{{ params.prompt }}", "width": 768, "height": 768},
        deferrable=True,
        retries=2,
    )
    # [END task]
    ArchiveOperator(
        task_id="archive", source=picture.output, destination="{{ params.destination }}", retries=3
    )
