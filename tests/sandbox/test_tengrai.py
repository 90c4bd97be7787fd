from __future__ import annotations

import cv2
import numpy as np
import pytest

KEY = {"Authorization": "Bearer sandbox-key"}


def fetch(desk, artwork):
    return desk.get(f"/v2/artworks/{artwork}", KEY)


def test_the_raw_key_is_refused(desk):
    answer = desk.client.get("/v2/artworks", headers={"Authorization": "sandbox-key"})
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized", "statusCode": 401})


def test_a_swap_goes_through_its_states(desk):
    created = desk.swap_tengrai()
    assert created.status_code == 202
    artwork = created.json()
    assert artwork["artworkType"] == "face_swap"
    assert artwork["parameters"]["denoising"] == 3
    assert (artwork["status"], artwork["results"], artwork["duration"]) == ("starting", [], 0)
    assert artwork["createdAt"] == "2027-01-15T08:00:00.000Z" or artwork["createdAt"].endswith("Z")
    desk.wait(5)
    assert fetch(desk, artwork["id"]).json()["status"] == "processing"
    desk.wait(5)
    done = fetch(desk, artwork["id"]).json()
    assert (done["status"], done["duration"]) == ("succeeded", 10.0)
    file = desk.client.get(done["results"][0])
    assert file.headers["content-type"] == "image/webp"
    assert desk.ledger()["total"] == {"RUB": 0, "point": 0, "credit": 1.0}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"denoising": 6}, "denoising must not be greater than 5"),
        ({"denoising": "3"}, "denoising must be an integer number"),
        ({"seed": 0}, "seed must not be less than 1"),
        ({"outputFormat": "jpg"}, "outputFormat must be one of the following values: auto, png, webp"),
        ({"sourceImage": "data:image/png;base64,AAAA"}, "sourceImage must be a URL address"),
        ({"sourceImage": None}, "sourceImage must be a URL address"),
        ({"webhook": "http://127.0.0.1/hook"}, "webhook must be a publicly routable HTTPS URL"),
        ({"webhook": "https://10.0.0.1/hook"}, "webhook must be a publicly routable HTTPS URL"),
        ({"surprise": 1}, "property surprise should not exist"),
    ],
)
def test_requests_are_checked_strictly(desk, change, text):
    answer = desk.swap_tengrai(**change)
    assert answer.status_code == 400
    assert text in answer.json()["message"]
    assert (answer.json()["statusCode"], answer.json()["error"]) == (400, "Bad Request")
    assert desk.ledger()["creates"] == 0


def test_png_on_request(desk):
    artwork = desk.swap_tengrai(outputFormat="png", denoising=1, webhook="https://example.com/hook").json()
    desk.wait()
    done = fetch(desk, artwork["id"]).json()
    assert desk.client.get(done["results"][0]).headers["content-type"] == "image/png"


def test_a_failed_artwork_gives_no_reason(desk):
    artwork = desk.swap_tengrai(targetImage=desk.sample("landscape.jpg")).json()
    desk.wait()
    failed = fetch(desk, artwork["id"]).json()
    assert (failed["status"], failed["results"]) == ("failed", [])
    assert set(failed) == {"id", "artworkType", "parameters", "duration", "results", "status", "createdAt"}


def test_records_go_after_eight_days(desk):
    artwork = desk.swap_tengrai().json()
    desk.wait(8 * 24 * 3600 + 1)
    answer = fetch(desk, artwork["id"])
    assert answer.status_code == 404
    assert answer.json()["statusCode"] == 404
    assert desk.get("/v2/artworks", KEY).json() == []


def test_the_list_is_a_bare_array_with_offset_and_limit(desk):
    numbers = [desk.swap_tengrai(seed=seed).json()["id"] for seed in (1, 2, 3)]
    page = desk.get("/v2/artworks", KEY, offset=1, limit=1).json()
    assert [artwork["id"] for artwork in page] == [numbers[1]]
    assert desk.get("/v2/artworks", KEY, limit=501).status_code == 400


def test_a_style_and_a_picture_in_it(desk):
    anchor = desk.client.post(
        "/v2/style-dna/generate-anchor", headers=KEY, json={"imageUrl": desk.sample("anna.jpg")}
    )
    assert (anchor.status_code, anchor.json()["status"]) == (202, "starting")
    desk.wait()
    link = fetch(desk, anchor.json()["id"]).json()["results"][0]
    body = {"visualPrompt": "a sailor in blue", "anchorImageUrl": link, "description": "d"}
    made = desk.client.post("/v2/style-dna/generate", headers=KEY, json=body)
    desk.wait()
    done = fetch(desk, made.json()["id"]).json()
    assert (done["status"], done["parameters"]["imageFormat"]) == ("succeeded", "png")
    assert desk.client.get(done["results"][0]).headers["content-type"] == "image/png"
    for missing in body:
        rest = {name: value for name, value in body.items() if name != missing}
        assert desk.client.post("/v2/style-dna/generate", headers=KEY, json=rest).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "artwork_type", "count"),
    [
        ("selena", {"prompt": "woman", "aspectRatio": "2:3"}, "selena", 2),
        ("quantum", {"prompt": "man", "transparentBackground": True}, "quantum", 1),
        ("hamilton", {"width": 512, "height": 1024}, "hamilton", 1),
        ("selena-variete", {"imageUrl": "", "prompt": "blue"}, "selena_variete", 1),
        (
            "photo-pilot",
            {"imageUrl": "", "imageGuidance": 1, "modification": 1, "creativity": 1, "effort": 1},
            "photo_pilot",
            1,
        ),
        ("face-refiner", {"imageUrl": ""}, "face_refiner", 1),
        ("upscaling", {"imageUrl": ""}, "upscaling_v2", 1),
        ("detailer-upscaler", {"imageUrl": "", "scaleFactor": 1}, "detailer_upscaler", 1),
        ("remove-background", {"imageUrl": "", "outputFormat": "png"}, "remove_background", 1),
        ("segmentation", {"imageUrl": "", "method": "text", "textPrompt": "person"}, "segmentation", 1),
        ("depth-map", {"imageUrl": "", "invertDepth": True}, "depth_map", 1),
    ],
)
def test_every_kind_of_artwork(desk, path, body, artwork_type, count):
    if "imageUrl" in body:
        body = body | {"imageUrl": desk.sample("group-1.jpg")}
    created = desk.client.post(f"/v2/artworks/{path}", headers=KEY, json=body)
    assert created.status_code == 202, created.text
    assert created.json()["artworkType"] == artwork_type
    desk.wait()
    done = fetch(desk, created.json()["id"]).json()
    assert (done["status"], len(done["results"])) == ("succeeded", count)
    data = desk.client.get(done["results"][0]).content
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if artwork_type in ("remove_background", "quantum"):
        assert picture.shape[2] == 4
        assert 0.1 < (picture[..., 3] > 128).mean() < 0.95
    if artwork_type == "upscaling_v2":
        assert picture.shape == (840, 600, 3)
