"""A real Airflow: scheduler, triggerer, dag processor and api server, against the sandbox over real sockets."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from PIL import Image
from sqlalchemy import create_engine, inspect, text

from tests.airflow.part import KEY, WEBHOOK_SECRET, WEBHOOK_TOKEN, WRONG_KEY
from tests.browser.conftest import need_chromium, of_this_ui, signed_in

pytestmark = pytest.mark.airflow

SECRETS = (KEY, WRONG_KEY, WEBHOOK_SECRET, WEBHOOK_TOKEN, "planted-webhook-token")
#: A signed query may stand in XCom, where the archive needs it, and in what the user wrote into the Dag.
SIGNATURES = ("planted-signature", "sig=")


@pytest.fixture(scope="module")
def sandbox(stack):
    return stack.part("airflow").vendors["sandbox"]


@pytest.fixture(scope="module")
def statsd(stack):
    """A StatsD server, whose queue holds what one run of every Dag sends."""
    return stack.part("airflow").statsd


@pytest.fixture(scope="module")
def airflow(stack):
    return stack.airflow


@pytest.fixture(scope="module")
def metadata(stack):
    """Airflow's metadata database."""
    engine = create_engine(stack.airflow.database)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def runs(airflow, sandbox, pictures, statsd):
    """Every Dag once, side by side."""
    sent(statsd)  # other suites' tasks may have sent something before
    url, destination = sandbox.url, f"file://{pictures}"
    signed = "?sig=planted-signature"
    face = {"face_image": f"{url}/samples/anna.jpg{signed}", "destination": destination}
    swap = {"target_image": f"{url}/samples/emil.png{signed}", **face}
    confs = {
        "gpt_image_swap_archive": face,
        "imagine_pick_swap_archive": face,
        "tengrai_swap": swap,
        "piapi_multi_face_mapped": {
            "pictures": [f"{url}/samples/group-2.jpg", f"{url}/samples/group-3.jpg"],
            "faces": f"{url}/samples/group-2.jpg",
            "destination": destination,
        },
        "flux_text_to_image": {"destination": destination},
        "batch_from_file": {
            "pictures": [f"{url}/samples/emil.png", f"{url}/samples/boris.jpg"],
            "face_image": f"{url}/samples/anna.jpg",
            "destination": f"{destination}/batch",
        },
        "scheduled_swap": swap,
        "resumes_on_a_worker": {"destination": destination},
        "fails_for_its_reason": {},
        "taskflow_swap": swap,
        "check_balance_first": swap,
    }
    # The consumer of the asset must be on before the producer runs.
    airflow.api("PATCH", "/dags", params={"dag_id_pattern": "%"}, json={"is_paused": False})
    started = {dag_id: airflow.run_dag(dag_id, conf) for dag_id, conf in confs.items()}
    return {
        dag_id: (run_id, airflow.wait_for(dag_id, run_id, timeout=600)) for dag_id, run_id in started.items()
    }


def sent(statsd) -> list[str]:
    """The metrics that have come since the last look."""
    lines = []
    with suppress(BlockingIOError):
        while True:
            lines.append(statsd.recv(4096).decode())
    return lines


def path_of(kept: dict) -> Path:
    return Path(unquote(urlsplit(kept["uri"]).path))


def manifest_of(kept: dict) -> dict:
    return json.loads(Path(unquote(urlsplit(kept["manifest_uri"]).path)).read_text())


@pytest.mark.parametrize(
    ("dag_id", "chain"),
    [
        ("gpt_image_swap_archive", [("piapi", "face_swap"), ("gptunnel", "image")]),
        (
            "imagine_pick_swap_archive",
            [("gptunnel", "face_swap"), ("gptunnel", "upsample"), ("gptunnel", "imagine")],
        ),
        ("tengrai_swap", [("tengrai", "face_swap")]),
        ("flux_text_to_image", [("piapi", "task")]),
        ("scheduled_swap", [("piapi", "face_swap")]),
        ("resumes_on_a_worker", [("gptunnel", "face_swap")]),
    ],
)
def test_every_chain_ends_with_a_picture_and_its_story(airflow, runs, dag_id, chain):
    run_id, state = runs[dag_id]
    assert state == "success", airflow.summary(dag_id, run_id)
    kept = airflow.xcom(dag_id, run_id, "archive")
    with Image.open(path_of(kept)) as picture:
        assert picture.size == (kept["width"], kept["height"])
    manifest = manifest_of(kept)
    assert [(job["vendor"], job["kind"]) for job in (manifest["job"], *manifest["parents"])] == chain
    assert manifest["airflow"]["dag_id"] == dag_id
    assert manifest["airflow"]["run_id"] == run_id


