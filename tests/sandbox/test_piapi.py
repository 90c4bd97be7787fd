from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest

KEY = {"x-api-key": "sandbox-key"}


def fetch(desk, task):
    answer = desk.get(f"/api/v1/task/{task}", KEY)
    assert answer.status_code == 200
    return answer.json()["data"]


def test_the_key_has_its_own_header(desk):
    answer = desk.client.get("/account/info", headers={"Authorization": "Bearer sandbox-key"})
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (401, 401, None)


def test_a_swap_goes_through_its_states(desk):
    config = {
        "service_mode": "public",
        "webhook_config": {"endpoint": "https://e.test/h", "secret": "s3cret"},
    }
    given = {"target_image": desk.sample("anna.jpg"), "swap_image": desk.sample("boris.png")}
    created = desk.task_piapi(config=config, **given)
    assert (created.status_code, created.json()["code"], created.json()["message"]) == (200, 200, "success")
    task = created.json()["data"]
    assert (task["status"], task["output"], task["logs"]) == ("pending", None, [])
    assert task["config"] == config
    assert task["input"] == given
    assert task["meta"]["usage"] == {"type": "point", "frozen": 100000, "consume": 0}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", task["meta"]["created_at"])
    assert task["meta"]["started_at"] == "0001-01-01T00:00:00Z"
    desk.wait(5)
    running = fetch(desk, task["task_id"])
    assert (running["status"], running["logs"]) == ("processing", None)
    desk.wait(5)
    done = fetch(desk, task["task_id"])
    assert (done["status"], done["output"]["image_base64"]) == ("completed", "")
    assert done["meta"]["usage"] == {"type": "point", "frozen": 0, "consume": 100000}
    assert desk.client.get(done["output"]["image_url"]).headers["content-type"] == "image/png"


def test_base64_with_and_without_prefix(desk):
    raw = base64.b64encode(desk.client.get("/samples/anna.jpg").content).decode()
    task = desk.swap_piapi(target_image=raw, swap_image=f"data:image/jpeg;base64,{raw}").json()["data"]
    desk.wait()
    assert fetch(desk, task["task_id"])["status"] == "completed"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "no-such"},
        {"task_type": "no-such"},
        {"target_image": ""},
        {"task_type": "multi-face-swap", "swap_faces_index": "0,1", "target_faces_index": "0"},
        {"task_type": "multi-face-swap", "swap_faces_index": "0"},
        {"config": {"service_mode": "other"}},
        {"model": "Qubico/flux1-dev", "task_type": "txt2img"},
        {"model": "Qubico/flux1-dev", "task_type": "txt2img", "prompt": "p", "width": 2000, "height": 2000},
        {"model": "Qubico/flux1-dev", "task_type": "txt2img", "prompt": "p", "batch_size": 2},
        {"model": "Qubico/flux1-dev", "task_type": "img2img", "prompt": "p"},
    ],
)
def test_bad_requests_have_an_envelope(desk, change):
    answer = desk.swap_piapi(**change)
    assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (400, 400, None)
    assert answer.json()["message"].startswith("invalid request")


@pytest.mark.parametrize("target", ["https://127.0.0.1:1/none.jpg", "not base64!", "aGVsbG8="])
def test_an_unreadable_picture_gives_a_task_born_failed(desk, target):
    task = desk.swap_piapi(target_image=target).json()["data"]
    assert (task["status"], task["input"], task["error"]["message"]) == (
        "failed",
        None,
        "failed to get valid image",
    )
    ledger = desk.ledger()
    assert [entry["refunded"] for entry in ledger["entries"]] == [True]
    assert ledger["total"]["point"] == 0


def test_failures_are_refunded(desk):
    task = desk.swap_piapi(target_image=desk.sample("landscape.jpg")).json()["data"]
    desk.wait()
    failed = fetch(desk, task["task_id"])
    assert (failed["status"], failed["error"]["message"]) == ("failed", "no face found in the image")
    assert failed["meta"]["usage"] == {"type": "point", "frozen": 0, "consume": 0}
    assert desk.ledger()["total"]["point"] == 0


