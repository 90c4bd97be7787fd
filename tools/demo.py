"""
Run two chains in a real Airflow against the sandbox, with no account and no key.

GPT image → face swap → archive, and Midjourney imagine → pick one of four → face swap → archive. Ends with
where the pictures and manifests are, a contact sheet, the gallery as one file, and, if Airflow is to stay up, the address
of the runs' pictures in its UI. With ``--unkind`` the vendors are busy, cannot be read and are late, as they really are now
and then; the bill stays the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parent))

from airflow_stack import AirflowStack

from airflow_provider_faceswap.sandbox import SandboxServer
from airflow_provider_faceswap.sandbox.unkind import UNKIND

ROOT = Path(__file__).resolve().parent.parent
KEY = "sandbox-key"

#: Dag, the task whose output is the swap's input, and the face that goes in.
CHAINS = (
    ("gpt_image_swap_archive", "generate", "anna"),
    ("imagine_pick_swap_archive", "pick", "boris"),
)

TILE = 360
CAPTION = 34
GAP = 16


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "demo-output", help="folder, emptied first")
    parser.add_argument("--job-seconds", type=float, default=6.0, help="how long a job takes at the sandbox")
    parser.add_argument("--keep", action="store_true", help="let Airflow run until Ctrl-C")
    parser.add_argument(
        "--unkind", action="store_true", help="inject what a Dag should get through, see docs/sandbox.md"
    )
    options = parser.parse_args()
    # Stopping the demo stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    output: Path = options.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.1f} s] {text}", flush=True)

    with SandboxServer(job_seconds=options.job_seconds, key=KEY) as sandbox:
        say(f"The sandbox speaks for GPTunneL, Tengrai and PiAPI at {sandbox.url}")
        env = {
            f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT": json.dumps(
                {"conn_type": vendor, "host": sandbox.url, "password": KEY}
            )
            for vendor in ("gptunnel", "tengrai", "piapi")
        }
        env["AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS"] = "127.0.0.1"
        env["AIRFLOW__FACESWAP__GALLERY_ROOTS"] = f"file://{output}/pictures"
        if options.unkind:
            # Airflow's own is five minutes.
            env["AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY"] = "5"
            for fault in UNKIND:
                httpx.post(f"{sandbox.url}/sandbox/faults", json=fault).raise_for_status()
            say(f"The sandbox is unkind: {len(UNKIND)} faults")
        with AirflowStack(output / "airflow", ROOT / "example_dags", env=env, say=say) as airflow:
            say(f"Airflow runs at {airflow.url} (user admin, password admin) until the demo ends")
            rows = run_chains(airflow, sandbox.url, output, say)
            ledger = httpx.get(f"{sandbox.url}/sandbox/ledger").json()
            # The same cards as in the UI, as one file that stays.
            gallery = output / "pictures" / "gallery.html"
            airflow.run("faceswap", "gallery", f"file://{output}/pictures", "--out", str(gallery))
            report(rows, ledger, output, say)
            if options.unkind:
                for fault in httpx.get(f"{sandbox.url}/sandbox/faults").json()["faults"]:
                    where = " ".join(fault[name] for name in ("vendor", "operation") if fault[name])
                    print(f"    {fault['hits']:3} x {fault['fault']['type']}{where and f' ({where})'}")
            if options.keep:
                say("The pictures in Airflow's UI (user admin, password admin), until you press Ctrl-C:")
                for row in rows:
                    print(
                        f"    {airflow.url}/dags/{row['title']}/runs/{row['run_id']}/plugin/faceswap-dag-run"
                    )
                with suppress(KeyboardInterrupt):
                    signal.pause()
            else:
                print("    To see them in Airflow's UI: make demo KEEP=1")
    return 0


def report(rows: list[dict[str, Any]], ledger: dict[str, Any], output: Path, say: Any) -> None:
    """Print what was kept and what it cost."""
    sheet = output / "contact-sheet.png"
    contact_sheet(rows, sheet)
    say("Done. Kept:")
    for row in rows:
        print(f"    picture   {row['archived']}")
        print(f"    manifest  {row['archived']}.json")
    print(f"    sheet     {sheet}")
    print(f"    gallery   {output}/pictures/gallery.html (opens in a browser, without Airflow)")
    total = ", ".join(f"{amount:g} {unit}" for unit, amount in ledger["total"].items() if amount)
    print(f"    {ledger['creates']} jobs were bought in the sandbox for {total}: one for each task.")


def run_chains(airflow: AirflowStack, vendor: str, output: Path, say: Any) -> list[dict[str, Any]]:
    """
    Start both chains, show how they go, and collect what they made.

    :raises SystemExit: A chain failed.
    """
    runs = {}
    for dag_id, _, face in CHAINS:
        conf = {
            "face_image": f"{vendor}/samples/{face}.jpg",
            "destination": f"file://{output}/pictures",
        }
        runs[dag_id] = airflow.run_dag(dag_id, conf)
        say(f"Started {dag_id}")
    shown: dict[tuple[str, str], str] = {}

    def progress() -> None:
        for dag_id, run_id in runs.items():
            for task in airflow.tasks(dag_id, run_id):
                key, state = (dag_id, task["task_id"]), task["state"] or "waiting"
                if shown.get(key, "waiting") != state:
                    shown[key] = state
                    if state in {"running", "deferred", "success", "failed", "up_for_retry"}:
                        say(f"    {dag_id}.{task['task_id']}: {state}")

    rows = []
    for dag_id, source, face in CHAINS:
        state = airflow.wait_for(dag_id, runs[dag_id], timeout=300, seen=progress)
        if state != "success":
            print(f"{dag_id} ended as {state}: {airflow.summary(dag_id, runs[dag_id])}", file=sys.stderr)
            print(f"Logs are below {airflow.home}/logs", file=sys.stderr)
            raise SystemExit(1)
        made = airflow.xcom(dag_id, runs[dag_id], source)
        kept = airflow.xcom(dag_id, runs[dag_id], "archive")
        rows.append(
            {
                "title": dag_id,
                "run_id": runs[dag_id],
                "input": fetched(made["url"]),
                "face": fetched(f"{vendor}/samples/{face}.jpg"),
                "archived": Path(unquote(urlsplit(kept["uri"]).path)),
            }
        )
    return rows


def fetched(url: str) -> Image.Image:
    """A picture of the sandbox, before it goes."""
    return Image.open(BytesIO(httpx.get(url).raise_for_status().content)).convert("RGB")


def contact_sheet(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw input, face and output of every chain side by side."""
    width = 3 * TILE + 4 * GAP
    height = len(rows) * (TILE + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (width, height), "#f6f4f0")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(18)
    for number, row in enumerate(rows):
        top = GAP + number * (TILE + CAPTION + GAP)
        output = Image.open(row["archived"]).convert("RGB")
        labelled = ((f"{row['title']}: input", row["input"]), ("face", row["face"]), ("output", output))
        for column, (label, picture) in enumerate(labelled):
            left = GAP + column * (TILE + GAP)
            draw.text((left, top + 6), label, fill="#333333", font=font)
            tile = picture.copy()
            tile.thumbnail((TILE, TILE))
            sheet.paste(tile, (left + (TILE - tile.width) // 2, top + CAPTION + (TILE - tile.height) // 2))
    sheet.save(path)


if __name__ == "__main__":
    sys.exit(main())
