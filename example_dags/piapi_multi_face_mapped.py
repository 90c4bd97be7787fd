"""
Swap several faces in each picture of a list at PiAPI, one mapped task a picture.

Run it in a pool with ``include_deferred=True`` to limit the jobs that are at the vendor at once.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

with DAG(
    dag_id="piapi_multi_face_mapped",
    schedule=None,
    params={
        "pictures": Param(["https://example.com/group.jpg"], type="array"),
        "faces": Param("https://example.com/two-faces.jpg", type="string"),
        "destination": Param("file:///tmp/faceswap", type="string"),
    },
    tags=["faceswap"],
) as dag:

    @task
    def pictures(params: dict[str, list[str]]) -> list[str]:
        """Name the pictures of this run."""
        return params["pictures"]

    group_pictures = pictures()  # type: ignore[call-arg,misc] # Airflow fills the context in
    # [START several_faces]
    swaps = PiAPIFaceSwapOperator.partial(
        task_id="swap",
        face_image="{{ params.faces }}",
        target_faces=[0, 1],
        source_faces=[1, 0],
        deferrable=True,
        retries=2,
    ).expand(target_image=group_pictures)
    # [END several_faces]
    # [START mapped_archive]
    ArchiveOperator.partial(task_id="archive", destination="{{ params.destination }}", retries=3).expand(
        source=swaps.output
    )
    # [END mapped_archive]
