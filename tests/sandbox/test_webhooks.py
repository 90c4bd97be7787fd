"""The sandbox's webhooks, received over real sockets; the clock is the test's, so no test waits for an attempt."""

from __future__ import annotations

import threading

import httpx
import pytest

from airflow_provider_faceswap.sandbox import SandboxServer, Settings
from airflow_provider_faceswap.sandbox.__main__ import main
from tests.receiver import Receiver
from tests.sandbox.conftest import GPTUNNEL, JOB_SECONDS, PIAPI, TENGRAI

SECRET = "a-secret-of-this-test"
PUBLIC = "https://hooks.example.com"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def piapi(desk, receiver):
    """Submit a face swap with a webhook to PiAPI."""

    def submit(url=f"{receiver.url}/piapi", secret=SECRET, task=None):
        config = {"webhook_config": {"endpoint": url, "secret": secret}}
        given = task or {
            "task_type": "face-swap",
            "target_image": desk.sample("anna.jpg"),
            "swap_image": desk.sample("boris.png"),
        }
        return desk.task_piapi(config=config, **given).json()["data"]["task_id"]

    return submit


@pytest.fixture
def media(desk, receiver):
    """Submit a picture with a callback to GPTunneL's media API."""

    def submit(prompt="a woman in red"):
        body = {
            "model": "gpt-image-1-low",
            "prompt": prompt,
            "callback_url": f"{receiver.url}/media",
        }
        return desk.client.post("/v1/media/create", headers=GPTUNNEL, json=body).json()["id"]

    return submit


def ended(desk, seconds=JOB_SECONDS):
    """Let jobs end, and all webhooks that are then due be sent."""
    desk.wait(seconds)
    desk.server.sandbox.webhooks.settle()


def test_piapi_sends_the_task_with_the_secret_in_a_header(desk, receiver, piapi):
    task = piapi()
    ended(desk)
    [(path, headers, body)] = receiver.received
    read = desk.get(f"/api/v1/task/{task}", PIAPI).json()["data"]
    assert path == "/piapi"
    assert headers["x-webhook-secret"] == SECRET
    assert body == {"timestamp": int(desk.clock.now), "data": read}
    assert (read["status"], read["config"]["webhook_config"]["secret"]) == ("completed", SECRET)


def test_piapi_sends_no_secret_header_without_a_secret(desk, receiver, piapi):
    piapi(secret="")
    ended(desk)
    [(_, headers, _)] = receiver.received
    assert "x-webhook-secret" not in {name.lower() for name in headers}


def test_nothing_is_sent_before_the_end_or_without_an_address(desk, receiver, piapi):
    piapi()
    desk.swap_piapi()
    ended(desk, JOB_SECONDS - 1)
    assert receiver.received == []
    ended(desk, 1)
    assert len(receiver.received) == 1
    assert len(desk.ledger()["webhooks"]) == 1


def test_piapi_sends_a_failed_task_too_also_one_that_was_born_failed(desk, receiver, piapi):
    unreadable = {
        "task_type": "face-swap",
        "target_image": "bm8gcGljdHVyZQ==",
        "swap_image": desk.sample("boris.png"),
    }
    desk.order({"type": "fail_job", "message": "no face"}, vendor="piapi")
    tasks = [piapi(), piapi(task=unreadable)]
    ended(desk)
    told = {body["data"]["task_id"]: body["data"]["status"] for _, _, body in receiver.received}
    assert told == dict.fromkeys(tasks, "failed")


def test_a_canceled_task_sends_nothing(desk, receiver, piapi):
    task = piapi()
    desk.client.delete(f"/api/v1/task/{task}", headers=PIAPI)
    ended(desk)
    assert receiver.received == []
    [told] = desk.ledger()["webhooks"]
    assert (told["state"], told["attempts"]) == ("not sent", [])


