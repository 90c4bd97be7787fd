from __future__ import annotations

import json

import httpx
import pytest

GPTUNNEL = {"Authorization": "sandbox-key"}
TENGRAI = {"Authorization": "Bearer sandbox-key"}
PIAPI = {"x-api-key": "sandbox-key"}
CONNECTION_ERRORS = (httpx.RemoteProtocolError, httpx.ReadError)


def balance(desk):
    return desk.get("/v1/balance", GPTUNNEL)


@pytest.mark.parametrize(
    ("fault", "creates"),
    [
        ({"type": "drop", "when": "before"}, 0),
        ({"type": "drop", "when": "after"}, 1),
        ({"type": "hang", "seconds": 0.05}, 1),
        ({"type": "truncate"}, 1),
    ],
)
def test_broken_connections_and_what_they_cost(desk, fault, creates):
    desk.order(fault, vendor="tengrai", operation="create")
    with pytest.raises(CONNECTION_ERRORS):
        desk.swap_tengrai()
    assert desk.ledger()["creates"] == creates
    assert desk.swap_tengrai().status_code == 202


def test_a_hanging_answer_can_be_left(desk):
    desk.order({"type": "hang", "seconds": 60})
    with pytest.raises(httpx.ReadTimeout):
        desk.client.get("/v1/balance", headers=GPTUNNEL, timeout=0.1)
    assert balance(desk).status_code == 200


def test_malformed_answers_are_billed_and_delays_are_harmless(desk):
    desk.order({"type": "malformed"}, operation="create")
    answer = desk.swap_gptunnel()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert desk.ledger()["creates"] == 1
    desk.order({"type": "delay", "seconds": 0.05}, operation="create")
    assert desk.swap_gptunnel().status_code == 200


@pytest.mark.parametrize("billed", [False, True])
def test_status_with_each_vendors_own_body(desk, billed):
    fault = {"type": "status", "status": 503, "retry_after": 7, "billed": billed}
    desk.order(fault, operation="create", times=3)
    answers = [desk.swap_gptunnel(), desk.swap_tengrai(), desk.swap_piapi()]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert [answer.headers["retry-after"] for answer in answers] == ["7"] * 3
    assert answers[0].json()["error"]["type"] == "server_error"
    assert answers[1].json()["statusCode"] == 503
    assert (answers[2].json()["code"], answers[2].json()["data"]) == (503, None)
    assert desk.ledger()["creates"] == (3 if billed else 0)


def test_status_with_a_body_of_choice(desk):
    desk.order({"type": "status", "status": 429, "body": "slow down"})
    desk.order({"type": "status", "status": 400, "body": {"a": 1}})
    assert balance(desk).text == "slow down"
    assert balance(desk).json() == {"a": 1}


def test_skip_times_vendor_operation_and_kind(desk):
    desk.order({"type": "status", "status": 500}, vendor="gptunnel", operation="account", skip=1, times=2)
    assert [balance(desk).status_code for _ in range(4)] == [200, 500, 500, 200]
    desk.order({"type": "status", "status": 500}, kind="media", times=None)
    assert desk.swap_gptunnel().status_code == 200
    media = desk.client.post("/v1/media/create", headers=GPTUNNEL, json={})
    assert media.status_code == 500
    listed = desk.client.get("/sandbox/faults").json()["faults"]
    assert [(fault["times"], fault["hits"]) for fault in listed] == [(0, 2), (None, 1)]
    desk.client.delete("/sandbox/faults")
    assert desk.client.get("/sandbox/faults").json() == {"faults": []}


def reads(desk):
    """A job at each vendor, done; and the reads of it."""
    tasks = [
        desk.swap_gptunnel().json()["id"],
        desk.swap_tengrai().json()["id"],
        desk.swap_piapi().json()["data"]["task_id"],
    ]
    desk.wait()

    def read():
        return [
            desk.get("/v1/faceswap/result", GPTUNNEL, taskId=tasks[0]),
            desk.get(f"/v2/artworks/{tasks[1]}", TENGRAI),
            desk.get(f"/api/v1/task/{tasks[2]}", PIAPI),
        ]

    return read


