"""
A person looks at the picture before it is published: generate, swap, archive to a staging folder, approve, publish.

The task that waits for the person shows input, face and output in Airflow's UI. After a rejection nothing is published: the
first Dag keeps the staged files, the second deletes them. While nobody answers, no worker slot is used; on Airflow 3.3 and
newer no triggerer either.

The pictures are shown if ``[faceswap] gallery_roots`` of the api-server names the destination.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import DAG, Param

from airflow_provider_faceswap.gallery import approval_body
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelImageOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.publish import PublishOperator

params = {
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
}


def staged_swap() -> ArchiveOperator:
    """Generate a picture, swap its face, and archive the output to a staging folder."""
    picture = GPTunnelImageOperator(
        task_id="generate",
        model="gpt-image-1-low",
        prompt="{{ params.prompt }}",
        deferrable=True,
        retries=2,
    )
    swap = PiAPIFaceSwapOperator(
        task_id="swap",
        target_image=picture.output,
        face_image="{{ params.face_image }}",
        deferrable=True,
        retries=2,
    )
    return ArchiveOperator(
        task_id="stage",
        source=swap.output,
        destination="{{ params.destination }}/staging/{{ run_id | replace(':', '.') }}",
        retries=3,
    )


with DAG(
    dag_id="approve_before_publish",
    schedule=None,
    params=params,
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    stage = staged_swap()
    # [START approve]
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish this picture?",
        body=approval_body(stage),
    )
    publish = PublishOperator(
        task_id="publish",
        source=stage.output,
        destination="{{ params.destination }}/published",
        approval=approve.output,
        retries=3,
    )
    stage >> approve >> publish
    # [END approve]

with DAG(
    dag_id="approve_or_delete",
    schedule=None,
    params=params,
    doc_md=__doc__,
    tags=["faceswap"],
) as delete_dag:
    stage = staged_swap()
    # [START delete]
    approve_or_delete = HITLOperator(
        task_id="approve_or_delete",
        subject="Publish this picture?",
        options=["Approve", "Reject"],
        body=approval_body(stage, text="A rejection **deletes** the picture."),
    )
    publish = PublishOperator(
        task_id="publish",
        source=stage.output,
        destination="{{ params.destination }}/published",
        approval=approve_or_delete.output,
        on_reject="delete",
        move=True,  # an approval leaves nothing in the staging folder either
        retries=3,
    )
    stage >> approve_or_delete >> publish
    # [END delete]
