"""A hundred thousand items are checked before anything is bought, in a minute and with little memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.pictures import bars, written

pytestmark = [pytest.mark.program, pytest.mark.full]

#: Items; and pictures in storage, each of two items. The faces of the others are links.
ITEMS, PICTURES = 100_000, 500
#: Seconds of processor time, and bytes.
LONGEST, MOST = 60, 200 * 1024 * 1024

CHECK = """
import resource, sys, time, types
from collections import Counter
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.media.image import Image
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

read, read_image = Counter(), Image.read.__func__

def counted(cls, source, *more, **named):
    read[str(source)] += 1
    return read_image(cls, source, *more, **named)

Image.read = classmethod(counted)
items, folder = sys.argv[1:]
operator = MediaBatchOperator(
    task_id="batch",
    items=f"file://{items}",
    destination=f"file://{folder}/portraits",
    filename="{name}",
    keep="all",
    steps=[
        Step("picture", "gptunnel_default", "image", model="gpt-image-1-low", prompt="portrait of {role}"),
        Step("swap", "piapi_default", "face_swap", target_image="{picture}", face_image="{face}"),
    ],
)
instance = types.SimpleNamespace(
    dag_id="d", run_id="r", task_id="batch", map_index=-1, try_number=1, max_tries=0, task=operator
)
store = {}
store_of = types.SimpleNamespace(get=store.get, set=lambda key, value, **_: store.update({key: value}))
before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    operator.execute({"ti": instance, "task_state_store": store_of})
except InvalidRequestError as error:
    print(error, file=sys.stderr)
seconds = time.process_time() - begun
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print("checked", seconds, grown, len(read), max(read.values()))
"""


def test_a_hundred_thousand_items_are_checked_in_a_minute(tmp_path, monkeypatch):
    faces = []
    for number in range(PICTURES):
        faces.append(tmp_path / f"face-{number}.png")
        faces[-1].write_bytes(written(bars(size=(512, 512 + number)), "PNG"))
    items = tmp_path / "people.csv"
    with items.open("w") as rows:
        rows.write("name,role,face\n")
        for n in range(ITEMS):
            face = f"file://{faces[n % PICTURES]}" if n < 2 * PICTURES else f"https://pictures.test/{n}.jpg"
            rows.write(f"person {n},captain {n},{face}\n")
        # The last row is wrong, so that the task ends where the first purchase would be.
        rows.write("the last,,\n")
    for vendor in ("gptunnel", "piapi"):
        connection = json.dumps({"conn_type": vendor, "password": f"the-key-of-{vendor}"})
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", connection)
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_LOCAL_PATHS", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(items), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert f"1 of {ITEMS + 1} items are wrong" in done.stderr
    seconds, grown, read, times = map(float, done.stdout.rpartition("checked")[2].split())
    assert seconds < LONGEST
    assert grown < MOST
    assert (read, times) == (PICTURES, 1)
