"""Generate a picture at Tengrai, remove its background, and archive the output."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator

with DAG(
    dag_id="tengrai_artwork",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a diver, yellow suit",
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
    # [START artwork]
    drawn = TengraiArtworkOperator(
        task_id="draw",
        artwork="quantum",
        parameters={"prompt": "{{ params.prompt }}", "aspectRatio": "3:4", "promptMode": "servitor"},
        deferrable=True,
        retries=2,
    )
    cut_out = TengraiArtworkOperator(
        task_id="cut_out",
        artwork="remove_background",
        parameters={"imageUrl": drawn.output, "outputFormat": "png"},
        deferrable=True,
        retries=2,
    )
    # [END artwork]
    ArchiveOperator(
        task_id="archive", source=cut_out.output, destination="{{ params.destination }}", retries=3
    )
