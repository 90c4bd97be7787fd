"""
Submit a job and leave. The vendor's webhook starts a run that archives the result; an hourly run collects the rest.

The webhook is only a hint. Which jobs there are is said by the records in ``open_jobs``, which the submitting task writes
and the last task of a job deletes. So an unknown or repeated job id does nothing, and a lost webhook costs an hour.
"""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk import DAG, Asset, ObjectStoragePath, Param, get_current_context, task, task_group

from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.sensors.job import JobSensor

# The receiver of the webhooks adds an event to it for each one; the event's extra has the job's id.
finished = Asset("faceswap-finished-jobs")

open_jobs = Param(
    "file:///tmp/faceswap/open-jobs",
    type="string",
    title="Open jobs",
    description="The folder in object storage with a record of each open job",
)

with DAG(
    dag_id="submit_and_leave",
    schedule=None,
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
        "conn_id": Param(
            "piapi_default",
            type="string",
            title="Connection",
            description="The Airflow connection of the account that the job belongs to",
        ),
        "open_jobs": open_jobs,
    },
    doc_md=__doc__,
    tags=["faceswap"],
) as dag:

    @task(retries=0)  # a retry would pay again
    def submit(conn_id: str, target_image: str, face_image: str, open_jobs: str) -> str:
        """Submit a job and record it. The address of the webhook and its secret are in the connection."""
        with PiAPIHook(conn_id) as hook:
            job = hook.submit("face_swap", target_image=target_image, face_image=face_image)
        folder = ObjectStoragePath(open_jobs)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"conn_id": conn_id, "kind": "face_swap", "job_id": job.job_id}
        (folder / f"{job.job_id}.json").write_text(json.dumps(record))
        return job.job_id

    submit(
        "{{ params.conn_id }}",
        "{{ params.target_image }}",
        "{{ params.face_image }}",
        "{{ params.open_jobs }}",
    )


@task
def jobs_to_collect(open_jobs: str) -> list[dict[str, str]]:
    """List the open jobs that the events name, or all of them if the clock started the run."""
    folder = ObjectStoragePath(open_jobs)
    records = [json.loads(path.read_text()) for path in folder.iterdir()] if folder.exists() else []
    triggering: Any = get_current_context().get("triggering_asset_events") or {}
    if triggering:
        named = {event.extra.get("job_id") for events in triggering.values() for event in events}
        records = [record for record in records if record["job_id"] in named]
    return records


@task(map_index_template="{{ task.op_args[1] }}")
def close(open_jobs: str, job_id: str) -> None:
    """Delete the record of a job whose result is archived."""
    (ObjectStoragePath(open_jobs) / f"{job_id}.json").unlink(missing_ok=True)


def collecting(dag_id: str, schedule: Any) -> DAG:
    """Make a Dag that archives the results of open jobs."""
    with DAG(
        dag_id=dag_id,
        schedule=schedule,
        catchup=False,
        params={
            "open_jobs": open_jobs,
            "destination": Param(
                "file:///tmp/faceswap/finished",
                type="string",
                title="Destination",
                description="The folder in object storage that the result is written to",
            ),
        },
        doc_md=__doc__,
        tags=["faceswap"],
    ) as made:

        @task_group
        def collect(conn_id: str, kind: str, job_id: str) -> None:
            """Collect one job. One that failed does not hold up the others."""
            # Polls the vendor, who alone knows how the job ended.
            result = JobSensor(
                task_id="result",
                conn_id=conn_id,
                kind=kind,
                job_id=job_id,
                map_index_template="{{ task.job_id }}",
                deferrable=True,
                retries=2,
            )
            archive = ArchiveOperator(
                task_id="archive",
                source=result.output,
                destination="{{ params.destination }}",
                map_index_template="{{ task.source['job_id'] }}",
                retries=3,
            )
            archive >> close("{{ params.open_jobs }}", job_id)

        collect.expand_kwargs(jobs_to_collect("{{ params.open_jobs }}"))
    return made


on_webhook = collecting("collect_finished_jobs", [finished])
every_hour = collecting("collect_left_jobs", "@hourly")
