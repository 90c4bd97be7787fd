"""The documentation: it builds without a warning, its links lead somewhere, and it says what the code says."""

from __future__ import annotations

import ast
import functools
import html
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_faceswap import exceptions, sandbox
from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.operators.base import JobOperator

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))
#: One for each operator.
HOW_TOS = sorted(
    path
    for path in (DOCS / "how-to").glob("*.md")
    if path.name not in {"index.md", "taskflow.md", "webhook.md"}
)
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *DOCS.rglob("*.md"))
    if path.is_file()
)
#: A request that nothing reads.
ANY = httpx.Request("POST", "http://127.0.0.1:8090/")
_FENCE = re.compile(r"^(`{3,}).*?^\1`*\s*$", re.MULTILINE | re.DOTALL)


def shown(path):
    """A path for a test's name."""
    return str(path.relative_to(ROOT))


def public(*sections):
    """The classes that the provider info's modules define under a public name."""
    info = get_provider_info()
    modules = {
        import_module(name)
        for section in sections
        for entry in info[section]
        for name in entry["python-modules"]
    }
    return sorted(
        (
            value
            for module in modules
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        ),
        key=lambda cls: cls.__name__,
    )


# -- the site ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages."""
    out = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-n", "-q")
    built = subprocess.run(
        [*command, "-d", str(tmp_path_factory.mktemp("doctrees")), str(DOCS), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return out


@pytest.mark.program
def test_every_page_is_built(site):
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")} <= built


@pytest.mark.program
def test_nothing_built_names_the_machine_that_built_it(site):
    here = {str(ROOT), f"{tempfile.gettempdir()}/faceswap-", os.environ["AIRFLOW_HOME"]}
    for path in site.rglob("*"):
        if path.suffix in {".html", ".js", ".json", ".txt", ".css"}:
            text = path.read_text()
            assert not [name for name in here if name in text], path.name


@pytest.mark.program
def test_the_reference_has_every_public_class(site):
    classes = public("operators", "hooks", "sensors", "triggers")
    classes += [getattr(exceptions, name) for name in exceptions.__all__]
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in classes}
    names |= {f"{sandbox.__name__}.{name}" for name in sandbox.__all__}
    text = "".join(path.read_text() for path in (site / "api").glob("*.html"))
    assert {name for name in names if f'id="{name}"' not in text} == set()


# -- links, as they stand on a code host ----------------------------------------------------------------


@functools.cache
def anchors(path):
    """What a code host and the site make of the headings of a page."""
    found = set()
    for line in _FENCE.sub("", path.read_text()).splitlines():
        if match := re.match(r"#{1,6} (.*)", line):
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", match[1]).lower()
            found.add(re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page):
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_leads_to_the_documentation():
    text = (ROOT / "README.md").read_text()
    for page in ("tutorial.md", "how-to/index.md", "errors.md", "reliability.md", "sandbox.md"):
        assert f"(docs/{page})" in text


# -- code on the pages ------------------------------------------------------------------------------------


CODE = [
    (page, code)
    for page in PAGES
    for code in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize(("page", "code"), CODE, ids=[shown(page) for page, _ in CODE])
def test_code_on_a_page_imports_every_class_it_names(page, code):
    nodes = list(ast.walk(ast.parse(code)))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    there = {name.name for node in imports for name in node.names if has(node.module, name.name)}
    assert there >= {node.id for node in nodes if isinstance(node, ast.Name) and node.id[0].isupper()}


@pytest.mark.parametrize(("page", "code"), CODE, ids=[shown(page) for page, _ in CODE])
def test_code_on_a_page_runs_as_it_is(page, code, monkeypatch):
    sent = []
    monkeypatch.setattr(httpx, "post", lambda url, **_: sent.append(url) or httpx.Response(201, request=ANY))
    names = {"__name__": "a_page", "__doc__": "A page."}
    exec(compile(code, shown(page), "exec"), names)
    assert names.keys() - {"__name__", "__doc__", "__builtins__"}
    assert all(url.startswith("http://127.0.0.1:8090/") for url in sent)


def has(module, name):
    return hasattr(import_module(module), name)


def test_nothing_offered_for_a_shell_has_an_extra_without_quotes():
    for page in PAGES:
        assert not re.findall(r"pip install [^'`\n]*\[", page.read_text()), page.name


# -- errors --------------------------------------------------------------------------------------------

ERRORS = (DOCS / "errors.md").read_text()
#: The tree in its own order, from the drawing at the top of the module.
TREE = re.findall(r"^[│├└─ ]*(\w+Error)\b", exceptions.__doc__, re.MULTILINE)


def section(name):
    (found,) = re.findall(rf"^### {name}\n(.*?)(?=^##|\Z)", ERRORS, re.MULTILINE | re.DOTALL)
    return found


def retried(name):
    return "no" if issubclass(getattr(exceptions, name), AirflowFailException) else "yes"


def test_every_error_has_its_section_in_the_order_of_the_tree():
    assert re.findall(r"^### (\w+)$", ERRORS, re.MULTILINE) == TREE
    assert set(TREE) == set(exceptions.__all__)


def test_the_table_of_errors_says_which_are_retried():
    rows = re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\) \| [^|]+ \| (yes|no) \|$", ERRORS, re.MULTILINE)
    assert rows == [(name, name.lower(), retried(name)) for name in TREE]


@pytest.mark.parametrize("name", TREE)
def test_an_errors_section_quotes_its_advice_and_says_whether_it_is_retried(name):
    text = section(name)
    quoted = " ".join(line[2:] for line in text.splitlines() if line.startswith("> "))
    assert quoted == getattr(exceptions, name).advice
    heads = re.findall(r"^- \*\*([^*]+):\*\*", text, re.MULTILINE)
    assert heads == ["Job and money", "What to do", "Airflow retries"]
    assert f"- **Airflow retries:** {retried(name)}\n" in text


# -- how-to guides and examples ------------------------------------------------------------------------


@functools.cache
def sources():
    """Every example, by name."""
    return {path.name: path.read_text() for path in EXAMPLES}


@pytest.mark.parametrize("page", HOW_TOS, ids=shown)
def test_a_guide_takes_its_code_from_an_example_and_has_the_same_parts_as_the_others(page):
    text = page.read_text()
    fences = re.findall(r"^```(\S+)", text, re.MULTILINE)
    assert fences
    assert set(fences) == {"{literalinclude}"}
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[-3:] == ["Arguments that matter", "What comes back", "Limits"]


@pytest.mark.parametrize("page", HOW_TOS, ids=shown)
def test_a_guide_names_only_arguments_that_its_operator_takes(page):
    (operator,) = (cls for cls in public("operators", "sensors") if opens(page, cls))
    part = page.read_text().partition("## Arguments that matter")[2].partition("\n## ")[0]
    heads = re.findall(r"^- ((?:`\w+`(?:, )?)+):", part, re.MULTILINE)
    assert heads
    named = {name for head in heads for name in re.findall(r"`(\w+)`", head)}
    assert named <= arguments_of(operator)


def opens(page, cls):
    """Whether a guide is about this operator: its first sentence begins with its name."""
    return page.read_text().split("\n\n")[1].startswith(f"`{cls.__name__}`")


def arguments_of(cls):
    """What an operator takes, up to Airflow's own base class."""
    own = cls.__mro__[: cls.__mro__.index(BaseOperator)]
    return {name for base in own for name in inspect.signature(base.__init__).parameters}


def test_every_operator_has_a_guide():
    operators = [cls for cls in public("operators", "sensors") if cls is not JobOperator]
    missing = [cls.__name__ for cls in operators if not any(opens(page, cls) for page in HOW_TOS)]
    assert missing == []


@pytest.mark.program
@pytest.mark.parametrize("page", [*HOW_TOS, DOCS / "how-to" / "taskflow.md"], ids=shown)
def test_the_code_of_a_guide_imports_what_it_uses_from_where_its_example_does(site, page):
    names = re.findall(r"literalinclude\} \S*example_dags/(\w+\.py)", page.read_text())
    built = (site / "how-to" / f"{page.stem}.html").read_text()
    blocks = re.findall(r"<pre>(.*?)</pre>", built, re.DOTALL)
    for name, block in zip(names, blocks, strict=True):
        tree = ast.parse(html.unescape(re.sub(r"<[^>]+>", "", block)))
        example, bound = bound_at_the_top(ast.parse(sources()[name])), bound_at_the_top(tree)
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {name for name, source in example.items() if source.startswith("from ")}
        assert used & imported <= bound.keys()
        assert {name: example[name] for name in bound.keys() & example.keys()} == {
            name: bound[name] for name in bound.keys() & example.keys()
        }


def bound_at_the_top(tree):
    """Names that a module's statements import or assign, and where each comes from."""
    bound = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            bound |= {alias.name: f"from {node.module}" for alias in node.names}
        elif isinstance(node, ast.Assign):
            bound |= {target.id: ast.dump(node.value) for target in node.targets}
    return bound


def test_no_example_silences_a_type_checker():
    assert [name for name, text in sources().items() if "type: ignore" in text] == []


def test_every_marked_piece_of_an_example_is_shown_somewhere():
    pages = "".join(path.read_text() for path in DOCS.rglob("*.md"))
    included = re.findall(
        r"literalinclude\} \S*example_dags/(\w+\.py)\n---\n(?:(?!---|```).*\n)*?start-after: \"# \[START (\w+)\]\"",
        pages,
    )
    marked = [
        (name, piece) for name, text in sources().items() for piece in re.findall(r"# \[START (\w+)\]", text)
    ]
    assert set(included) == set(marked)
    for name, text in sources().items():
        assert re.findall(r"# \[START (\w+)\]", text) == re.findall(r"# \[END (\w+)\]", text), name


def test_every_example_says_what_it_is():
    for name, text in sources().items():
        assert text.startswith('"""'), name


def test_the_guides_table_of_shared_arguments_is_the_base_class():
    table = (DOCS / "how-to/index.md").read_text().partition("\n## What comes back")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    parameters = {
        name: parameter.default
        for name, parameter in inspect.signature(JobOperator.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert rows.keys() == parameters.keys()
    for name, default in parameters.items():
        if default is not None:
            assert rows[name] == f"`{json.dumps(default) if isinstance(default, str) else default}`"


# -- what else is said twice -----------------------------------------------------------------------------


def test_the_table_of_settings_is_the_provider_info():
    options = get_provider_info()["config"]["faceswap"]["options"]
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", (DOCS / "settings.md").read_text(), re.MULTILINE)
    assert rows == [
        (name, f"`{option['default']}`" if option["default"] else "none") for name, option in options.items()
    ]


def test_what_the_tutorial_installs_is_offered():
    (extra,) = re.findall(
        r"pip install 'airflow-provider-faceswap\[(\w+)\]'", (DOCS / "tutorial.md").read_text()
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