def test_the_mapped_swaps_keep_one_picture_each(airflow, runs):
    run_id, state = runs["piapi_multi_face_mapped"]
    assert state == "success"
    kept = [airflow.xcom("piapi_multi_face_mapped", run_id, "archive", index) for index in range(2)]
    assert len({path_of(item) for item in kept}) == 2
    assert all(manifest_of(item)["job"]["kind"] == "multi_face_swap" for item in kept)


@pytest.mark.parametrize("task_id", ["swaps", "swaps_of_file"])
def test_a_batch_takes_its_items_from_another_task_or_from_the_file_that_it_names(airflow, runs, task_id):
    run_id, state = runs["batch_from_file"]
    assert state == "success", airflow.summary("batch_from_file", run_id)
    summary = airflow.xcom("batch_from_file", run_id, task_id)
    assert (summary["total"], summary["archived"], summary["failed"]) == (2, 2, 0)
    lines = ObjectStoragePath(summary["manifest_uri"]).read_text().splitlines()
    kept = [file for line in lines for file in json.loads(line)["files"]]
    assert len({path_of(file) for file in kept if path_of(file).exists()}) == 2


def test_the_asset_starts_its_consumer_which_finds_the_picture(airflow, runs):
    run_id, _ = runs["scheduled_swap"]
    kept = airflow.xcom("scheduled_swap", run_id, "archive")
    [consumer] = airflow.api("GET", "/dags/use_swapped_portraits/dagRuns")["dag_runs"]
    assert airflow.wait_for("use_swapped_portraits", consumer["dag_run_id"]) == "success"
    assert airflow.xcom("use_swapped_portraits", consumer["dag_run_id"], "use") == [kept["uri"]]


def test_a_deferred_swap_resumes_on_a_worker_where_something_is_left_to_do(airflow, runs):
    run_id, state = runs["resumes_on_a_worker"]
    assert state == "success"
    log = airflow.task_log("resumes_on_a_worker", run_id, "swap")
    assert "Pausing task as DEFERRED" in log
    assert "Trigger fired event" in log
    assert "is done" in log
    assert not airflow.ended_in_triggerer("resumes_on_a_worker", run_id, "swap")


def test_a_success_ends_in_the_triggerer_where_nothing_is_left_to_do(airflow, runs):
    run_id, _ = runs["tengrai_swap"]
    assert airflow.ended_in_triggerer("tengrai_swap", run_id, "swap")
    assert isinstance(airflow.xcom("tengrai_swap", run_id, "swap"), dict), "downstream gets a dict"


def links_of(airflow, dag_id, run_id, task_id, map_index=-1):
    """What the UI shows as buttons: name to address, ``None`` where there is none."""
    where = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links"
    links = airflow.api("GET", where, params={"map_index": map_index})["extra_links"]
    # Every task has this one, whatever it has made.
    run = f"dags/{dag_id}/runs/{quote(run_id, safe='')}/"
    assert links.pop("Pictures").startswith(f"{airflow.url}/faceswap/gallery/{run}")
    return links


def xcom_page(airflow, dag_id, run_id, task):
    return f"{airflow.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/{task}/xcom"


@pytest.mark.parametrize(
    ("dag_id", "task", "names"),
    [
        # The sandbox signs its links, and the archive is a disk: both are named by the return value.
        ("tengrai_swap", "swap", ["Result"]),
        ("resumes_on_a_worker", "swap", ["Result"]),
        ("fails_for_its_reason", "waits_in_the_worker", ["Result"]),
        ("tengrai_swap", "archive", ["Archived file", "Manifest"]),
        ("batch_from_file", "swaps", ["Manifest"]),
    ],
)
def test_a_task_leads_to_what_it_has_made_wherever_it_ended(airflow, runs, dag_id, task, names):
    run_id, _ = runs[dag_id]
    page = xcom_page(airflow, dag_id, run_id, task)
    assert links_of(airflow, dag_id, run_id, task) == dict.fromkeys(names, page)


