"""
A person picks one of the four pictures of a Midjourney grid, and only that one is upsampled and paid for.

The grid is archived, so that it can be looked at for as long as nobody has answered. The parent job must still exist at
the vendor when the pick is upsampled.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param

from airflow_provider_faceswap.gallery import approval_body
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelImagineOperator, GPTunnelUpsampleOperator

with DAG(
    dag_id="pick_of_four",
    schedule=None,
    params={
        "prompt": Param(
            "portrait of a captain at night, blue coat, beard",
            type="string",
            title="Prompt",
            description="What the four pictures show",
        ),
        "destination": Param(
            "file:///tmp/faceswap",
            type="string",
            title="Destination",
            description="The folder in object storage that the results are written to",
        ),
    },
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    grid = GPTunnelImagineOperator(
        task_id="imagine", prompt="{{ params.prompt }}", deferrable=True, retries=2
    )
    # [START pick]
    stage = ArchiveOperator(
        task_id="grid", source=grid.output, destination="{{ params.destination }}/grids", retries=3
    )
    pick = HITLOperator(
        task_id="pick",
        subject="Which of the four?",
        options=["1", "2", "3", "4"],
        body=approval_body(stage, text="1 and 2 are in the upper row, 3 and 4 in the lower one."),
    )
    picked = GPTunnelUpsampleOperator(
        task_id="upsample",
        parent_job_id=grid.output,
        image="{{ ti.xcom_pull('pick')['chosen_options'][0] }}",
        deferrable=True,
        retries=2,
    )
    stage >> pick >> picked
    # [END pick]
    ArchiveOperator(
        task_id="archive", source=picked.output, destination="{{ params.destination }}", retries=3
    )
