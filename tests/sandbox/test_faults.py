from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap.sandbox.unkind import UNKIND

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


def test_a_fault_can_be_counted_for_each_job(desk):
    tasks = [desk.swap_gptunnel().json()["id"] for _ in range(2)]
    desk.order({"type": "status", "status": 500}, operation="fetch", skip=1, per_job=True)

    def statuses(task):
        return [desk.get("/v1/faceswap/result", GPTUNNEL, taskId=task).status_code for _ in range(3)]

    assert [statuses(task) for task in tasks] == [[200, 500, 200]] * 2
    [listed] = desk.client.get("/sandbox/faults").json()["faults"]
    assert (listed["per_job"], listed["times"], listed["skip"], listed["hits"]) == (True, 1, 1, 2)


@pytest.mark.parametrize("body", UNKIND)
def test_what_makes_the_sandbox_unkind_are_faults_that_can_be_injected(desk, body):
    assert desk.client.post("/sandbox/faults", json=body).status_code == 201


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


@pytest.mark.parametrize("status", [400, 402, 403, 429, 500])
@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        (
            "busy",
            ("too many requests", "too many requests", "active task count 5 has reached the plan limit"),
        ),
        ("no_credits", ("insufficient balance", "not enough credits", "insufficient credits")),
    ],
)
def test_busy_and_broke_are_words_at_any_status(desk, reason, texts, status):
    desk.order({"type": "refuse", "reason": reason, "status": status}, operation="create", times=3)
    one, two, three = desk.swap_gptunnel(), desk.swap_tengrai(), desk.swap_piapi()
    assert {answer.status_code for answer in (one, two, three)} == {status}
    shown = [one.json()["error"]["message"], two.json()["message"], three.json()["message"]]
    assert all(text in message.lower() for text, message in zip(texts, shown, strict=True))
    assert (two.json()["statusCode"], three.json()["code"]) == (status, status)
    assert desk.ledger()["creates"] == 0


def test_an_empty_account_is_refused_with_the_vendors_words(desk):
    desk.client.post("/sandbox/settings", json={"balance": 0})
    one, two, three = desk.swap_gptunnel(), desk.swap_tengrai(), desk.swap_piapi()
    assert {answer.status_code for answer in (one, two, three)} == {402}
    assert one.json()["error"]["message"] == "Organization balance is too low to use API"
    assert (two.json()["message"], three.json()["message"]) == ("Not enough credits", "insufficient credits")
    desk.order({"type": "hide_cause", "place": "logs"}, vendor="piapi")
    hidden = desk.swap_piapi()
    assert (hidden.status_code, hidden.json()["message"]) == (402, "failed")
    assert "insufficient credits" in hidden.json()["data"]["logs"]


