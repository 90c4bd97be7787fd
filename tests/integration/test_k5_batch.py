"""K5: odd answers in the middle of a batch, over real sockets: no item is lost, and none is paid for twice."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_faceswap.exceptions import BatchFailedError
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

pytestmark = pytest.mark.sandbox

VENDORS = ["gptunnel", "tengrai", "piapi"]
HTML = "<html><title>Access denied</title></html>"
FORBIDDEN = {"message": "Forbidden"}


@pytest.fixture
def batch(sandbox, tmp_path, context):
    """Run a batch of two items at a vendor; its operator's result."""
    items = [
        {"target_image": f"{sandbox.url}/samples/emil.png", "face_image": f"{sandbox.url}/samples/{name}.png"}
        for name in ("anna", "boris")
    ]

    def run(vendor):
        return FaceSwapBatchOperator(
            task_id="batch",
            items=items,
            conn_id=f"{vendor}_default",
            destination=f"file://{tmp_path}/pictures",
            timeout=86_400,
        ).execute(context)

    return run


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "what",
    [
        {"type": "status", "status": 403, "body": HTML},
        {"type": "status", "status": 403, "body": FORBIDDEN},
        {"type": "status", "status": 400, "body": "Request Header Or Cookie Too Large"},
        {"type": "status", "status": 404, "body": HTML},
        {"type": "status", "status": 401, "body": FORBIDDEN},
        {"type": "redirect", "location": "https://status.test/maintenance"},
        {"type": "malformed"},
    ],
    ids=lambda what: f"{what['type']}-{what.get('status', '')}",
)
def test_a_few_odd_answers_cost_no_item_of_a_batch(batch, fault, ledger, vendor, what):
    fault(vendor, "fetch", times=6, **what)
    assert batch(vendor)["archived"] == 2
    assert ledger()["creates"] == 2


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "what",
    [
        {"type": "status", "status": 403, "body": HTML},
        {"type": "status", "status": 401},
        {"type": "redirect", "location": "https://status.test/maintenance"},
    ],
    ids=["firewall", "revoked key", "maintenance page"],
)
def test_a_retry_of_a_batch_resumes_each_job_after_odd_answers_without_end(
    sandbox, batch, fault, ledger, vendor, what
):
    fault(vendor, "fetch", times=None, **what)
    with pytest.raises(BatchFailedError):
        batch(vendor)
    httpx.delete(f"{sandbox.url}/sandbox/faults").raise_for_status()
    assert batch(vendor)["archived"] == 2
    assert ledger()["creates"] == 2
