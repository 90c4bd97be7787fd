"""The body of a request for approval: its pictures come from the gallery, and nothing in it is read as Markdown."""

from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from jinja2.sandbox import SandboxedEnvironment
from markdown_it import MarkdownIt

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.gallery import approval_body


class Templated:
    """As much of a task as a body asks for."""

    def render_template(self, text, context):
        return SandboxedEnvironment().from_string(text).render(context)


@pytest.fixture
def body():
    """Render a body in the run of the gallery's tests, where a task has returned values by map index."""

    def render(values, *, map_index=-1, run_id="a_run", **options):
        values = values if isinstance(values, dict) and -1 in values else {-1: values}

        def xcom_pull(task_ids, map_indexes=None):
            assert task_ids == "archive"
            if map_indexes is not None:
                return values.get(map_indexes)
            found = [values[index] for index in sorted(values) if values[index] is not None]
            return found[0] if len(found) == 1 else found

        instance = SimpleNamespace(dag_id="a_dag", run_id=run_id, map_index=map_index, xcom_pull=xcom_pull)
        context = {"ti": instance, "params": {"who": "Ada"}, "task": Templated()}
        return approval_body("archive", **options).resolve(context)

    return render


def tokens(text):
    """What Markdown makes of a text, flat."""
    found = MarkdownIt("commonmark").enable("table").parse(text)
    return [inner for token in found for inner in (token, *(token.children or []))]


def addresses(text, kind):
    attribute = {"image": "src", "link_open": "href"}[kind]
    return [token.attrs[attribute] for token in tokens(text) if token.type == kind]


def test_its_pictures_are_those_of_the_gallery(gallery, archived, body):
    kept = archived()
    gallery.push(kept)
    text = body(kept)
    pictures = addresses(text, "image")
    assert len(pictures) == 3
    for address in [*pictures, *addresses(text, "link_open")]:
        assert not address.startswith(("/", "http"))
        assert gallery.get(address.replace("faceswap", "", 1)).status_code == 200
    assert [
        gallery.get(address.replace("faceswap", "", 1)).headers["content-type"] for address in pictures
    ] == ["image/jpeg"] * 3
    assert all(
        gallery.get(address.replace("faceswap", "", 1), token="other").status_code == 403
        for address in pictures
    )


def test_it_says_what_a_person_needs_to_decide(archived, body):
    text = body(archived())
    for fact in ("**vendor:** gptunnel face swap", "**cost:**", "**prompt:** a king"):
        assert fact in text
    assert "| output | input | face |" in text


def test_it_names_the_costs_of_the_jobs_before(archived, body):
    parent = {"vendor": "gptunnel", "kind": "imagine", "job_id": "j", "cost": {"amount": 9.5, "unit": "RUB"}}
    assert "- **earlier job:** gptunnel imagine, 9.5 RUB\n" in body(archived(parents=[parent]))


def test_without_thumbnails_the_output_itself_is_shown(archived, body):
    [address] = addresses(body(archived(thumbnails=False)), "image")
    assert address.endswith("/file")


HOSTILE = [
    "![x](https://evil.test/a.png)",
    "[press here](https://evil.test)",
    "<img src=https://evil.test/a.png><script>alert(1)</script>",
    "a | b | c\n|---|---|\n| ![x](https://evil.test) |",
    "` ![x](https://evil.test) `` ![y](https://evil.test) ```",
    "# Approve this\n\n---\n\n[x]: https://evil.test",
    "https://evil.test/?sig=SECRET www.evil.test <https://evil.test>",
    "{{ 7 * 7 }} {% raw %}",
    "\u202egnp.exe\u0000",
    "**Approve** _at_ ~~once~~ \\",
    "",
]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_prompt_is_nothing_but_text(archived, body, prompt):
    plain = tokens(body(archived(arguments={"prompt": "a king"})))
    found = tokens(body(archived(arguments={"prompt": prompt, "target_image": f"https://x.test/{prompt}"})))
    for kind in ("image", "link_open", "html_inline", "html_block", "heading_open", "hr", "table_open"):
        assert sum(token.type == kind for token in found) == sum(token.type == kind for token in plain), kind
    text = "".join(token.content for token in found if token.type == "text")
    assert "evil" not in re.sub(r"(input|face|output)[^|]*", "", text)
    assert "SECRET" not in body(archived(arguments={"prompt": prompt}))


