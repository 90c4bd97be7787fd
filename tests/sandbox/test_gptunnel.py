from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

KEY = {"Authorization": "sandbox-key"}


def picture_of(response):
    return cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED)


def result(desk, task, family="faceswap"):
    return desk.get(f"/v1/{family}/result", KEY, taskId=task).json()


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer sandbox-key"}, {"Authorization": "other"}])
def test_only_the_bare_key_is_accepted(desk, header):
    answer = desk.client.get("/v1/balance", headers=header)
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "message": "Unauthorized",
            "type": "unauthorized_request_error",
            "param": None,
            "code": None,
        }
    }


def test_a_swap_goes_through_its_states(desk):
    created = desk.swap_gptunnel()
    assert created.status_code == 200
    body = created.json()
    assert body | {"id": ""} == {
        "id": "",
        "parentId": None,
        "object": "task",
        "type": "@FaceSwap",
        "percent": 0,
        "status": "idle",
        "error": None,
        "usage": {
            "prompt_tokens": 0,
            "completion_tokens": 1,
            "total_tokens": 1,
            "prompt_cost": 0,
            "completion_cost": 15,
            "total_cost": 15,
        },
    }
    assert len(body["id"]) == 24
    desk.wait(1)
    assert result(desk, body["id"])["status"] == "idle"
    desk.wait(4)
    running = result(desk, body["id"])
    assert (running["status"], running["percent"]) == ("processing", 50)
    assert "result" not in running
    desk.wait(5)
    done = result(desk, body["id"])
    assert (done["status"], done["percent"], done["usage"]["total_cost"]) == ("done", 100, 0)
    file = desk.client.get(done["result"])
    assert file.headers["content-type"] == "image/png"
    assert int(file.headers["content-length"]) == len(file.content)
    assert picture_of(file).shape == (640, 512, 3)


def test_the_swap_changes_the_face_and_leaves_the_rest(desk):
    task = desk.swap_gptunnel().json()["id"]
    desk.wait()
    swapped = picture_of(desk.client.get(result(desk, task)["result"])).astype(int)
    receiver = picture_of(desk.client.get("/samples/anna.jpg")).astype(int)
    change = np.abs(swapped - receiver).mean(axis=2)
    assert change[:80].max() == 0
    assert change[250:400, 180:340].mean() > 5


@pytest.mark.parametrize("missing", ["sourceImage", "faceImage"])
def test_a_missing_picture_is_named(desk, missing):
    body = {"sourceImage": desk.sample("a.jpg"), "faceImage": desk.sample("b.jpg")}
    del body[missing]
    answer = desk.client.post("/v1/faceswap/create", headers=KEY, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == f"'{missing}' is a required property"
    assert desk.ledger()["creates"] == 0


def test_data_uris_are_taken_and_bare_base64_and_webp_are_not(desk):
    def create(value):
        body = {"sourceImage": value, "faceImage": desk.sample("b.jpg")}
        return desk.client.post("/v1/faceswap/create", headers=KEY, json=body).status_code

    jpeg = base64.b64encode(desk.client.get("/samples/a.jpg").content).decode()
    webp = base64.b64encode(desk.client.get("/samples/a.webp").content).decode()
    assert create(f"data:image/jpeg;base64,{jpeg}") == 200
    assert create(jpeg) == 400
    assert create(f"data:image/webp;base64,{webp}") == 400


@pytest.mark.parametrize(
    ("receiver", "text"),
    [("landscape.jpg", "no face"), ("anna.webp", "png and jpeg"), ("none.gif", "fetched")],
)
def test_an_unusable_picture_fails_the_job(desk, receiver, text):
    task = desk.swap_gptunnel(receiver=receiver).json()["id"]
    desk.wait()
    failed = result(desk, task)
    assert failed["status"] == "failed"
    assert text in failed["error"]
    assert "result" not in failed


def test_unknown_and_unnamed_tasks_are_bad_requests(desk):
    unnamed = desk.get("/v1/faceswap/result", KEY)
    assert unnamed.json()["error"]["message"] == "'taskId' is a required property"
    assert desk.get("/v1/faceswap/result", KEY, taskId="0" * 24).status_code == 400


def test_the_balance_falls_and_then_refuses(desk):
    desk.client.post("/sandbox/settings", json={"balance": {"RUB": 20}})
    assert desk.swap_gptunnel().status_code == 200
    assert desk.get("/v1/balance", KEY).json()["balance"] == 5
    refused = desk.swap_gptunnel()
    assert refused.status_code == 402
    assert refused.json()["error"]["type"] == "insufficient_balance_error"


def test_result_links_end_after_three_days(desk):
    task = desk.swap_gptunnel().json()["id"]
    desk.wait()
    url = result(desk, task)["result"]
    desk.clock.now += 3 * 24 * 3600 + 1
    assert desk.client.get(url).status_code == 404


def media(desk, **body):
    return desk.client.post("/v1/media/create", headers=KEY, json=body)


def test_media_makes_a_webp_of_the_aspect_ratio(desk):
    created = media(desk, model="gpt-image-1-high", prompt="a woman in blue", ar="16:9").json()
    assert (created["code"], created["status"], created["url"]) == (0, "idle", None)
    assert created["created_at"] == int(desk.clock.now)
    desk.wait()
    by_query = desk.get("/v1/media/result", KEY, task_id=created["id"]).json()
    by_body = desk.client.post("/v1/media/result", headers=KEY, json={"task_id": created["id"]}).json()
    assert by_query == by_body
    assert (by_query["code"], by_query["status"], by_query["cost"]) == (0, "done", 25.0)
    file = desk.client.get(by_query["url"])
    assert file.headers["content-type"] == "image/webp"
    assert picture_of(file).shape[:2] == (432, 768)


def test_an_empty_media_body_is_told_the_models(desk):
    answer = media(desk)
    assert answer.status_code == 200
    assert answer.json()["code"] == 3
    issue = next(one for one in answer.json()["issues"] if one["path"] == ["model"])
    assert '"gpt-image-1-low" | ' in issue["expected"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"model": "no-such"}, "model"),
        ({"prompt": ""}, "prompt"),
        ({"ar": "21:9"}, "ar"),
        ({"images": ["aGVsbG8="]}, "images"),
        ({"model": "seedream-3", "images": []}, "images"),
        ({"model": "flux-dev", "images": ["https://example.test/a.png"]}, "images"),
    ],
)
def test_media_refuses_within_http_200(desk, change, path):
    answer = media(desk, **{"model": "gpt-image-1-low", "prompt": "p"} | change)
    assert (answer.status_code, answer.json()["code"]) == (200, 3)
    assert [issue["path"] for issue in answer.json()["issues"]] == [[path]]
    assert desk.ledger()["creates"] == 0


