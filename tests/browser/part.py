"""
What the tests in a browser add to the stack: a Dag with mapped swaps, a batch and failures, the examples with an approval,
and the sandbox.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.stack import Part, dag_files

KEY = "planted-gallery-key-4f1d"
ROOT = Path(__file__).resolve().parents[2]
#: Examples that run here with a connection of this suite's own, which replaces the default one.
EXAMPLES = ("approve_before_publish.py", "pick_of_four.py")


def _example(name):
    """An example as another file with other Dags: the suite of all examples may be on the same stack."""
    text = (ROOT / "example_dags" / name).read_text()
    for vendor, first in (("gptunnel", "GPTunnel"), ("piapi", "PiAPI")):
        text = re.sub(rf"( = {first}\w+Operator\()", rf'\1conn_id="gallery_{vendor}", ', text)
    return re.sub(r'dag_id="(\w+)"', r'dag_id="gallery_\1"', text)


@contextmanager
def part(home, database):
    with SandboxServer(job_seconds=1, key=KEY) as sandbox:
        env = {
            f"AIRFLOW_CONN_GALLERY_{vendor.upper()}": json.dumps(
                {"conn_type": vendor, "host": sandbox.url, "password": KEY}
            )
            for vendor in ("gptunnel", "piapi")
        }
        env |= {
            "AIRFLOW__FACESWAP__GALLERY_ROOTS": f"file://{home}/pictures",
            "GALLERY_SANDBOX": sandbox.url,
            "GALLERY_PICTURES": f"file://{home}/pictures",
        }
        dags = dag_files(Path(__file__).parent / "dags")
        dags |= {f"gallery_{name}": _example(name) for name in EXAMPLES}
        yield Part(home, dags, env, {"sandbox": sandbox})
