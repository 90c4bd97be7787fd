"""Clients of other people keep running: each test sends what such a client sends, and reads what it reads.

They know nothing of this package. What they send was seen in public clients; the code is not theirs.
"""

from __future__ import annotations

import asyncio
import base64
import io

import httpx
import pytest
from PIL import Image

pytestmark = pytest.mark.sandbox

JSON = {"Content-Type": "application/json"}


def data_uri(data, media_type):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


class GridService:
    """A web service for GPTunneL: a Midjourney grid, one of its pictures, then a face on it. Bare key, JSON bodies."""

    def __init__(self, desk):
        self.desk = desk
        self.client = httpx.AsyncClient(
            base_url=f"{desk.url}/v1", headers={"Authorization": "sandbox-key", **JSON}, timeout=30
        )

    async def ended(self, family, task):
        while True:
            self.desk.wait(3)
            answer = await self.client.get(f"/{family}/result", params={"taskId": task}, timeout=15)
            answer.raise_for_status()
            state = answer.json()
            if state["status"] in ("done", "failed"):
                assert state["status"] == "done", state["error"]
                return state["result"]

    async def created(self, path, **body):
        answer = await self.client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()["id"]

    async def chain(self, prompt, face):
        grid = await self.created("/midjourney/imagine", prompt=prompt, useWalletBalance=True)
        await self.ended("midjourney", grid)
        picked = await self.created("/midjourney/upsample", taskId=grid, image=1)
        link = await self.ended("midjourney", picked)
        # The link has no suffix and an unknown format, so this client sends the picture again, as PNG.
        async with httpx.AsyncClient() as anonymous:
            picture = Image.open(io.BytesIO((await anonymous.get(link)).content))
        file = io.BytesIO()
        picture.convert("RGB").save(file, "PNG")
        swap = await self.created(
            "/faceswap/create",
            sourceImage=data_uri(file.getvalue(), "image/png"),
            faceImage=data_uri(face, "image/jpeg"),
            enhanceFace=True,
            enhanceBackground=False,
            webhook=None,
        )
        return picture.size, await self.ended("faceswap", swap)

    async def close(self):
        await self.client.aclose()


def test_a_web_service_imagines_picks_and_swaps_by_data_uri(desk):
    face = desk.client.get("/samples/boris.jpg").content

    async def serve():
        service = GridService(desk)
        try:
            return await service.chain("a woman as a captain --ar 1:1", face)
        finally:
            await service.close()

    size, link = asyncio.run(serve())
    with Image.open(io.BytesIO(httpx.get(link).content)) as result:
        assert (result.format, result.size) == ("PNG", size)
    assert [entry["kind"] for entry in desk.ledger()["entries"]] == ["imagine", "upsample", "face_swap"]


class ToolServer:
    """A tool server for PiAPI: it wants ``code`` to be exactly 200, and reads the task in fixed steps."""

    def __init__(self, desk):
        self.desk = desk
        self.client = httpx.Client(
            base_url=desk.url, headers={"X-API-Key": "sandbox-key", **JSON}, timeout=30
        )

    def run(self, model, task_type, given, *, most=30, step=2):
        answer = self.client.post(
            "/api/v1/task", json={"model": model, "task_type": task_type, "input": given}
        ).json()
        if answer["code"] != 200:
            raise RuntimeError(f"task creation failed: {answer['message']}")
        for _ in range(most):
            self.desk.wait(step)
            answer = self.client.get(f"/api/v1/task/{answer['data']['task_id']}").json()
            if answer["code"] != 200:
                raise RuntimeError(f"failed to check status: {answer['message']}")
            task = answer["data"]
            if task["status"] == "completed":
                return task["output"], task["meta"]["usage"]["consume"]
            if task["status"] == "failed":
                raise RuntimeError(f"generation failed: {task['error']['message']}")
        raise RuntimeError("timed out")


@pytest.fixture
def tools(desk):
    server = ToolServer(desk)
    with server.client:
        yield server


def test_a_tool_server_swaps_pictures_and_videos(desk, tools):
    image, points = tools.run(
        "Qubico/image-toolkit",
        "face-swap",
        {"swap_image": desk.sample("boris.jpg"), "target_image": desk.sample("anna.png")},
    )
    assert points == 100_000
    assert httpx.get(image["image_url"]).headers["content-type"] == "image/png"
    video, _ = tools.run(
        "Qubico/video-toolkit",
        "face-swap",
        {"swap_image": desk.sample("boris.jpg"), "target_video": desk.sample("clip.mp4")},
        step=20,
    )
    assert httpx.get(video["video_url"]).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("model", "task_type", "given"),
    [
        (
            "Qubico/flux1-schnell",
            "txt2img",
            {"prompt": "a cat", "negative_prompt": "", "guidance_scale": 3.5, "width": 512, "height": 512},
        ),
        (
            "Qubico/flux1-dev-advanced",
            "controlnet-lora",
            {"prompt": "a cat", "lora_settings": [], "control_net_settings": []},
        ),
        ("Qubico/image-toolkit", "background-remove", {"image": "{url}"}),
        ("Qubico/image-toolkit", "segment", {"image": "{url}", "prompt": "face"}),
        ("Qubico/image-toolkit", "upscale", {"image": "{url}", "scale": 2}),
    ],
)
def test_a_tool_server_draws_and_reworks_pictures(desk, tools, model, task_type, given):
    filled = {
        name: desk.sample("group-1.jpg") if value == "{url}" else value for name, value in given.items()
    }
    output, _ = tools.run(model, task_type, filled)
    assert httpx.get(output["image_url"]).headers["content-type"] == "image/png"


