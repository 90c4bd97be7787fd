"""Wait for a job that was submitted elsewhere, by its id, and archive its result."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.sensors.job import JobSensor

with DAG(
    dag_id="archive_known_job",
    schedule=None,
    params={
        "conn_id": Param(
            "piapi_default",
            type="string",
            title="Connection",
            description="The Airflow connection of the account that the job belongs to",
        ),
        "job_id": Param(
            "00000000-0000-0000-0000-000000000000",
            type="string",
            title="Job id",
            description="The id of the job at the vendor",
        ),
        "kind": Param(
            "face_swap",
            type="string",
            title="Kind",
            description="What the job does, such as face_swap or image",
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
    # [START sensor]
    job = JobSensor(
        task_id="wait",
        conn_id="{{ params.conn_id }}",
        job_id="{{ params.job_id }}",
        kind="{{ params.kind }}",
        timeout=3600,
        deferrable=True,
        retries=2,
    )
    # [END sensor]
    ArchiveOperator(task_id="archive", source=job.output, destination="{{ params.destination }}", retries=3)