@pytest.mark.parametrize("status", [302, 404, 500])
def test_piapi_tries_three_times_five_seconds_apart(desk, receiver, piapi, status):
    receiver.answers = [status] * 9
    piapi()
    ended(desk)
    for attempts in (1, 2, 3):
        assert len(receiver.received) == attempts
        ended(desk, 4.9)
        assert len(receiver.received) == attempts
        ended(desk, 0.2)
    assert len(receiver.received) == 3
    [told] = desk.ledger()["webhooks"]
    assert told["state"] == "failed"
    assert [attempt["status"] for attempt in told["attempts"]] == [status] * 3
    first, second, third = (attempt["at"] for attempt in told["attempts"])
    assert second - first >= 5
    assert third - second >= 5


def test_a_lost_webhook_never_arrives(desk, receiver, piapi):
    desk.order({"type": "drop_webhook", "when": "before"}, vendor="piapi")
    desk.swap_piapi()  # without an address: the fault is for the next one
    piapi()
    for _ in range(4):
        ended(desk)
    assert receiver.received == []
    [told] = desk.ledger()["webhooks"]
    assert (told["state"], len(told["attempts"])) == ("failed", 3)
    assert "dropped by a fault before it arrived" in told["attempts"][0]["error"]


def test_a_webhook_whose_response_is_lost_arrives_more_than_once(desk, receiver, piapi):
    desk.order({"type": "drop_webhook", "when": "after"}, vendor="piapi")
    task = piapi()
    for _ in range(4):
        ended(desk)
    assert [body["data"]["task_id"] for _, _, body in receiver.received] == [task] * 3


def test_a_late_webhook_comes_that_long_after_the_end(desk, receiver, piapi):
    desk.order({"type": "delay_webhook", "seconds": 600}, operation="create", kind="face_swap")
    piapi()
    ended(desk)
    ended(desk, 599)
    assert receiver.received == []
    ended(desk, 1)
    assert len(receiver.received) == 1


def test_piapis_midjourney_also_reports_its_progress(desk, receiver, piapi):
    piapi(task={"model": "midjourney", "task_type": "imagine", "prompt": "a woman in red"})
    ended(desk, JOB_SECONDS / 2)
    ended(desk, JOB_SECONDS / 2)
    told = [(body["data"]["status"], bool(body["data"]["output"])) for _, _, body in receiver.received]
    assert [status for status, _ in told] == ["processing", "completed"]
    assert told[-1][1]


def test_nothing_follows_an_accepted_attempt(desk, receiver, piapi):
    receiver.answers = [503, 202]
    piapi()
    for _ in range(4):
        ended(desk)
    [told] = desk.ledger()["webhooks"]
    assert told["state"] == "delivered"
    assert [attempt["status"] for attempt in told["attempts"]] == [503, 202]


def test_tengrai_sends_the_final_artwork_once(desk, receiver):
    receiver.answers = [500]
    desk.client.post("/sandbox/settings", json={"webhooks_to": receiver.url})
    artwork = desk.swap_tengrai(webhook=f"{PUBLIC}/tengrai?for=me").json()["id"]
    ended(desk)
    ended(desk)
    [(path, _, body)] = receiver.received
    assert path == "/tengrai?for=me"
    assert body == desk.get(f"/v2/artworks/{artwork}", TENGRAI).json()
    assert body["status"] == "succeeded"


def test_gptunnel_sends_what_its_result_shows(desk, receiver):
    body = {
        "sourceImage": desk.sample("anna.jpg"),
        "faceImage": desk.sample("boris.png"),
        "webhook": f"{receiver.url}/swap",
    }
    task = desk.client.post("/v1/faceswap/create", headers=GPTUNNEL, json=body).json()["id"]
    ended(desk)
    [(_, _, told)] = receiver.received
    assert told == desk.get("/v1/faceswap/result", GPTUNNEL, taskId=task).json()
    assert told["status"] == "done"