def test_a_tool_server_says_why_a_task_failed(desk, tools):
    pair = {"swap_image": desk.sample("landscape.jpg"), "target_image": desk.sample("anna.png")}
    with pytest.raises(RuntimeError, match="generation failed: no face"):
        tools.run("Qubico/image-toolkit", "face-swap", pair)
    with pytest.raises(RuntimeError, match="task creation failed: invalid request"):
        tools.run("Qubico/image-toolkit", "face-swap", {"swap_image": ""})


class WorkflowNode:
    """A node of a workflow tool: it names the service mode, and takes ``completed`` or ``success`` for the end."""

    def __init__(self, desk):
        self.desk = desk

    def call(self, method, path, body=None):
        headers = {"x-api-key": "sandbox-key", **JSON}
        answer = httpx.request(method, f"{self.desk.url}{path}", headers=headers, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def run(self, task_type, given, model="Qubico/image-toolkit"):
        body = {
            "model": model,
            "task_type": task_type,
            "input": given,
            "config": {"service_mode": "public", "webhook_config": {"endpoint": "", "secret": ""}},
        }
        task = self.call("POST", "/api/v1/task", body)["data"]
        for _ in range(20):
            self.desk.wait(3)
            task = self.call("GET", f"/api/v1/task/{task['task_id']}")["data"]
            if task["status"] in ("completed", "success"):
                return task["output"]
            assert task["status"] != "failed", task["error"]
        raise TimeoutError


@pytest.fixture
def node(desk):
    return WorkflowNode(desk)


def test_a_workflow_node_swaps_by_link_and_by_data_uri(desk, node):
    links = {"target_image": desk.sample("anna.jpg"), "swap_image": desk.sample("boris.png")}
    inline = {
        name: data_uri(httpx.get(link).content, f"image/{link[-3:].replace('jpg', 'jpeg')}")
        for name, link in links.items()
    }
    results = [httpx.get(node.run("face-swap", given)["image_url"]).content for given in (links, inline)]
    assert results[0] == results[1]


def test_a_workflow_node_swaps_several_faces(desk, node):
    output = node.run(
        "multi-face-swap",
        {
            "target_image": desk.sample("group-3.jpg"),
            "swap_image": desk.sample("group-2.jpg"),
            "swap_faces_index": "0,1",
            "target_faces_index": "1,0",
        },
    )
    assert httpx.get(output["image_url"]).status_code == 200


def test_a_workflow_node_swaps_a_face_in_a_video_inside_the_request(desk, node):
    clip = data_uri(httpx.get(desk.sample("clip.mp4")).content, "video/mp4")
    given = {"swap_image": desk.sample("boris.png"), "target_video": clip, "swap_faces_index": "0"}
    output = node.run("face-swap", given | {"target_faces_index": "0"}, model="Qubico/video-toolkit")
    assert httpx.get(output["video_url"]).content[4:8] == b"ftyp"


def test_a_workflow_node_uploads_a_file_and_swaps_it(desk, node):
    picture = httpx.get(desk.sample("anna.jpg")).content
    stored = node.call(
        "POST",
        "/api/ephemeral_resource",
        {"file_name": "input.jpg", "file_data": data_uri(picture, "image/jpeg")},
    )
    assert stored["code"] == 200
    # Also where the vendor insists on the suffix of a link.
    desk.order({"type": "strict_links"}, vendor="piapi")
    given = {"target_image": stored["data"]["url"], "swap_image": desk.sample("boris.png")}
    assert httpx.get(node.run("face-swap", given)["image_url"]).status_code == 200


class CommandLine:
    """A command line for PiAPI: an error is a status that is not 2xx or a ``code`` of 400 and more, JSON or not."""

    def __init__(self, desk, key="sandbox-key"):
        self.desk = desk
        self.key = key

    def call(self, method, path, body=None):
        answer = httpx.request(method, f"{self.desk.url}{path}", headers={"x-api-key": self.key}, json=body)
        try:
            decoded = answer.json()
        except ValueError:
            raise RuntimeError(f"HTTP {answer.status_code}: {answer.text[:500]}") from None
        if not answer.is_success or decoded.get("code", 200) >= 400:
            raise RuntimeError(f"HTTP {answer.status_code}: {decoded.get('message')}")
        return decoded.get("data", decoded)

    def submit(self):
        raw = base64.b64encode(httpx.get(self.desk.sample("anna.jpg")).content).decode()
        given = {"target_image": raw, "swap_image": self.desk.sample("boris.png")}
        body = {"model": "Qubico/image-toolkit", "task_type": "face-swap", "input": given}
        return self.call("POST", "/api/v1/task", body)["task_id"]

    def status(self, task):
        return self.call("GET", f"/api/v1/task/{task}")["status"]


def test_a_command_line_swaps_and_cancels(desk):
    line = CommandLine(desk)
    assert line.call("GET", "/account/info")["name"] == "sandbox"
    first, second = line.submit(), line.submit()
    # The answer to a cancellation has no task: this client then reads the whole body.
    assert line.call("DELETE", f"/api/v1/task/{second}") == {"code": 200, "message": "success"}
    assert line.status(second) == "cancelled"
    desk.wait()
    assert line.status(first) == "completed"
    with pytest.raises(RuntimeError, match="HTTP 400: task can not be cancelled while completed"):
        line.call("DELETE", f"/api/v1/task/{first}")


def test_a_command_line_reports_a_wrong_key_and_an_unknown_task(desk):
    with pytest.raises(RuntimeError, match=r"^HTTP 401: invalid api key$"):
        CommandLine(desk, key="wrong").call("GET", "/account/info")
    with pytest.raises(RuntimeError, match=r"^HTTP 404: 404 page not found$"):
        CommandLine(desk).status("00000000-0000-0000-0000-000000000000")
