"""What a batch asks S3 for when all of its items are archived there."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from tests.conftest import NEEDS_STATE_STORE, FakeStore, FakeTaskInstance

pytestmark = [pytest.mark.sandbox, NEEDS_STATE_STORE]

ITEMS = 4


@pytest.mark.parametrize("conn_id", ["gptunnel_default", "piapi_default"])
def test_a_known_item_costs_two_reads_and_no_request_to_a_vendor(sandbox, bucket, door, conn_id):
    def requests():
        return httpx.get(f"{sandbox.url}/sandbox/ledger").json()["requests"]

    def batch(run_id):
        instance = FakeTaskInstance()
        instance.run_id = run_id
        face = f"{sandbox.url}/samples/anna.jpg"
        items = [
            {"target_image": f"{sandbox.url}/samples/emil.png", "face_image": f"{face}?n={number}"}
            for number in range(ITEMS)
        ]
        return FaceSwapBatchOperator(
            task_id="batch",
            conn_id=conn_id,
            items=items,
            destination=f"{bucket.uri}/pictures",
            reuse="archive",
            timeout=86_400,
        ).execute({"ti": instance, "task_state_store": FakeStore()})

    batch("first")
    bought = requests()
    door.seen.clear()
    assert batch("second")["reused"] == ITEMS
    assert requests() == bought
    # The index entry, with a copy of the manifest, and the file itself. One object is written: the batch's manifest.
    assert door.counted == {"get_object": 2 * ITEMS, "put_object": 1}
