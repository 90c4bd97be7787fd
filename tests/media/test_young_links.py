"""A link to a picture that was made a moment ago."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook


@pytest.fixture(autouse=True)
def connection(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GPTUNNEL_DEFAULT", '{"conn_type": "gptunnel", "password": "a-key"}')


LINKS = {"target_image": "https://files.test/young.png", "face_image": "https://files.test/face.png"}


def test_a_link_that_works_a_moment_later_is_checked_then(web, picture, clock):
    web.will(httpx.Response(404), picture(size=(512, 512)), picture(size=(512, 512)))
    assert (
        GPTunnelHook().prepare("face_swap", preflight="check", **LINKS).body["sourceImage"]
        == LINKS["target_image"]
    )
    assert sum(clock.slept) == 2


def test_a_link_that_stays_away_is_an_error_after_six_seconds(web, clock):
    web.will(*[httpx.Response(404)] * 3)
    with pytest.raises(InvalidRequestError, match="This attempt bought nothing"):
        GPTunnelHook().prepare("face_swap", preflight="check", **LINKS)
    assert sum(clock.slept) == 6