def test_reads_that_lie(desk):
    read = reads(desk)
    desk.order({"type": "unknown_status", "word": "dreaming"}, times=3)
    one, two, three = (answer.json() for answer in read())
    assert [one["status"], two["status"], three["data"]["status"]] == ["dreaming"] * 3
    desk.order({"type": "no_output"}, times=3)
    one, two, three = (answer.json() for answer in read())
    assert (one["status"], two["status"], three["data"]["status"]) == ("done", "succeeded", "completed")
    assert "result" not in one
    assert two["results"] == []
    assert three["data"]["output"]["image_url"] == ""
    desk.order({"type": "not_found"}, times=3)
    answers = read()
    assert [answer.status_code for answer in answers] == [400, 404, 404]
    assert answers[2].headers["content-type"].startswith("text/plain")
    desk.order({"type": "redirect", "location": "https://elsewhere.test/"}, times=3)
    assert {answer.headers["location"] for answer in read()} == {"https://elsewhere.test/"}


def test_a_job_made_to_fail(desk):
    desk.order({"type": "fail_job", "message": "the model is tired"}, times=3)
    one, two, three = (answer.json() for answer in reads(desk)())
    assert (one["status"], one["error"]) == ("failed", "the model is tired")
    assert (two["status"], "error" in two) == ("failed", False)
    assert (three["data"]["status"], three["data"]["error"]["message"]) == ("failed", "the model is tired")


def _download(desk, url):
    """What arrives of a download that breaks off, and the announced length."""
    received = bytearray()
    with desk.client.stream("GET", url) as response:
        try:
            for chunk in response.iter_bytes():
                received += chunk
        except CONNECTION_ERRORS:
            return bytes(received), int(response.headers["content-length"])
    pytest.fail("the download did not break off")


def test_downloads(desk):
    url = reads(desk)()[1].json()["results"][0]
    whole = desk.client.get(url).content
    desk.order({"type": "expired"}, vendor="files")
    gone = desk.client.get(url)
    assert (gone.status_code, b"NoSuchKey" in gone.content) == (404, True)
    desk.order({"type": "truncate"}, vendor="tengrai", operation="download")
    received, length = _download(desk, url)
    assert length == len(whole)
    assert received == whole[: len(whole) // 2]
    assert desk.client.get(url, headers=TENGRAI).status_code == 400
    assert desk.client.get(url, headers=PIAPI).status_code == 400
    assert desk.client.get(url.split("?")[0]).status_code == 403
    assert desk.client.get(url + "x").status_code == 403
    assert desk.client.get(url).content == whole


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ([], "object"),
        ({}, "fault must be"),
        ({"fault": {"type": "no"}}, "fault.type"),
        ({"fault": {"type": "status"}}, "needs the field 'status'"),
        ({"fault": {"type": "status", "status": 99}}, "from 200"),
        ({"fault": {"type": "status", "status": True}}, "type int"),
        ({"fault": {"type": "hang", "seconds": -1}}, "negative"),
        ({"fault": {"type": "drop", "when": "later"}}, "before"),
        ({"fault": {"type": "truncate", "half": 1}}, "no field"),
        ({"fault": {"type": "truncate"}, "vendor": "other"}, "vendor must"),
        ({"fault": {"type": "truncate"}, "kind": 1}, "kind must"),
        ({"fault": {"type": "truncate"}, "times": 0}, "times must"),
        ({"fault": {"type": "truncate"}, "skip": -1}, "skip must"),
        ({"fault": {"type": "truncate"}, "more": 1}, "unknown fields"),
        ({"fault": {"type": "fail_job", "message": "m"}, "operation": "fetch"}, "applies only to: create"),
    ],
)
def test_wrong_orders_say_what_is_wrong(desk, order, text):
    answer = desk.client.post("/sandbox/faults", json=order)
    assert answer.status_code == 422
    assert text in answer.json()["error"]
