"""Buy a face swap only if the account can pay for it; otherwise the Dag stops before anything is bought."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.balance import BalanceCheckOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.retries import retry_arguments

with DAG(
    dag_id="check_balance_first",
    schedule=None,
    # Retries that fit the errors of this package; see docs/retries-and-cost.md.
    default_args=retry_arguments(),
    params={
        "target_image": Param(
            "https://example.com/portrait.jpg",
            type="string",
            title="Target image",
            description="The picture whose face is replaced: a public link, or a file in object storage",
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
        "roubles": Param(
            20, type="number", title="Balance", description="The least that the account must have, in roubles"
        ),
    },
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    enough = BalanceCheckOperator(
        task_id="enough",
        conn_id="gptunnel_default",
        at_least="{{ params.roubles }}",
        on_short="fail",  # or "skip", which skips the downstream tasks
    )
    swap = GPTunnelFaceSwapOperator(
        task_id="swap",
        target_image="{{ params.target_image }}",
        face_image="{{ params.face_image }}",
        deferrable=True,
    )
    enough >> swap
    ArchiveOperator(task_id="archive", source=swap.output, destination="{{ params.destination }}")
