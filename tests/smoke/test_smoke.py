"""In a few minutes, on any supported version: it imports, Airflow finds it, and a Dag runs to its kept picture."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
from pathlib import Path

import httpx
import pytest
from PIL import Image

import airflow_provider_faceswap

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = airflow_provider_faceswap.__name__
MODULES = [
    module.name
    for module in pkgutil.walk_packages(airflow_provider_faceswap.__path__, f"{PACKAGE}.")
    if not module.name.endswith("__main__")
]
VENDORS = ("gptunnel", "tengrai", "piapi")


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported(module):
    assert importlib.import_module(module).__doc__


@pytest.fixture(scope="module")
def providers():
    from airflow.providers_manager import ProvidersManager

    return ProvidersManager()


@pytest.mark.filterwarnings("default")
def test_airflow_finds_the_provider(providers):
    found = providers.providers["airflow-provider-faceswap"]
    assert found.version == airflow_provider_faceswap.__version__
    assert found.data["package-name"] == "airflow-provider-faceswap"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("vendor", VENDORS)
def test_airflow_finds_the_hook_of_a_connection(providers, vendor):
    hook = providers.hooks[vendor]
    assert hook is not None
    assert hook.hook_class_name.startswith(f"{PACKAGE}.hooks.{vendor}.")


@pytest.fixture
def dag(database):
    """The example of one swap and its archive."""
    path = ROOT / "example_dags" / "tengrai_swap.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.dag


@pytest.mark.program
@pytest.mark.full
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("records", [True, False], ids=["with ledger_uri", "without"])
def test_a_dag_runs_to_its_kept_picture(dag, sandbox, tmp_path, monkeypatch, records):
    if records:
        monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", f"file://{tmp_path}/records")
    run = dag.test(
        run_conf={
            "target_image": f"{sandbox.url}/samples/emil.png",
            "face_image": f"{sandbox.url}/samples/anna.jpg",
            "destination": f"file://{tmp_path}/pictures",
        }
    )
    assert run.state == "success"
    [manifest] = (tmp_path / "pictures").rglob("*.json")
    told = json.loads(manifest.read_text())
    assert told["job"]["vendor"] == "tengrai"
    with Image.open(manifest.with_suffix("")) as picture:
        picture.load()
    assert httpx.get(f"{sandbox.url}/sandbox/ledger").json()["creates"] == 1
    assert any((tmp_path / "records").rglob("*.json")) is records
