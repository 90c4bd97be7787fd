"""
Swap several faces in each picture of a list at PiAPI, with one mapped task per picture.

To limit how many jobs run at the vendor at the same time, use a pool with ``include_deferred=True``.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, get_current_context, task

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

with DAG(
    dag_id="piapi_multi_face_mapped",
    schedule=None,
    params={
        "pictures": Param(
            ["https://example.com/group.jpg"],
            type="array",
            title="Pictures",
            description="The pictures whose faces are replaced, one link on each line",
        ),
        "faces": Param(
            "https://example.com/two-faces.jpg",
            type="string",
            title="Faces",
            description="A picture with as many faces as are replaced",
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
    # [START several_faces]
    @task
    def pictures() -> list[str]:
        """List the pictures of this run."""
        return list(get_current_context()["params"]["pictures"])

    swaps = PiAPIFaceSwapOperator.partial(
        task_id="swap",
        face_image="{{ params.faces }}",
        target_faces=[0, 1],
        source_faces=[1, 0],
        map_index_template="{{ task.target_image.split('/')[-1] }}",  # the UI's name for each instance
        deferrable=True,
        retries=2,
    ).expand(target_image=pictures())
    # [END several_faces]
    # [START mapped_archive]
    ArchiveOperator.partial(
        task_id="archive",
        destination="{{ params.destination }}",
        map_index_template="{{ task.source['job_id'] }}",
        retries=3,
    ).expand(source=swaps.output)
    # [END mapped_archive]
