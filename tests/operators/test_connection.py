"""F8, K7: a connection that is missing, and what it means for a job that may be paid."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

pytestmark = pytest.mark.usefixtures("clock")

PICTURES = {"target_image": "https://a.test/1.png", "face_image": "https://a.test/2.png"}
RUNNING = {"id": "j1", "status": "processing", "percent": 5}


def own(**more):
    return GPTunnelFaceSwapOperator(task_id="swap", conn_id="mine", timeout=1, **PICTURES, **more)


def failover(**more):
    return FaceSwapOperator(task_id="swap", conn_ids=["mine", "piapi_default"], timeout=1, **PICTURES, **more)


both = pytest.mark.parametrize("make", [own, failover])


@both
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_missing_connection_fails_at_once_and_buys_nowhere(vendor, context, make, deferrable):
    with pytest.raises(
        AirflowFailException, match=r"connection 'mine' was not found.*Create a connection.*'gptunnel'"
    ):
        make(deferrable=deferrable).execute(context)
    assert vendor.requests == []


@both
@pytest.mark.parametrize("fate", ["submitted", "unknown"])
def test_a_connection_that_is_missing_in_the_retry_leaves_the_job_to_the_next_retry(
    vendor, context, make, fate, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", '{"conn_type": "gptunnel", "password": "k-1"}')
    vendor.will(RUNNING if fate == "submitted" else TimeoutError("nobody answers"), *[RUNNING] * 9)
    with pytest.raises((FaceSwapError, TimeoutError)):
        make().execute(context)
    monkeypatch.delenv("AIRFLOW_CONN_MINE")
    vendor.requests.clear()
    with pytest.raises(
        FaceSwapError, match=r"'mine' was not found.*then retry\. An earlier attempt"
    ) as caught:
        make().execute(context)
    assert not isinstance(caught.value, AirflowFailException), "the secrets backend may only be away"
    assert vendor.requests == []
