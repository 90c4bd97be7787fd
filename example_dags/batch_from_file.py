"""
Swap many faces in one task: the items come from another task, or from a file in object storage.

A retry continues where the last attempt stopped and pays for no item twice. Each picture is archived as soon as it
is done.

If the destination is a folder on the worker's disk, ``[faceswap] allowed_local_paths`` must name it, because the file of the
items is read from there.
"""

from __future__ import annotations

from airflow.sdk import DAG, ObjectStoragePath, Param, get_current_context, task

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

with DAG(
    dag_id="batch_from_file",
    schedule=None,
    params={
        "pictures": Param(
            ["https://example.com/one.jpg", "https://example.com/two.jpg"],
            type="array",
            title="Pictures",
            description="The pictures whose faces are replaced, one link on each line",
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
    # [START batch]
    @task
    def list_items() -> list[dict[str, str]]:
        """One item per picture; an item may have more arguments of the vendor's face swap."""
        params = get_current_context()["params"]
        return [
            {"target_image": picture, "face_image": params["face_image"]} for picture in params["pictures"]
        ]

    swaps = FaceSwapBatchOperator(
        task_id="swaps",
        conn_id="gptunnel_default",
        items=list_items(),
        destination="{{ params.destination }}/swaps",
        concurrency=50,
        fail_on=0.1,  # the task fails if a tenth of the items or more have failed
        retries=3,
    )
    # [END batch]

    # [START batch_file]
    @task
    def write_items() -> str:
        """Write one line per picture. Many items, such as a hundred thousand, belong in a file, not in an XCom."""
        params = get_current_context()["params"]
        path = ObjectStoragePath(params["destination"]) / "items.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write("target_image,face_image\n")
            file.writelines(f"{picture},{params['face_image']}\n" for picture in params["pictures"])
        return str(path)

    swaps_of_file = FaceSwapBatchOperator(
        task_id="swaps_of_file",
        conn_id="piapi_default",
        items=write_items(),
        destination="{{ params.destination }}/swaps_of_file",
        retries=3,
    )
    # [END batch_file]
