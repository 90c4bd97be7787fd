"""Pictures of every sort for the gallery: mapped swaps, a batch with a failed item, a swap that fails."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

SAMPLES, PICTURES = f"{os.environ['GALLERY_SANDBOX']}/samples", os.environ["GALLERY_PICTURES"]

with DAG(dag_id="gallery_pictures", schedule=None):
    swap = GPTunnelFaceSwapOperator.partial(
        task_id="swap", conn_id="gallery_gptunnel", face_image=f"{SAMPLES}/anna.jpg", deferrable=True
    ).expand(target_image=[f"{SAMPLES}/{name}.jpg" for name in ("boris", "clara")])
    ArchiveOperator.partial(task_id="archive", destination=f"{PICTURES}/mapped").expand(source=swap.output)
    FaceSwapBatchOperator(
        task_id="batch",
        conn_id="gallery_gptunnel",
        destination=f"{PICTURES}/batch",
        items=[
            {"target_image": f"{SAMPLES}/david.jpg", "face_image": f"{SAMPLES}/{face}.jpg"}
            for face in ("boris", "landscape")
        ],
        fail_on="all",
    )
    GPTunnelFaceSwapOperator(
        task_id="no_face",
        conn_id="gallery_gptunnel",
        target_image=f"{SAMPLES}/boris.jpg",
        face_image=f"{SAMPLES}/landscape.jpg",
    )
