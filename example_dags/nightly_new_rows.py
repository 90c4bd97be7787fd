"""
Swap a face in each row of a file that grows, every night: only the new rows are bought.

If the destination is a folder on the worker's disk, ``[faceswap] allowed_local_paths`` must name it, because the pictures of
earlier nights are read from there.
"""

from __future__ import annotations

from airflow.sdk import DAG, ObjectStoragePath, Param, get_current_context, task

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

with DAG(
    dag_id="nightly_new_rows",
    schedule=None,  # such as "@daily"
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
    # [START reuse]
    @task
    def export_rows() -> str:
        """Write all rows of tonight, old and new; in your Dag, a query."""
        params = get_current_context()["params"]
        path = ObjectStoragePath(params["destination"]) / "rows.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{picture},{params['face_image']}" for picture in params["pictures"]]
        path.write_text("\n".join(["target_image,face_image", *rows]))
        return str(path)

    FaceSwapBatchOperator(
        task_id="swaps",
        conn_id="piapi_default",
        items=export_rows(),
        destination="{{ params.destination }}/swaps",
        reuse="archive",
        retries=3,
    )
    # [END reuse]