def test_each_mapped_task_leads_to_its_own(airflow, runs):
    dag_id = "piapi_multi_face_mapped"
    run_id, _ = runs[dag_id]
    for index in range(2):
        page = xcom_page(airflow, dag_id, run_id, f"swap/mapped/{index}")
        assert links_of(airflow, dag_id, run_id, "swap", index) == {"Result": page}


def test_a_task_that_made_nothing_leads_nowhere(airflow, runs):
    run_id, _ = runs["fails_for_its_reason"]
    assert links_of(airflow, "fails_for_its_reason", run_id, "no_face") == {"Result": None}


@of_this_ui
def test_a_person_who_presses_a_button_sees_the_return_value(airflow, runs, tmp_path):
    need_chromium()
    run_id, _ = runs["tengrai_swap"]
    with signed_in(airflow, tmp_path) as page:
        page.goto(f"{airflow.url}/dags/tengrai_swap/runs/{quote(run_id, safe='')}/tasks/swap/details")
        page.get_by_text("Result", exact=True).click()
        page.wait_for_url(xcom_page(airflow, "tengrai_swap", run_id, "swap"))
        page.get_by_text("return_value", exact=True).wait_for()


def test_no_address_of_the_ui_holds_a_signature(metadata, runs):
    # Airflow 3.4 has two tables.
    tables = [table for table in inspect(metadata).get_table_names() if table.startswith("xcom")]
    with metadata.connect() as connection:
        kept = [
            row for table in tables for row in connection.execute(text(f"select key, value from {table}"))
        ]
    links = [str(value) for key, value in kept if key.startswith("_link_")]
    results = [str(value) for key, value in kept if key == "return_value"]
    assert len(links) >= 10
    assert any("sig=" in value for value in results), "there are signed links, where the archive needs them"
    assert not [value for value in links if "sig=" in value]


def test_the_sensor_returns_what_the_operator_did(airflow, runs):
    run_id, _ = runs["resumes_on_a_worker"]
    asked = airflow.xcom("resumes_on_a_worker", run_id, "ask_again")
    bought = airflow.xcom("resumes_on_a_worker", run_id, "swap")
    assert (asked["job_id"], asked["url"]) == (bought["job_id"], bought["url"])


def test_an_error_that_a_retry_cannot_help_stops_at_the_first_try(airflow, runs):
    run_id, state = runs["fails_for_its_reason"]
    assert state == "failed"
    tasks = {task["task_id"]: task for task in airflow.tasks("fails_for_its_reason", run_id)}
    assert (tasks["no_face"]["state"], tasks["no_face"]["try_number"]) == ("failed", 1)
    assert (tasks["wrong_key"]["state"], tasks["wrong_key"]["try_number"]) == ("failed", 1)
    assert tasks["waits_in_the_worker"]["state"] == "success"
    assert "NoFaceError" in airflow.task_log("fails_for_its_reason", run_id, "no_face")
    assert "AuthenticationError" in airflow.task_log("fails_for_its_reason", run_id, "wrong_key")


def test_every_task_bought_one_job(runs, sandbox):
    ledger = httpx.get(f"{sandbox.url}/sandbox/ledger").json()
    # image, swap | imagine, pick, swap | tengrai | 2 mapped | flux | scheduled | resumed | no face, in worker
    # | two batches of 2 | two hooks, one after a look at the balance
    assert ledger["creates"] == 2 + 3 + 1 + 2 + 1 + 1 + 1 + 2 + 4 + 2 + 1


def test_every_job_of_an_operator_is_counted_once_wherever_it_ended(runs, statsd, sandbox):
    lines = [line.removeprefix("airflow.faceswap.") for line in sent(statsd)]
    entries = httpx.get(f"{sandbox.url}/sandbox/ledger").json()["entries"]
    kinds = {"media": "image", "txt2img": "task"}  # where the sandbox has another word
    bought = Counter(
        f"jobs,vendor={entry['vendor']},kind={kinds.get(entry['kind'], entry['kind'])}:1|c"
        for entry in entries
    )
    # A hook in a @task function buys without an operator, and counts nothing.
    bought["jobs,vendor=gptunnel,kind=face_swap:1|c"] -= 2
    assert Counter(line for line in lines if line.startswith("jobs,")) == bought
    assert sorted(line for line in lines if line.startswith("errors,")) == [
        "errors,vendor=gptunnel,kind=face_swap,error=NoFaceError:1|c",
        "errors,vendor=piapi,kind=face_swap,error=AuthenticationError:1|c",
    ]
    points = [line for line in lines if line.startswith("cost,") and "unit=point:" in line]
    told = sum(float(line.rpartition(":")[2].removesuffix("|c")) for line in points)
    assert told == sum(entry["amount"] for entry in entries if entry["unit"] == "point")


