"""Swap a face every morning and update an asset; a second Dag runs when the picture is there."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, Param, get_current_context, task

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator

# One asset for the whole collection: the event's extra names the files.
portraits = Asset("faceswap-portraits")

with DAG(
    dag_id="scheduled_swap",
    schedule="0 6 * * *",
    catchup=False,
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
    },
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:
    # [START failover]
    swap = FaceSwapOperator(
        task_id="swap",
        target_image="{{ params.target_image }}",
        face_image="{{ params.face_image }}",
        conn_ids=["piapi_default", "gptunnel_default"],
        deferrable=True,
        retries=2,
    )
    # [END failover]
    # [START outlet]
    ArchiveOperator(
        task_id="archive",
        source=swap.output,
        destination="{{ params.destination }}/{{ run_id | replace(':', '.') }}",
        outlets=[portraits],
        retries=3,
    )
    # [END outlet]

with DAG(dag_id="use_swapped_portraits", schedule=[portraits], doc_md=__doc__, tags=["faceswap"]) as consumer:

    @task
    def use() -> list[str]:
        """List the new pictures; a real Dag would publish them."""
        return [
            file["uri"]
            for events in get_current_context()["triggering_asset_events"].values()
            for event in events
            for file in event.extra["files"]
        ]

    use()