def test_too_large_pictures_fail(desk):
    large = base64.b64encode(cv2.imencode(".jpg", np.zeros((2100, 100, 3), np.uint8))[1].tobytes()).decode()
    task = desk.swap_piapi(target_image=large).json()["data"]
    desk.wait()
    failed = fetch(desk, task["task_id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", 10003)


def test_several_faces_pairwise(desk):
    pictures = {"target_image": desk.sample("group-3.jpg"), "swap_image": desk.sample("group-2.jpg")}
    indices = {"swap_faces_index": "1, 0", "target_faces_index": "0,2"}
    task = desk.task_piapi("multi-face-swap", **pictures, **indices).json()["data"]
    beyond = desk.task_piapi(
        "multi-face-swap", **pictures, swap_faces_index="0", target_faces_index="7"
    ).json()["data"]
    desk.wait()
    done = fetch(desk, task["task_id"])
    assert (done["status"], done["meta"]["usage"]["consume"]) == ("completed", 150000)
    assert fetch(desk, beyond["task_id"])["status"] == "failed"
    before = cv2.imdecode(np.frombuffer(desk.client.get("/samples/group-3.jpg").content, np.uint8), 1).astype(
        int
    )
    after = cv2.imdecode(np.frombuffer(desk.client.get(done["output"]["image_url"]).content, np.uint8), 1)
    change = np.abs(after.astype(int) - before).mean(axis=(0, 2))
    assert change[300:600].max() == 0, "the middle face stays"
    assert change[:300].max() > 1
    assert change[600:].max() > 1


def test_a_pending_task_can_be_cancelled_and_a_running_one_cannot(desk):
    task = desk.swap_piapi().json()["data"]["task_id"]
    cancelled = desk.client.delete(f"/api/v1/task/{task}", headers=KEY)
    assert cancelled.json() == {"code": 200, "message": "success"}
    assert fetch(desk, task)["status"] == "cancelled"
    ledger = desk.ledger()
    assert (ledger["total"]["point"], ledger["jobs"][0]["canceled"]) == (0, True)
    other = desk.swap_piapi().json()["data"]["task_id"]
    desk.wait(5)
    assert desk.client.delete(f"/api/v1/task/{other}", headers=KEY).status_code == 400
    assert desk.client.delete("/api/v1/task/none", headers=KEY).text == "404 page not found"


def test_video(desk):
    task = desk.task_piapi(
        model="Qubico/video-toolkit",
        swap_image=desk.sample("boris.png"),
        target_video=desk.sample("clip.mp4"),
    ).json()["data"]
    desk.wait()
    done = fetch(desk, task["task_id"])
    assert (done["status"], done["error"]["message"]) == ("completed", "")
    file = desk.client.get(done["output"]["video_url"])
    assert file.headers["content-type"] == "video/mp4"
    assert file.content[4:8] == b"ftyp"
    assert file.content != desk.client.get("/samples/clip.mp4").content


def test_flux_batches_and_moderation(desk):
    batch = desk.task_piapi(
        "txt2img", "Qubico/flux1-schnell", prompt="a man", batch_size=2, width=512, height=256
    ).json()["data"]
    bad = desk.task_piapi("txt2img", "Qubico/flux1-dev", prompt="forbidden-content").json()["data"]
    edit = desk.task_piapi(
        "img2img", "Qubico/flux1-dev", prompt="night", image=desk.sample("anna.jpg")
    ).json()["data"]
    desk.wait()
    output = fetch(desk, batch["task_id"])["output"]
    assert output["image_urls"][0] == output["image_url"]
    assert len(output["image_urls"]) == 2
    assert "nsfw" in fetch(desk, bad["task_id"])["error"]["message"]
    assert fetch(desk, edit["task_id"])["meta"]["usage"]["consume"] == 20000


def test_account_history_and_upload(desk):
    desk.client.post("/sandbox/settings", json={"balance": {"point": 100000}})
    info = desk.get("/account/info", KEY).json()["data"]
    assert (info["wallet"]["point_remain"], info["equivalent_in_usd"]) == (100000, 0.01)
    task = desk.swap_piapi().json()["data"]["task_id"]
    assert desk.swap_piapi().status_code == 402
    now = int(desk.clock.now)
    page = desk.get(
        "/api/open/tasks/histories", KEY, model="image_toolkit", start_time=now - 5, end_time=now + 5
    ).json()["data"]
    assert (page["total"], page["data"][0]["task_id"]) == (1, task)
    row = page["data"][0]
    assert (row["action"], row["status"], row["detail"]) == ("face-swap", "pending", None)
    assert row["created_at"] == now
    desk.wait()
    row = desk.get("/api/open/tasks/histories", KEY).json()["data"]["data"][0]
    assert (row["status"], row["usage"]) == ("finished", 100000)
    assert row["detail"] == {"output": fetch(desk, task)["output"]["image_url"]}
    assert desk.get("/api/open/tasks/histories", KEY, start_time=now + 5).json()["data"]["total"] == 0
    assert desk.get("/api/open/tasks/histories", KEY, page_size=101).status_code == 400


def test_uploads_are_kept_for_a_day(desk):
    picture = desk.client.get("/samples/anna.jpg").content
    body = {"file_name": "face.jpg", "file_data": base64.b64encode(picture).decode()}
    answer = desk.client.post("/api/ephemeral_resource", headers=KEY, json=body).json()
    assert answer["code"] == 200
    assert desk.client.get(answer["data"]["url"]).content == picture
    desk.clock.now += 24 * 3600 + 1
    assert desk.client.get(answer["data"]["url"]).status_code == 404
    body["file_name"] = "face.exe"
    assert desk.client.post("/api/ephemeral_resource", headers=KEY, json=body).status_code == 400