def test_the_balance_is_read_before_anything_is_bought(airflow, runs):
    run_id, state = runs["check_balance_first"]
    assert state == "success", airflow.summary("check_balance_first", run_id)
    told = airflow.xcom("check_balance_first", run_id, "enough")
    assert (told["vendor"], told["unit"]) == ("gptunnel", "RUB")
    assert told["available"] >= 20


def test_a_wait_is_one_line_for_each_change_and_not_one_for_each_question(airflow, runs, sandbox):
    """It comes after the count of jobs, as it buys two more."""
    httpx.post(f"{sandbox.url}/sandbox/settings", json={"job_seconds": 14}).raise_for_status()
    before = httpx.get(f"{sandbox.url}/sandbox/ledger").json()["requests"]["gptunnel"]["fetch"]
    run_id = airflow.run_dag("takes_its_time")
    assert airflow.wait_for("takes_its_time", run_id, timeout=600) == "success"
    after = httpx.get(f"{sandbox.url}/sandbox/ledger").json()["requests"]["gptunnel"]["fetch"]
    told = []
    for task in ("in_the_triggerer", "in_the_worker"):
        job_id = airflow.xcom("takes_its_time", run_id, task)["job_id"]
        deadline = time.monotonic() + 30
        # A triggerer writes its last line after the task's end.
        while (
            " is done after" not in (log := airflow.task_log("takes_its_time", run_id, task))
            and time.monotonic() < deadline
        ):
            time.sleep(0.2)
        changes = re.findall(rf"gptunnel job {job_id} is ([^\"]+?), after \d+ s", log)
        assert changes, "the wait is told"
        assert len(changes) == len(set(changes))
        assert log.count(f"gptunnel job {job_id} is done after") == 1
        told += changes
    assert len(told) < after - before, "there were more questions than lines"


def everything_stored(metadata) -> dict[str, str]:
    """The whole metadata database, table by table."""
    with metadata.connect() as connection:
        return {
            table: "\n".join(
                " ".join(
                    bytes(value).decode(errors="replace")
                    if isinstance(value, bytes | memoryview)
                    else str(value)
                    for value in row
                )
                for row in connection.execute(text(f'select * from "{table}"'))
            )
            for table in inspect(metadata).get_table_names()
        }


def everything_printed(airflow) -> dict[str, str]:
    """All logs: of the components, the tasks and the triggers."""
    return {str(path): path.read_text(errors="replace") for path in airflow.home.rglob("*.log")}


def test_no_secret_is_stored_printed_or_kept_anywhere(airflow, metadata, runs, pictures):
    stored = everything_stored(metadata)
    printed = everything_printed(airflow)
    files = [path for path in pictures.rglob("*") if path.is_file()]
    kept = {str(path): path.read_bytes().decode(errors="replace") for path in files}
    assert "tengrai" in stored["xcom"], "the search does look into the database"
    assert any("accepted face_swap" in log for log in printed.values()), "and into the logs"
    assert len(kept) >= 2 * 8, "and at pictures and manifests"
    for name, content in {**stored, **printed, **kept}.items():
        for secret in SECRETS:
            # The Dag's author wrote the webhook's token into the Dag itself; there Airflow keeps the source.
            if secret == "planted-webhook-token" and name == "dag_code":
                continue
            assert secret not in content, f"{secret} stands in {name}"


def test_no_signed_query_is_printed_or_kept(airflow, runs, pictures):
    printed = everything_printed(airflow)
    manifests = {str(path): path.read_text() for path in pictures.rglob("*.json")}
    assert manifests
    for name, content in {**printed, **manifests}.items():
        for signature in SIGNATURES:
            assert signature not in content, f"{signature} stands in {name}"
