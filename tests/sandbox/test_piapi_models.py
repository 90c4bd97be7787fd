"""PiAPI's tasks besides face swaps and Flux: each has its own shape of output, and its files are real."""

from __future__ import annotations

import json
import struct

import cv2
import numpy as np
import pytest

KEY = {"x-api-key": "sandbox-key"}
TOOLKIT = "Qubico/image-toolkit"


def fetch(desk, task):
    return desk.get(f"/api/v1/task/{task}", KEY).json()["data"]


def finished(desk, task_type, model, **given):
    """The output of a task, and the task itself."""
    answer = desk.task_piapi(task_type, model, **given)
    assert answer.status_code == 200, answer.text
    desk.wait()
    task = fetch(desk, answer.json()["data"]["task_id"])
    assert (task["status"], task["error"]["message"]) == ("completed", "")
    return task["output"], task


def picture_of(desk, url):
    data = desk.client.get(url).content
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_the_toolkit_cuts_out_enlarges_and_segments(desk):
    face = desk.sample("group-1.jpg")
    alone, _ = finished(desk, "background-remove", TOOLKIT, image=face)
    assert picture_of(desk, alone["image_url"]).shape == (420, 300, 4)
    larger, task = finished(desk, "upscale", TOOLKIT, image=face)
    assert picture_of(desk, larger["image_url"]).shape == (840, 600, 3)
    assert task["meta"]["usage"]["consume"] == 20_000
    mask, _ = finished(desk, "segment", TOOLKIT, image=face, prompt="person")
    assert picture_of(desk, mask["image_url"]).shape[:2] == (420, 300)
    video, _ = finished(desk, "upscale", "Qubico/video-toolkit", video=desk.sample("clip.mp4"))
    assert desk.client.get(video["video_url"]).headers["content-type"] == "video/mp4"
    assert [job["kind"] for job in desk.ledger()["jobs"]] == [
        "background_remove",
        "upscale",
        "segment",
        "video_upscale",
    ]


def test_kling_shows_each_file_with_and_without_a_watermark(desk):
    given = {"model_input": desk.sample("anna.jpg"), "dress_input": desk.sample("boris.png")}
    created = desk.task_piapi("ai_try_on", "kling", **given).json()["data"]
    assert created["output"] == {"type": "", "status": 0, "works": None}
    desk.wait()
    picture = fetch(desk, created["task_id"])["output"]["works"][0]["image"]
    marked, clean = (picture_of(desk, picture[name]) for name in ("resource", "resource_without_watermark"))
    assert marked.shape == clean.shape
    assert not np.array_equal(marked, clean)
    output, _ = finished(desk, "video_generation", "kling", prompt="a walk")
    work = output["works"][0]
    assert work["cover"]["resource"].split("?")[0].endswith(".png")
    assert work["cover"]["resource_without_watermark"] == ""
    video = work["video"]
    files = [desk.client.get(video[name]) for name in ("resource", "resource_without_watermark")]
    assert {file.headers["content-type"] for file in files} == {"video/mp4"}
    assert files[0].content != files[1].content


def test_midjourney_gives_a_grid_with_its_four_pictures_and_what_follows(desk):
    created = desk.task_piapi("imagine", "midjourney", prompt="a captain").json()["data"]
    assert created["output"]["temporary_image_urls"] is None
    desk.wait(5)
    running = fetch(desk, created["task_id"])
    assert (running["status"], running["output"]["progress"]) == ("processing", 50)
    desk.wait(5)
    grid = fetch(desk, created["task_id"])["output"]
    assert (grid["progress"], grid["image_urls"], grid["discord_image_url"]) == (100, None, "")
    assert {"reroll", "upscale1", "variation4"} <= set(grid["actions"])
    whole = picture_of(desk, grid["image_url"])
    four = [picture_of(desk, url) for url in grid["temporary_image_urls"]]
    assert np.array_equal(whole[256:, :256], four[2])
    follow = {"origin_task_id": created["task_id"], "index": "3"}
    single, _ = finished(desk, "upscale", "midjourney", **follow)
    assert picture_of(desk, single["image_url"]).shape == (512, 512, 3)
    varied, _ = finished(desk, "variation", "midjourney", **follow)
    assert len(varied["temporary_image_urls"]) == 4


