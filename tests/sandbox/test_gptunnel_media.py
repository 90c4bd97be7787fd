"""GPTunneL in the sandbox: both routes of the media API, forms, and where a cause of failure is written."""

from __future__ import annotations

import io
import wave

import pytest

from tests.conftest import needs
from tests.sandbox.test_gptunnel import KEY, finished, media, midjourney, picture_of, result


def generate(desk, **body):
    return desk.client.post("/v1/media/generate", headers=KEY, json=body)


def test_a_synchronous_model_is_refused_at_the_asynchronous_route(desk):
    answer = media(desk, model="seedream-4", prompt="p").json()
    assert (answer["code"], answer["issues"][0]["path"]) == (3, ["model"])
    assert desk.ledger()["creates"] == 0


def test_the_synchronous_route_answers_with_the_picture(desk):
    body = generate(desk, model="seedream-4", prompt="a man in red", size="4K", aspect_ratio="21:9").json()
    assert body.keys() == {"id", "model", "result", "cost"}
    assert (body["model"], body["cost"]) == ("seedream-4", "8.00")
    assert picture_of(desk.client.get(body["result"])).shape[:2] == (330, 768)
    assert desk.ledger()["creates"] == 1
    desk.clock.now += 24 * 3600 + 1
    assert desk.client.get(body["result"]).status_code == 404


def test_nothing_polls_a_generated_picture(desk):
    body = generate(desk, model="seedream-4", prompt="p", images=[desk.sample("anna.jpg")]).json()
    assert desk.get("/v1/media/result", KEY, task_id=body["id"]).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-image-1-low"},
        {"prompt": ""},
        {"size": "8K"},
        {"aspect_ratio": "5:1"},
        {"images": "x"},
        {"prompt": "forbidden-content"},
        {"images": ["http://127.0.0.1:1/none.png"]},
    ],
)
def test_the_synchronous_route_refuses_with_a_status(desk, change):
    answer = generate(desk, **({"model": "seedream-4", "prompt": "p"} | change))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_model_for_audio_answers_with_a_list_of_songs(desk):
    created = media(desk, model="suno", prompt="a song").json()
    desk.wait()
    done = desk.get("/v1/media/result", KEY, task_id=created["id"]).json()
    [song] = done["result"]
    assert (done["url"], song["status"]) == (None, "succeeded")
    with wave.open(io.BytesIO(desk.client.get(song["audio_url"]).content)) as sound:
        assert sound.getnframes() / sound.getframerate() == song["duration"]
    assert picture_of(desk.client.get(song["image_url"])).shape == (320, 320, 3)


# -- what clients of the vendor were seen to send -------------------------------------------------------------


def test_the_id_may_be_in_the_body_of_a_get(desk):
    task = desk.swap_gptunnel().json()["id"]
    answer = desk.client.request("GET", "/v1/faceswap/result", headers=KEY, json={"taskId": task})
    assert answer.json() == result(desk, task)


def test_a_form_is_taken_for_a_swap_and_for_midjourney(desk):
    form = {"sourceImage": desk.sample("anna.jpg"), "faceImage": desk.sample("b.jpg"), "enhanceFace": "True"}
    assert desk.client.post("/v1/faceswap/create", headers=KEY, data=form).json()["status"] == "idle"
    form = {"prompt": "2024", "useWalletBalance": "false"}
    grid = desk.client.post("/v1/midjourney/imagine", headers=KEY, data=form).json()
    finished(desk, grid)
    form = {"taskId": grid["id"], "image": "2"}
    assert (
        desk.client.post("/v1/midjourney/upsample", headers=KEY, data=form).json()["parentId"] == grid["id"]
    )


@pytest.mark.parametrize("form", [{"prompt": ""}, {"prompt": "p", "useWalletBalance": "perhaps"}, {}])
def test_a_wrong_form_is_refused_as_json_is(desk, form):
    assert desk.client.post("/v1/midjourney/imagine", headers=KEY, data=form).status_code == 400


# -- switched by faults ---------------------------------------------------------------------------------------

CAUSES = [
    ("message", {"message": "moderation", "error": None}),
    ("error", {"error": "moderation"}),
    ("error.message", {"error": {"message": "moderation"}}),
]


@pytest.mark.parametrize(("field", "shown"), CAUSES)
@pytest.mark.parametrize("family", ["faceswap", "media", "midjourney"])
def test_the_cause_of_a_failure_is_where_the_fault_puts_it(desk, family, field, shown):
    desk.order({"type": "fail_in", "field": field, "message": "moderation"}, operation="create")
    create = {
        "faceswap": lambda: desk.swap_gptunnel().json(),
        "media": lambda: media(desk, model="gpt-image-1-low", prompt="p").json(),
        "midjourney": lambda: midjourney(desk, "imagine", prompt="p"),
    }[family]
    task = create()["id"]
    desk.wait()
    name = "task_id" if family == "media" else "taskId"
    failed = desk.get(f"/v1/{family}/result", KEY, **{name: task}).json()
    assert failed["status"] == "failed"
    assert {key: failed.get(key) for key in ("message", "error")} == {"message": None, "error": None} | shown


@pytest.mark.parametrize(
    "form", ["webp", pytest.param("avif", marks=needs("AVIF in Pillow", at="PIL.AvifImagePlugin"))]
)
def test_a_midjourney_link_may_lead_to_another_format(desk, form):
    desk.order({"type": "result_format", "format": form}, operation="create", kind="imagine")
    grid = finished(desk, midjourney(desk, "imagine", prompt="p"))
    file = desk.client.get(grid["result"])
    assert file.headers["content-type"] == f"image/{form}"
    assert picture_of(file).shape[:2] == (1024, 1024)
    assert grid["result"].endswith(f"/task/image/{grid['id']}?cache=100")
    single = finished(desk, midjourney(desk, "upsample", taskId=grid["id"], image=1))
    assert desk.client.get(single["result"]).headers["content-type"] == "image/png"