def test_gptunnels_media_api_first_says_that_it_runs(desk, receiver, media):
    task = media()
    ended(desk, JOB_SECONDS / 2)
    [(_, _, first)] = receiver.received
    assert (first["id"], first["status"], first["url"]) == (task, "running", None)
    ended(desk, JOB_SECONDS / 2)
    *_, (_, _, last) = receiver.received
    assert len(receiver.received) == 2
    assert last == desk.get("/v1/media/result", GPTUNNEL, task_id=task).json()
    assert [told["about"] for told in desk.ledger()["webhooks"]] == ["progress", "end"]


def test_a_picture_that_was_never_seen_running_is_reported_once(desk, receiver, media):
    desk.order({"type": "fail_job", "message": "upstream"}, vendor="gptunnel")
    media()
    ended(desk)
    [(_, _, told)] = receiver.received
    assert (told["status"], told["code"], told["error"]) == ("failed", 1, "upstream")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://127.0.0.1/hook", "not an http or https link"),
        ("nonsense", "not an http or https link"),
        ("http://[half", "Invalid IPv6 URL"),
        ("http://127.0.0.1:1/hook", "connection"),
    ],
)
def test_an_address_that_cannot_be_reached_is_shown_in_the_ledger(desk, piapi, url, error):
    piapi(url=url)
    for _ in range(3):
        ended(desk)
    [told] = desk.ledger()["webhooks"]
    assert (told["url"], told["state"]) == (url, "failed")
    assert all(error in attempt["error"] for attempt in told["attempts"])


def test_a_receiver_that_does_not_answer_holds_nothing_up(desk, receiver, piapi):
    receiver.answering.clear()
    for _ in range(12):
        piapi()
    desk.wait()
    while not receiver.received:
        pass
    with httpx.Client(base_url=desk.url, timeout=5) as client:
        assert client.get("/sandbox/health").status_code == 200
    assert {told["state"] for told in desk.ledger()["webhooks"]} <= {"sending", "waiting"}
    receiver.answering.set()
    desk.server.sandbox.webhooks.settle()
    assert {told["state"] for told in desk.ledger()["webhooks"]} == {"delivered"}


def test_the_server_ends_while_a_receiver_does_not_answer(receiver):
    receiver.answering.clear()
    before = set(threading.enumerate())
    with SandboxServer(settings=Settings(job_seconds=0)) as server:
        body = {
            "sourceImage": f"{server.url}/samples/anna.jpg",
            "faceImage": f"{server.url}/samples/boris.png",
            "webhook": receiver.url,
        }
        httpx.post(f"{server.url}/v1/faceswap/create", headers=GPTUNNEL, json=body).raise_for_status()
        while not receiver.received:
            pass
    own = {thread for thread in threading.enumerate() if thread.name.startswith("sandbox")}
    assert own <= before


def test_a_reset_forgets_webhooks_and_where_they_go(desk, receiver, piapi):
    desk.client.post("/sandbox/settings", json={"webhooks_to": "http://127.0.0.1:1"})
    piapi()
    desk.client.post("/sandbox/reset")
    ended(desk)
    assert desk.ledger()["webhooks"] == []
    piapi()
    ended(desk)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("root", ["127.0.0.1:9000", "ftp://host", "http://host/path", 9000, "http://"])
def test_only_a_root_url_can_get_all_webhooks(desk, root):
    assert desk.client.post("/sandbox/settings", json={"webhooks_to": root}).status_code == 422
    with pytest.raises(ValueError, match="webhooks_to must be null or a root URL"):
        Settings(webhooks_to=root)


def test_the_command_refuses_another_address_than_a_root_url(capsys):
    assert main(["--port", "0", "--webhooks-to", "nonsense"]) == 2
    assert "webhooks_to must be null or a root URL" in capsys.readouterr().err


def test_a_callback_must_be_a_text(desk):
    body = {"model": "gpt-image-1-low", "prompt": "a cat", "callback_url": 7}
    answer = desk.client.post("/v1/media/create", headers=GPTUNNEL, json=body).json()
    assert (answer["code"], answer["issues"][0]["path"]) == (3, ["callback_url"])
