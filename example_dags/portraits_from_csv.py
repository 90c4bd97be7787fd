"""
Make a portrait for each row of a CSV file: generate a picture, put the person's face onto it, archive it.

One task does all rows. A retry goes on at the step where each row was, and pays for nothing twice. The mapped task does the
same for several files at the same time, on as many workers.

If the destination is a folder on the worker's disk, ``[faceswap] allowed_local_paths`` must name it, because the file of the
rows is read from there.
"""

from __future__ import annotations

from airflow.sdk import DAG, ObjectStoragePath, Param, get_current_context, task

from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

#: Name and role.
PEOPLE = [("anna", "a captain"), ("boris", "a gardener")]

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
        with path.open("w") as file:
            file.write("name,role,face\n")
            file.writelines(f"{name},{role},{params['face_image']}\n" for name, role in PEOPLE)
        return str(path)

    # [START chain]
    steps = [
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
    ]

    portraits = MediaBatchOperator(
        task_id="portraits",
        items=write_people(),  # the URI of a CSV file with the columns name, role and face
        steps=steps,
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
        return [[{"name": name, "role": role, "face": face}] for name, role in PEOPLE]

    MediaBatchOperator.partial(
        task_id="portraits_by_batch",
        steps=steps,
        destination="{{ params.destination }}/by_batch",
        filename="{name}",
        keep="all",  # the generated picture, too: as anna-picture
        map_index_template="from {{ task.items[0]['name'] }}",  # the UI's name for each instance
        retries=3,
    ).expand(items=list_batches())
    # [END mapped]