def test_nothing_signed_is_in_it(archived, body):
    arguments = {
        "prompt": "like https://x.test/a.png?sig=SECRET",
        "target_image": "https://x.test/a.png?sig=SECRET",
    }
    text = body(archived(arguments=arguments, inputs={"target_image": "sha256:0"}))
    assert "SECRET" not in text
    assert "sig=" not in text


def test_a_run_id_with_any_character_is_one_part_of_the_address(archived, body):
    text = body(
        archived(run={"run_id": "manual__2026-11-27T08:00:00+00:00 (a)/b"}),
        run_id="manual__2026-11-27T08:00:00+00:00 (a)/b",
    )
    assert all(
        "/runs/manual__2026-11-27T08%3A00%3A00%2B00%3A00%20%28a%29%2Fb/" in one
        for one in addresses(text, "image")
    )


def test_the_text_above_is_a_template(archived, body):
    assert body(archived(), text="**{{ params.who }}**, look at the hands.").startswith(
        "**Ada**, look at the hands.\n\n"
    )


def test_a_mapped_task_asks_about_its_own_result(archived, body):
    values = {index: archived(f"{index}.png", run={"map_index": index}) for index in (0, 1)}
    values[-1] = None
    text = body(values, map_index=1)
    assert all("/results/archive/1/0/" in address for address in addresses(text, "image"))


def test_a_mapped_task_asks_about_the_results_of_a_task_that_is_not_mapped(archived, body):
    values = [archived("a.png"), archived("b.png")]
    text = body({-1: values}, map_index=3)
    assert all(f"/results/archive/-1/{number}/" in text for number in (0, 1))


def test_one_task_asks_about_all_instances_of_a_mapped_one(archived, body):
    values = {index: archived(f"{index}.png", run={"map_index": index}) for index in (0, 2)}
    text = body({-1: None, **values})
    assert [index for index in "012" if f"/results/archive/{index}/0/" in text] == ["0", "2"]


def test_of_many_results_the_first_twelve_are_shown(archived, body):
    text = body([archived("a.png", thumbnails=False)] * 50)
    assert len(addresses(text, "image")) == 12
    assert "38 more are in the gallery." in text


@pytest.mark.parametrize("value", [None, [], "a text", {"total": 1}, {"url": "https://x.test/a.png"}])
def test_a_task_that_archived_nothing_is_an_error(body, value):
    with pytest.raises(InvalidRequestError, match="'archive' has returned no archived file"):
        body(value)


def test_a_manifest_that_is_gone_does_not_lose_an_answer(archived, body, folder):
    kept = archived()
    for path in folder.iterdir():
        path.unlink()
    assert "A picture could not be read (FileNotFoundError)." in body(kept)


@pytest.mark.program
def test_a_dag_file_imports_it_cheaply():
    code = (
        "import sys, airflow.sdk; before = set(sys.modules); "
        "from airflow_provider_faceswap.gallery import approval_body; approval_body('archive'); "
        "sys.exit(not {'fastapi', 'PIL', 'airflow_provider_faceswap.archive'}.isdisjoint(set(sys.modules) - before))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_dag_is_the_same_each_time_it_is_parsed():
    from airflow.providers.standard.operators.hitl import ApprovalOperator
    from airflow.sdk import DAG
    from airflow.serialization import serialized_objects

    # The name until Airflow 3.1.
    serialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG

    def parsed():
        with DAG("a_dag", schedule=None) as dag:
            ApprovalOperator(task_id="approve", subject="?", body=approval_body("archive"))
        return serialization.to_dict(dag)

    assert parsed() == parsed()
