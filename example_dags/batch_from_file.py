"""
Swap many faces in one task: the items come from another task, or from a file in object storage.

A retry goes on where it was, and pays for nothing twice; every picture is kept as soon as it is done.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

with DAG(
    dag_id="batch_from_file",
    schedule=None,
    params={
        "pictures": Param(["https://example.com/one.jpg", "https://example.com/two.jpg"], type="array"),
        "face_image": Param("https://example.com/face.jpg", type="string"),
        "destination": Param("file:///tmp/faceswap", type="string"),
    },
    tags=["faceswap"],
) as dag:

    @task
    def list_items(params: dict[str, Any]) -> list[dict[str, str]]:
        """One item a picture; further arguments of the vendor's face swap may stand beside them."""
        return [
            {"target_image": picture, "face_image": params["face_image"]} for picture in params["pictures"]
        ]

    # [START batch]
    swaps = FaceSwapBatchOperator(
        task_id="swaps",
        conn_id="gptunnel_default",
        items=list_items(),  # type: ignore[call-arg,misc] # Airflow fills the context in
        destination="{{ params.destination }}/swaps",
        concurrency=50,
        fail_on=0.1,  # the task fails when a tenth of them, or more, have failed
        retries=3,
    )
    # [END batch]

    # [START batch_file]
    @task
    def write_items(items: list[dict[str, str]], params: dict[str, Any]) -> str:
        """A hundred thousand items are a file, not an XCom."""
        path = ObjectStoragePath(params["destination"]) / "items.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write("target_image,face_image\n")
            file.writelines(f"{item['target_image']},{item['face_image']}\n" for item in items)
        return str(path)

    swaps_of_file = FaceSwapBatchOperator(
        task_id="swaps_of_file",
        conn_id="piapi_default",
        items=write_items(list_items()),  # type: ignore[arg-type,call-arg,misc]
        destination="{{ params.destination }}/swaps_of_file",
        retries=3,
    )
    # [END batch_file]
