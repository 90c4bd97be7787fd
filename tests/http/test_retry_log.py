"""What is logged when a request is sent again."""

from __future__ import annotations

import logging

import httpx
import pytest
import stamina
from structlog.testing import capture_logs

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.http.retry_log import plain_retry_log


def test_a_repeated_request_is_one_plain_sentence(vendor, answer, caplog):
    vendor.will(httpx.Response(503, text="busy"), answer("processing"))
    with capture_logs() as raw, caplog.at_level(logging.WARNING):
        GPTunnelHook().fetch("65819c485337280001a609e7", "face_swap")
    [line] = [record.getMessage() for record in caplog.records if record.name.endswith("retry_log")]
    assert line.startswith("gptunnel: ")
    assert line.endswith("The request is repeated in 0.0 s.")
    assert not any("stamina" in str(entry) for entry in raw)


def test_the_retries_of_other_code_are_logged_as_before(no_waiting_between_tries):
    plain_retry_log()

    @stamina.retry(on=OSError, attempts=2)
    def theirs():
        raise OSError("theirs")

    with capture_logs() as raw, pytest.raises(OSError, match="theirs"):
        theirs()
    assert [entry["event"] for entry in raw] == ["stamina.retry_scheduled"]