@pytest.mark.parametrize(
    ("origin", "index", "text"),
    [
        ("none", "1", "not a finished grid"),
        ("grid", "5", "index must be"),
        ("swap", "1", "not a finished grid"),
    ],
)
def test_what_midjourney_cannot_follow_is_born_failed(desk, origin, index, text):
    jobs = {
        "grid": desk.task_piapi("imagine", "midjourney", prompt="x").json()["data"]["task_id"],
        "swap": desk.swap_piapi().json()["data"]["task_id"],
    }
    desk.wait()
    given = {"origin_task_id": jobs.get(origin, origin), "index": index}
    task = desk.task_piapi("upscale", "midjourney", **given).json()["data"]
    assert task["status"] == "failed"
    assert text in task["error"]["message"]


def test_audio_is_a_real_mp3(desk):
    output, _ = finished(desk, "txt2audio-base", "Qubico/diffrhythm", lyrics="la la")
    file = desk.client.get(output["audio_url"])
    assert file.headers["content-type"] == "audio/mpeg"
    assert file.content.startswith(b"ID3")
    tag = 10 + file.content[9]
    assert b"la la" in file.content[:tag]
    frames = file.content[tag:]
    assert len(frames) % 417 == 0
    assert all(frames[at : at + 2] == b"\xff\xfb" for at in range(0, len(frames), 417))
    song, _ = finished(desk, "generate_music", "music-s", gpt_description_prompt="a shanty")
    clip = song["clips"]["clip-1"]
    assert desk.client.get(clip["audio_url"]).headers["content-type"] == "audio/mpeg"
    assert desk.client.get(clip["image_url"]).headers["content-type"] == "image/jpeg"


def test_a_model_is_a_real_binary_gltf(desk):
    output, _ = finished(desk, "image-to-3d", "Qubico/trellis", image=desk.sample("group-1.jpg"))
    assert set(output) == {"no_background_image", "combined_video", "model_file"}
    file = desk.client.get(output["model_file"])
    assert file.headers["content-type"] == "model/gltf-binary"
    magic, version, length, text_length = struct.unpack("<4s3I", file.content[:16])
    assert (magic, version, length) == (b"glTF", 2, len(file.content))
    scene = json.loads(file.content[20 : 20 + text_length])
    binary = file.content[28 + text_length :]
    assert scene["buffers"][0]["byteLength"] <= len(binary)
    assert scene["accessors"][1]["count"] == 12
    assert desk.client.get(output["combined_video"]).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("model", "task_type", "link"),
    [
        ("seedance", "seedance-2", lambda output: output["video"]),
        ("luma", "video_generation", lambda output: output["video_raw"]["url"]),
    ],
)
def test_other_videos_have_their_own_keys(desk, model, task_type, link):
    output, _ = finished(desk, task_type, model, prompt="a walk")
    assert desk.client.get(link(output)).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("model", "task_type", "given"),
    [
        (TOOLKIT, "upscale", {}),
        (TOOLKIT, "no-such", {"image": "x"}),
        ("kling", "video_generation", {}),
        ("midjourney", "imagine", {}),
        ("midjourney", "upscale", {"index": "1"}),
        ("Qubico/trellis", "image-to-3d", {"image": 3}),
    ],
)
def test_what_is_missing_is_named(desk, model, task_type, given):
    answer = desk.task_piapi(task_type, model, **given)
    assert (answer.status_code, answer.json()["data"]) == (400, None)
    assert answer.json()["message"].startswith("invalid request")


def test_moderation_and_history_know_every_model(desk):
    task = desk.task_piapi("imagine", "midjourney", prompt="forbidden-content").json()["data"]["task_id"]
    desk.wait()
    assert "moderation" in fetch(desk, task)["error"]["message"]
    row = desk.get("/api/open/tasks/histories", KEY, model="midjourney").json()["data"]["data"][0]
    assert (row["task_id"], row["action"], row["status"]) == (task, "imagine", "failed")
