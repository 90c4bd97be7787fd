"""What is shipped: the wheel that is built from the sdist, and an environment that has nothing else."""

from __future__ import annotations

import configparser
import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.program

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE = "airflow_provider_faceswap"


def version():
    text = (ROOT / PACKAGE / "__init__.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree():
    """Paths of what belongs to the project, as git sees it: no build results, no environments."""
    try:
        told = run("git", "ls-files", "-co", "--exclude-standard", "-z", cwd=ROOT)
    except (AssertionError, FileNotFoundError):
        pytest.skip("the tree is no git checkout")
    return [path for path in told.split("\0") if path and (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def built(tree, tmp_path_factory):
    """The sdist, and the wheel built from it; nothing is built in the tree itself."""
    copy = tmp_path_factory.mktemp("tree")
    for path in tree:
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", str(out), str(copy))
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(built[1]) as file:
        yield file


@pytest.fixture(scope="module")
def metadata(wheel):
    return email.message_from_string(wheel.read(f"{PACKAGE}-{version()}.dist-info/METADATA").decode())


def test_the_names_of_both_tell_project_and_version(built):
    sdist, wheel = built
    assert sdist.name == f"{PACKAGE}-{version()}.tar.gz"
    assert wheel.name == f"{PACKAGE}-{version()}-py3-none-any.whl"


def test_the_wheel_holds_the_package_and_nothing_else(wheel, tree):
    info = f"{PACKAGE}-{version()}.dist-info/"
    names = set(wheel.namelist())
    shipped = {name for name in names if not name.startswith(info)}
    assert shipped == {path for path in tree if path.startswith(f"{PACKAGE}/")}
    assert f"{PACKAGE}/py.typed" in shipped
    assert names - shipped == {
        f"{info}{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }


def test_the_wheel_tells_airflow_where_the_provider_is(wheel):
    points = configparser.ConfigParser()
    points.read_string(wheel.read(f"{PACKAGE}-{version()}.dist-info/entry_points.txt").decode())
    assert {section: dict(points[section]) for section in points.sections()} == {
        "apache_airflow_provider": {"provider_info": f"{PACKAGE}.get_provider_info:get_provider_info"},
        "airflow.plugins": {"faceswap": f"{PACKAGE}.gallery.plugin:FaceSwapPlugin"},
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Name", "airflow-provider-faceswap"),
        ("License-Expression", "Apache-2.0"),
        ("License-File", "LICENSE"),
        ("Requires-Python", ">=3.11"),
        ("Summary", PROJECT["description"]),
        ("Description-Content-Type", "text/markdown"),
    ],
)
def test_the_metadata_says(metadata, field, value):
    assert metadata[field] == value


def test_the_metadata_links_to_the_repository_and_names_no_person(metadata):
    links = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert links.keys() == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    assert all(link.startswith(links["Source"]) for link in links.values())
    assert {metadata["Author"], metadata["Maintainer"]} == {"The airflow-provider-faceswap developers"}


def plain(requirement):
    return canonicalize_name(requirement.name), str(requirement.specifier), frozenset(requirement.extras)


def test_every_extra_asks_for_what_the_project_names(metadata):
    asked = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    for extra, lines in PROJECT["optional-dependencies"].items():
        chosen = [
            one
            for one in asked
            if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
        ]
        assert {plain(one) for one in chosen} == {plain(Requirement(line)) for line in lines}, extra


def test_the_licence_that_is_shipped_is_the_projects(wheel):
    shipped = wheel.read(f"{PACKAGE}-{version()}.dist-info/licenses/LICENSE")
    assert shipped == (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in shipped


def test_nothing_in_the_wheel_is_a_test_a_key_or_a_leftover(wheel):
    names = wheel.namelist()
    assert not [name for name in names if "test" in name.lower() or "__pycache__" in name or "/." in name]
    suffixes = {Path(name).suffix for name in names if name.startswith(f"{PACKAGE}/")}
    # The gallery's templates are the only files that are not Python.
    assert suffixes <= {".py", ".typed", ".html", ".css"}


def test_the_metadata_names_version_framework_and_extras(metadata):
    assert metadata["Version"] == version()
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier")
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_the_readme_is_the_long_description(metadata):
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()


def test_nothing_is_required_but_what_the_project_names(metadata):
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(required) == len(PROJECT["dependencies"])
    names = {line.partition("<")[0].partition(">")[0].strip() for line in PROJECT["dependencies"]}
    assert {line.partition("<")[0].partition(">")[0].strip() for line in required} == names


@pytest.fixture(scope="module")
def sources(built):
    """Paths in the sdist."""
    with tarfile.open(built[0]) as file:
        return {member.name.partition("/")[2] for member in file.getmembers() if member.isfile()}


def test_what_a_shipped_page_links_to_is_shipped(sources):
    missing = []
    for page in sorted(path for path in sources if path.endswith(".md")):
        text = re.sub(r"^(`{3,}).*?^\1`*\s*$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s#:]+)[^)\s:]*\)", text):
            target = os.path.relpath((ROOT / page).parent / link, ROOT)
            if target not in sources and not any(path.startswith(f"{target}/") for path in sources):
                missing.append((page, link))
    assert missing == []


#: Folders and files of the tree that a person who has only the sdist needs to build, test and read it.
SHIPPED_FOLDERS = (f"{PACKAGE}/", "benchmarks/", "docs/", "example_dags/", "tests/", "tools/")
SHIPPED_FILES = {
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "constraints-lowest.txt",
    "constraints.txt",
    "pyproject.toml",
    "requirements-dev.txt",
}


def test_the_sdist_holds_sources_tests_and_documents_and_nothing_else(sources, tree):
    expected = {path for path in tree if path.startswith(SHIPPED_FOLDERS)} | SHIPPED_FILES
    # The first is made by the build; the second it adds, to know what to leave out.
    assert sources == expected | {"PKG-INFO", ".gitignore"}


def test_the_wheel_from_the_sdist_is_the_one_of_the_tree(sources, wheel):
    shipped = {name for name in wheel.namelist() if name.startswith(f"{PACKAGE}/")}
    assert shipped == {path for path in sources if path.startswith(f"{PACKAGE}/")}


def test_the_bill_of_materials_stands_beside_the_wheel_it_was_made_for(built, tmp_path):
    shutil.copy(built[1], tmp_path)
    run(sys.executable, str(ROOT / "tools" / "sbom.py"), str(tmp_path / built[1].name))
    text = (tmp_path / f"{PACKAGE}-{version()}.cdx.json").read_text()
    assert json.loads(text)["metadata"]["component"]["version"] == version()
    assert str(tmp_path) not in text


def test_the_wheel_installs_into_an_empty_environment(built, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install")
    run(*pip, "--quiet", "--no-deps", "--no-index", str(built[1]))
    code = (
        f"import importlib.metadata as m, {PACKAGE} as p;"
        "print(m.version('airflow-provider-faceswap'), p.__version__, p.__file__);"
        "print([e.value for e in m.entry_points(group='apache_airflow_provider')])"
    )
    versions, points = run(str(python), "-I", "-c", code, cwd=tmp_path).splitlines()
    assert versions.split()[:2] == [version(), version()]
    assert Path(versions.split()[2]).is_relative_to(tmp_path)
    assert points == f"['{PACKAGE}.get_provider_info:get_provider_info']"
