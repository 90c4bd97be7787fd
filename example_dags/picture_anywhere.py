"""Generate a picture at the first vendor that can do it, and archive it."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.generate import ImageOperator

with DAG(
    dag_id="picture_anywhere",
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
    # [START image]
    picture = ImageOperator(
        task_id="draw",
        prompt="{{ params.prompt }}",
        conn_ids=["gptunnel_default", "piapi_default"],
        model={"piapi_default": "Qubico/flux1-dev"},  # at the other one, the default
        deferrable=True,
        retries=2,
    )
    # [END image]
    ArchiveOperator(
        task_id="archive", source=picture.output, destination="{{ params.destination }}", retries=3
    )
