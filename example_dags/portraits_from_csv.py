"""
Make a portrait for each row of a CSV file: generate a picture, put the person's face onto it, archive it.

One task does all rows. A retry goes on at the step where each row was, and pays for nothing twice. The mapped task takes other
batches through three steps, on as many workers.

If the destination is a folder on the worker's disk, ``[faceswap] allowed_local_paths`` must name it, because the file of the
rows is read from there.
"""

from __future__ import annotations

from airflow.sdk import DAG, ObjectStoragePath, Param, get_current_context, task

from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

with DAG(
    dag_id="portraits_from_csv",
    schedule=None,
    params={
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

    @task
    def write_people() -> str:
        """Write one line per person. In your Dag, the file is there already."""
        params = get_current_context()["params"]
        path = ObjectStoragePath(params["destination"]) / "people.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = ["name,role,face"] + [
            f"{name},{role},{params['face_image']}"
            for name, role in (("anna", "a captain"), ("boris", "a gardener"))
        ]
        path.write_text("\n".join(rows))
        return str(path)

    # [START chain]
    portraits = MediaBatchOperator(
        task_id="portraits",
        items=write_people(),  # the URI of a CSV file with the columns name, role and face
        steps=[
            Step(
                "picture",
                conn_id="gptunnel_default",
                kind="image",
                model="gpt-image-1-low",
                prompt="portrait of {role}, looking at the camera",
            ),
            Step(
                "swap",
                conn_id="piapi_default",
                kind="face_swap",
                target_image="{picture}",  # the result of the step before
                face_image="{face}",  # a column of the file
            ),
        ],
        destination="{{ params.destination }}/portraits",
        filename="{name}",
        concurrency=50,
        retries=3,
    )
    # [END chain]

    # [START mapped]
    @task
    def list_batches() -> list[list[dict[str, str]]]:
        """One list of people for each task instance."""
        face = get_current_context()["params"]["face_image"]
        people = {"anna": "a captain", "boris": "a gardener"}
        return [[{"name": name, "role": role, "face": face}] for name, role in people.items()]

    MediaBatchOperator.partial(
        task_id="portraits_by_batch",
        steps=[
            Step("grid", "gptunnel_default", "imagine", prompt="portrait of {role}", timeout=1800),
            Step("pick", "gptunnel_default", "upsample", parent_job_id="{grid}", image=2, timeout=1800),
            Step(
                "swap",
                "gptunnel_default",
                "face_swap",
                target_image="{pick}",
                face_image="{face}",
                preflight="fit",  # a Midjourney link does not say its format
            ),
        ],
        destination="{{ params.destination }}/by_batch",
        filename="{name}",
        keep="all",  # the pictures of the first steps, too: as anna-grid and anna-pick
        retries=3,
        map_index_template="{{ task.items[0]['name'] }}",  # the UI's name for each instance
    ).expand(items=list_batches())
    # [END mapped]
