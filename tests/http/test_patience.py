"""Patience with a link that does not work yet: how long, how often, and for which links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from airflow_provider_faceswap import __version__
from airflow_provider_faceswap.exceptions import ResultExpiredError
from airflow_provider_faceswap.http.client import async_client, sync_client
from airflow_provider_faceswap.http.patience import next_pause, patience_for
from airflow_provider_faceswap.operators.archive import ArchiveOperator

pytestmark = pytest.mark.usefixtures("alone", "one_after_the_other")

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
AGO = {name: NOW - timedelta(**{name: 1}) for name in ("minutes", "hours", "days", "weeks")}


@pytest.mark.parametrize(
    ("expires_at", "finished_at", "seconds"),
    [
        (NOW + timedelta(hours=1), AGO["weeks"], 180),
        (AGO["minutes"], AGO["days"], 0),
        (None, AGO["minutes"], 180),
        (None, AGO["weeks"], 0),
        (None, None, 6),
    ],
)
def test_patience_lasts_as_long_as_the_result_is_kept(expires_at, finished_at, seconds):
    assert patience_for(expires_at, finished_at, NOW) == seconds


def test_the_tries_are_frequent_at_first_and_go_on_for_minutes():
    pauses, waited = [], 0.0
    while (pause := next_pause(len(pauses) + 1, waited, 180)) is not None:
        pauses.append(pause)
        waited += pause
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert next_pause(1, 0, 0) is None


@pytest.fixture
def archive(tmp_path, context, clock, web):
    def archive(source):
        return ArchiveOperator(task_id="keep", source=source, destination=f"file://{tmp_path}/kept").execute(
            context
        )

    return archive


def young(made, clock, **more):
    return made(
        finished_at=clock.moment().isoformat(),
        expires_at=(clock.moment() + timedelta(days=3)).isoformat(),
        **more,
    )


@pytest.mark.parametrize("statuses", [(404, 404), (403,), (404, 403, 503), (404,) * 8])
def test_a_young_link_may_need_time(archive, web, made, clock, picture, statuses):
    web.will(*map(httpx.Response, statuses), picture())
    assert archive(young(made, clock))["media_type"] == "image/png"
    assert clock.slept


def test_a_link_without_its_job_gets_some_seconds(archive, web, clock, picture):
    web.will(httpx.Response(404), httpx.Response(404), picture())
    assert archive("https://files.test/a.png")["media_type"] == "image/png"
    assert clock.slept == [2, 4]


def test_a_young_link_that_stays_dead_is_the_same_error_as_ever(archive, web, made, clock):
    web.will(*[httpx.Response(404)] * 20)
    with pytest.raises(ResultExpiredError, match="HTTP 404") as caught:
        archive(young(made, clock))
    assert type(caught.value) is ResultExpiredError
    assert caught.value.job_id
    assert sum(clock.slept) == 180


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_old_link_and_a_file_that_is_gone_are_not_waited_for(archive, web, made, clock, status):
    web.will(httpx.Response(status))
    old = {"expires_at": (clock.moment() - timedelta(minutes=1)).isoformat()}
    source = young(made, clock) if status == 410 else made(**old)
    with pytest.raises(ResultExpiredError, match=f"HTTP {status}"):
        archive(source)
    assert not clock.slept


def test_after_a_wait_in_vain_the_other_links_of_a_task_get_some_seconds(archive, web, made, clock):
    web.will(*[httpx.Response(403)] * 100)
    with pytest.raises(ResultExpiredError):
        archive([young(made, clock, job_id=str(number)) for number in range(10)])
    assert sum(clock.slept) == 180 + 9 * 6


def test_requests_to_an_api_name_this_package_too():
    name = f"airflow-provider-faceswap/{__version__}"
    with sync_client() as client:
        assert client.headers["user-agent"] == name
    assert async_client().headers["user-agent"] == name