def test_media_moderation_has_its_code(desk):
    answer = media(desk, model="gpt-image-1-low", prompt="some forbidden-content")
    assert (answer.status_code, answer.json()["code"]) == (200, 1001)
    assert "id" not in answer.json()


def test_media_edits_given_images(desk):
    created = media(
        desk, model="nano-banana", prompt="red", images=[desk.sample("anna.jpg"), desk.sample("boris.png")]
    ).json()
    desk.wait()
    done = desk.get("/v1/media/result", KEY, task_id=created["id"]).json()
    assert picture_of(desk.client.get(done["url"])).shape == (640, 512, 3)


def midjourney(desk, action, **body):
    answer = desk.client.post(f"/v1/midjourney/{action}", headers=KEY, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finished(desk, task):
    desk.wait()
    done = result(desk, task["id"], "midjourney")
    assert (done["status"], done["percent"]) == ("done", 100)
    return done


def test_midjourney_grid_then_one_of_its_four(desk):
    created = midjourney(desk, "imagine", prompt="man with beard")
    assert (created["type"], created["status"], created["result"]) == ("imagine", "idle", None)
    assert created["usage"]["total_cost"] == 18
    desk.wait(5)
    half = result(desk, created["id"], "midjourney")
    assert half["result"].endswith("?cache=50")
    preview = desk.client.get(half["result"])
    desk.wait(5)
    grid = result(desk, created["id"], "midjourney")
    assert grid["result"] == f"{desk.url}/task/image/{created['id']}?cache=100"
    assert {"upsamle_1", "variation_4", "reroll"} <= set(grid["actions"])
    whole = desk.client.get(grid["result"])
    assert picture_of(whole).shape[:2] == (1024, 1024)
    assert preview.content != whole.content
    child = midjourney(desk, "upsample", taskId=created["id"], image=3)
    assert (child["parentId"], child["type"], child["usage"]["total_cost"]) == (created["id"], "upsample", 0)
    single = picture_of(desk.client.get(finished(desk, child)["result"]))
    small = cv2.resize(single, (512, 512), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(small - picture_of(whole)[512:, :512].astype(int)).mean() < 4


def test_midjourney_variation_and_inpaint(desk):
    grid = midjourney(desk, "imagine", prompt="portrait --ar 2:1")
    picture = picture_of(desk.client.get(finished(desk, grid)["result"]))
    assert picture.shape[:2] == (512, 1024)
    varied = midjourney(desk, "variation", taskId=grid["id"], image=2)
    assert finished(desk, varied)["parentId"] == grid["id"]
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[:256, :512] = 255
    encoded = base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()
    redrawn = midjourney(desk, "inpaint", taskId=grid["id"], mask=encoded, prompt="a woman in red")
    fresh = picture_of(desk.client.get(finished(desk, redrawn)["result"]))
    assert np.array_equal(fresh[300:, 600:], picture[300:, 600:])
    assert not np.array_equal(fresh[:200, :400], picture[:200, :400])


def test_midjourney_refuses_wrong_follow_ups(desk):
    def status(action, **body):
        return desk.client.post(f"/v1/midjourney/{action}", headers=KEY, json=body).status_code

    assert status("imagine") == 400
    assert status("upsample", taskId="f" * 24, image=1) == 400
    grid = midjourney(desk, "imagine", prompt="x")
    assert status("upsample", taskId=grid["id"], image=1) == 400, "not done yet"
    finished(desk, grid)
    assert status("upsample", taskId=grid["id"], image=5) == 400
    assert status("variation", taskId=grid["id"]) == 400
    assert status("inpaint", taskId=grid["id"], mask="AAAA") == 400
    single = midjourney(desk, "upsample", taskId=grid["id"], image=1)
    assert finished(desk, single)["actions"] == ["high_variation", "low_variation"]
    assert status("upsample", taskId=single["id"], image=1) == 400
    assert status("variation", taskId=single["id"]) == 400
    assert status("variation", taskId=single["id"], mode="low") == 200