PLACES = {
    "raw_message": lambda task: task["error"]["raw_message"],
    "logs": lambda task: task["logs"][1],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_cause_can_be_in_one_place_only(desk, place):
    desk.order({"type": "hide_cause", "place": place}, vendor="piapi", times=None)
    desk.order({"type": "fail_job", "message": "a safety system said no"}, vendor="piapi")
    task = desk.swap_piapi().json()["data"]
    assert (task["status"], task["error"]["message"], task["logs"]) == ("pending", "", [])
    born = desk.swap_piapi(target_image="not base64!").json()["data"]
    desk.wait()
    failed = desk.get(f"/api/v1/task/{task['task_id']}", PIAPI).json()["data"]
    refused = desk.swap_piapi(target_image="")
    busy = {"type": "refuse", "reason": "busy", "status": 403}
    desk.order(busy, vendor="piapi")
    full = desk.swap_piapi()
    causes = {
        "a safety system said no": failed,
        "failed to get valid image": born,
        "invalid request: target_image is required": refused.json()["data"],
        "active task count 5 has reached the plan limit": full.json()["data"],
    }
    for cause, shown in causes.items():
        assert (shown["status"], PLACES[place](shown)) == ("failed", cause)
        assert cause not in shown["error"]["message"]
        assert str(shown).count(cause) == 1
    assert (refused.status_code, refused.json()["message"]) == (400, "failed")
    assert (full.status_code, full.json()["data"]["task_id"]) == (403, "")


def test_links_without_a_suffix_can_be_refused(desk):
    bare = desk.sample("anna.jpg") + "#"
    upload = {"file_name": "face.jpg", "file_data": "aGVsbG8="}
    stored = desk.client.post("/api/ephemeral_resource", headers=PIAPI, json=upload).json()["data"]["url"]
    desk.order({"type": "strict_links"}, times=None)
    assert desk.swap_piapi(target_image=bare).json()["data"]["status"] == "pending"
    cut = desk.swap_piapi(target_image=f"{desk.url}/task/image/{'0' * 24}?cache=100.png").json()["data"]
    assert (cut["status"], cut["error"]["message"]) == ("failed", "failed to get valid image")
    video = desk.task_piapi(
        model="Qubico/video-toolkit", swap_image=stored, target_video=desk.sample("clip.mp4") + ".mov"
    ).json()["data"]
    assert (video["status"], video["error"]["message"]) == ("failed", "failed to get valid video")


def test_a_new_result_can_reach_the_storage_late(desk):
    desk.order({"type": "not_ready", "seconds": 5}, times=None)
    url = reads(desk)()[1].json()["results"][0]
    assert desk.client.get(url).status_code == 404
    desk.clock.now += 4
    assert desk.client.get(url).status_code == 404
    desk.clock.now += 1
    assert desk.client.get(url).status_code == 200


def test_how_a_vendor_answers_is_combined_with_one_more_fault(desk):
    desk.order({"type": "not_ready", "seconds": 5}, vendor="files", times=None)
    desk.order({"type": "hide_cause", "place": "logs"}, times=1)
    desk.order({"type": "status", "status": 503}, operation="fetch", times=1)
    task = desk.swap_piapi(target_image=desk.sample("landscape.jpg")).json()["data"]["task_id"]
    desk.wait()
    assert desk.get(f"/api/v1/task/{task}", PIAPI).status_code == 503
    hidden = desk.get(f"/api/v1/task/{task}", PIAPI).json()["data"]
    assert "no face found in the image" in hidden["logs"]
    shown = desk.get(f"/api/v1/task/{task}", PIAPI).json()["data"]
    assert shown["error"]["message"] == "no face found in the image"
    listed = desk.client.get("/sandbox/faults").json()["faults"]
    assert [(fault["times"], fault["hits"]) for fault in listed] == [(None, 0), (0, 1), (0, 1)]


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
        ({"fault": {"type": "refuse", "reason": "tired", "status": 400}}, "'busy' or 'no_credits'"),
        ({"fault": {"type": "refuse", "reason": "busy", "status": 9}}, "from 200"),
        ({"fault": {"type": "hide_cause", "place": "detail"}}, "'raw_message' or 'logs'"),
        ({"fault": {"type": "not_ready"}}, "needs the field 'seconds'"),
        ({"fault": {"type": "fail_in", "field": "text", "message": "m"}}, "'message' or 'error' or"),
        ({"fault": {"type": "result_format", "format": "gif"}}, "'jpg' or 'webp' or 'avif'"),
    ],
)
def test_wrong_orders_say_what_is_wrong(desk, order, text):
    answer = desk.client.post("/sandbox/faults", json=order)
    assert answer.status_code == 422
    assert text in answer.json()["error"]


def test_the_page_lists_every_type_of_fault(desk):
    refused = desk.client.post("/sandbox/faults", json={"fault": {"type": "no-such"}}).json()["error"]
    types = refused.removeprefix("fault.type must be one of: ").split(", ")
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert len(types) >= 16
    assert [name for name in types if f"\n| `{name}` |" not in page] == []
