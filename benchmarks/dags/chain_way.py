"""Chains of two jobs: one task for each job and each archive, mapped; and one task for all."""

from __future__ import annotations

from airflow.sdk import DAG, task_group
from bench_common import SETTINGS, dags_of, faces, folder

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator

#: What the first job is told beside its prompt: it redraws a small picture, which costs the machine little.
PICTURE = {"imageUrl": SETTINGS["target"], "processingMode": "retake", "outputFormat": "png"}


def people(size: int) -> list[dict[str, str]]:
    """The items: a prompt and a face each."""
    return [{"role": f"person {number}", "face": face} for number, face in enumerate(faces(size))]


def batch_of(dag_id: str, size: int, *, thumbnails: bool = True) -> DAG:
    """Make the Dag with one task for so many chains."""
    with DAG(dag_id=dag_id, schedule=None) as dag:
        MediaBatchOperator(
            task_id="batch",
            items=people(size),
            steps=[
                Step(
                    "picture",
                    "tengrai_default",
                    "selena_variete",
                    parameters={"prompt": "portrait of {role}", **PICTURE},
                ),
                Step(
                    "swap",
                    "gptunnel_default",
                    "face_swap",
                    target_image="{picture}",
                    face_image="{face}",
                ),
            ],
            destination=f"file://{folder(dag_id)}",
            concurrency=SETTINGS["concurrency"],
            thumbnails=thumbnails,
            retries=0,
        )
    return dag


def mapped_of(dag_id: str, size: int) -> DAG:
    """Make the Dag with three tasks for each chain."""
    with DAG(dag_id=dag_id, schedule=None) as dag:
        waits = {
            "deferrable": True,
            "timeout": SETTINGS["timeout"],
            "retries": 0,
            "multiple_outputs": False,
        }

        @task_group
        def one(parameters: dict[str, str], face: str) -> None:
            """Generate, swap, archive."""
            picture = TengraiArtworkOperator(
                task_id="picture", artwork="selena_variete", parameters=parameters, **waits
            )
            swap = GPTunnelFaceSwapOperator(
                task_id="swap", target_image=picture.output, face_image=face, **waits
            )
            ArchiveOperator(
                task_id="archive", source=swap.output, destination=f"file://{folder(dag_id)}", retries=0
            )

        one.expand_kwargs(
            [
                {"parameters": {"prompt": f"portrait of {one['role']}", **PICTURE}, "face": one["face"]}
                for one in people(size)
            ]
        )
    return dag


for _row, _dag_id, _size in dags_of("chain_batch", "chain_batch_plain", "chain_mapped"):
    if _row == "chain_mapped":
        globals()[_dag_id] = mapped_of(_dag_id, _size)
    else:
        globals()[_dag_id] = batch_of(_dag_id, _size, thumbnails=_row == "chain_batch")
