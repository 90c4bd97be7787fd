"""``airflow faceswap generate``: one job of any kind bought, and what it made saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_faceswap.cli.exits import Exit

TASK = (
    *("--kind", "task", "--argument", "model=Qubico/flux1-schnell", "--argument", "task_type=txt2img"),
    *("--argument", 'input={"prompt": "a king"}'),
)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("conn_id", "arguments", "kind"),
    [
        ("gptunnel_default", ("--prompt", "a king", "--argument", "model=gpt-image-1-low"), "image"),
        ("gptunnel_default", ("--prompt", "a king", "--kind", "imagine"), "imagine"),
        ("piapi_default", TASK, "task"),
    ],
)
def test_a_picture_is_made_and_saved_under_a_name_with_its_prompt(
    run, sandbox, charged, conn_id, arguments, kind
):
    done = run("generate", "--conn-id", conn_id, *arguments)
    assert (done.code, done.told["kind"], charged()) == (Exit.DONE, kind, 1)
    [file] = done.told["files"]
    path = Path(file["uri"].removeprefix("file://"))
    assert path.name.startswith(f"{kind}-a_king-{conn_id.removesuffix('_default')}-")
    assert json.loads(path.with_name(f"{path.name}.json").read_text())["job"]["job_id"] == done.told["job_id"]


@pytest.mark.parametrize("argument", ["model", "=x", "a b=c", ""])
def test_an_argument_without_a_name_buys_nothing(run, wire, argument):
    done = run("generate", "--conn-id", "gptunnel_default", "--prompt", "a king", "--argument", argument)
    assert done.code == Exit.USAGE
    assert "--argument: must be NAME=VALUE" in done.told["error"]["message"]
    assert wire.requests == []


def test_a_kind_that_the_vendor_does_not_have_buys_nothing(run, wire):
    done = run("generate", "--conn-id", "gptunnel_default", "--prompt", "a king", "--kind", "sing")
    assert done.code == Exit.USAGE
    assert wire.requests == []
