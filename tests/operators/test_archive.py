"""The archive operator: what it takes, what it returns, what it reads of the settings."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFileSystem
from structlog.testing import capture_logs

from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    InvalidRequestError,
    NotAnImageError,
    TooLargeError,
    UnsafeURLError,
)
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelImagineOperator

pytestmark = pytest.mark.usefixtures("alone", "one_after_the_other")

FIELDS = {"uri", "manifest_uri", "media_type", "bytes", "sha256", "width", "height"}


@pytest.fixture
def keep(tmp_path, context):
    """Run an archive task into a folder of its own."""

    def run(source, rendered=(), **more):
        options = {"destination": f"file://{tmp_path}/kept", **more}
        task = ArchiveOperator(task_id="keep", source=source, **options)
        for name, value in dict(rendered).items():
            setattr(task, name, value)
        return task.execute(context)

    return run


@pytest.fixture
def kept(tmp_path):
    """Names of the files that are kept, without the thumbnails."""
    return lambda: sorted(
        str(path.relative_to(tmp_path / "kept"))
        for path in (tmp_path / "kept").rglob("*")
        if path.is_file() and not path.name.startswith(".thumbnail-")
    )


def with_manifests(*names):
    return sorted([*names, *(f"{name}.json" for name in names)])


class Lazy(Sequence):
    """As the results of mapped tasks come: a sequence that is no list."""

    def __init__(self, *items) -> None:
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


# -- sources ------------------------------------------------------------------------------------------


def test_a_result_gives_one_plain_dict(web, made, picture, keep, kept):
    web.will(picture())
    told = keep(made())
    assert set(told) == FIELDS
    assert json.loads(json.dumps(told)) == told
    assert (told["media_type"], told["width"], told["height"]) == ("image/png", 37, 23)
    assert kept() == with_manifests("gptunnel-face_swap-65819c48.png")
    assert web.requests[0].url.raw_path == b"/65819c48-0.png?sig=SECRET0"


def test_a_bare_link_gives_one_plain_dict(web, picture, keep):
    web.will(picture())
    assert set(keep("https://files.test/pic.png?sig=SECRET")) == FIELDS


def test_a_job_with_several_pictures_gives_a_list(web, made, picture, keep, kept):
    web.will(*[picture(colour=colour) for colour in ("red", "green", "blue")])
    told = keep(made(links=3))
    names = [f"gptunnel-face_swap-65819c48-{n}.png" for n in (1, 2, 3)]
    assert [Path(item["uri"]).name for item in told] == names
    assert kept() == with_manifests(*names)
    assert len({item["sha256"] for item in told}) == 3


@pytest.mark.parametrize(
    "wrap",
    [
        lambda *items: list(items),
        lambda *items: tuple(items),
        Lazy,
        lambda *items: (item for item in items),
        lambda first, *rest: [[first], [[*rest]]],
        lambda first, *rest: Lazy([first], Lazy(*rest)),
    ],
    ids=["list", "tuple", "lazy", "generator", "nested", "lazily nested"],
)
def test_whatever_holds_several_sources_gives_a_list_in_order(web, made, picture, keep, wrap):
    colours = ("red", "green", "blue")
    web.will(*[picture(colour=colour) for colour in colours])
    told = keep(wrap(made(job_id="one"), "https://files.test/two.png?sig=SECRET", made(job_id="three")))
    assert [request.url.path for request in web.requests] == ["/one-0.png", "/two.png", "/three-0.png"]
    data = [ObjectStoragePath(item["uri"]).read_bytes() for item in told]
    assert data == [picture(colour=colour) for colour in colours]


def test_the_results_of_a_thousand_mapped_tasks_are_asked_for_at_once(web, made, picture, keep):
    asked = []

    class Counting(Lazy):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    web.will(*[picture()] * 3)
    assert len(keep(Counting(made(job_id="one"), made(job_id="two"), made(job_id="three")))) == 3
    assert asked == [slice(None)]


def test_one_that_cannot_be_kept_stops_none_of_the_others(web, made, picture, keep, kept):
    web.will(picture(), b"no picture", picture(), b"nor this")
    with capture_logs() as logs, pytest.raises(NotAnImageError) as caught:
        keep([made(job_id=f"job{n}") for n in range(4)])
    assert caught.value.job_id == "job1"
    assert kept() == with_manifests("gptunnel-face_swap-job0.png", "gptunnel-face_swap-job2.png")
    told = [
        entry["event"] % tuple(entry.get("positional_args", ()))
        for entry in logs
        if entry["log_level"] == "error"
    ]
    assert [line.startswith("Not archived: ") for line in told] == [True, True, False]
    assert told[-1] == "2 of 4 could not be archived; the others are in place"


def test_several_are_kept_at_a_time(sandbox, monkeypatch, keep, kept):
    monkeypatch.setattr("airflow_provider_faceswap.operators.archive.CONCURRENCY", 8)
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    links = [f"{sandbox.url}/samples/{name}" for name in ("anna.jpg", "emil.png", "boris.jpg") * 4]
    told = keep([f"{link}?n={n}" for n, link in enumerate(links)])
    assert [item["media_type"] for item in told] == ["image/jpeg", "image/png", "image/jpeg"] * 4
    assert len(kept()) == 6


def test_a_list_of_one_is_still_a_list(web, made, picture, keep):
    web.will(picture())
    told = keep([made()])
    assert len(told) == 1
    assert set(told[0]) == FIELDS


@pytest.mark.parametrize("source", [[], (), Lazy(), [[], []]])
def test_nothing_gives_nothing(web, keep, kept, source):
    assert keep(source) == []
    assert web.requests == []


@pytest.mark.parametrize(
    "source",
    [
        None,
        7,
        "",
        "pic.png",
        "ftp://files.test/pic.png",
        b"https://files.test/pic.png",
        {},
        {"url": "https://files.test/pic.png"},
        pytest.param(object(), id="an object"),
        [None],
        [None, [None]],
        [[3]],
    ],
    ids=repr,
)
def test_anything_else_is_refused_before_anything_is_fetched(web, keep, source):
    with pytest.raises(InvalidRequestError, match="source: must be") as told:
        keep(source)
    assert isinstance(told.value, AirflowFailException)
    assert web.requests == []


@pytest.mark.parametrize("form", [list, tuple, lambda items: Lazy(*items), lambda items: [items, [None]]])
def test_a_join_after_a_branch_archives_what_was_not_skipped(web, made, picture, keep, form):
    web.will(picture(), picture())
    told = keep(form([None, made(job_id="a"), None, made(job_id="b")]))
    assert [Path(item["uri"]).name for item in told] == [f"gptunnel-face_swap-{job}.png" for job in "ab"]


def test_a_wrong_item_fails_the_task_after_the_paid_pictures_are_kept(web, made, picture, keep, kept):
    web.will(picture(), picture())
    with pytest.raises(InvalidRequestError, match="source: must be"):
        keep([made(job_id="a"), 3, made(job_id="b")])
    assert kept() == with_manifests("gptunnel-face_swap-a.png", "gptunnel-face_swap-b.png")


@pytest.mark.parametrize(
    "filename", [True, False, ["a"], {"a": 1}, "../up", "/abs", "", " ", "None", "a::b", float("inf")]
)
def test_a_filename_that_a_template_made_unusable_loses_no_paid_picture(
    web, made, picture, keep, kept, filename
):
    web.will(picture())
    told = keep(made(), rendered={"filename": filename})
    assert Path(told["uri"]).name == "gptunnel-face_swap-65819c48.png"
    assert kept() == with_manifests("gptunnel-face_swap-65819c48.png")


def test_a_filename_that_is_mapped_is_not_checked_once_the_pictures_are_paid_for(
    web, made, picture, context, tmp_path
):
    with DAG("a_dag", schedule=None):
        mapped = ArchiveOperator.partial(task_id="keep", destination=f"file://{tmp_path}/kept").expand(
            source=[made()], filename=["../up"]
        )
    task = mapped.unmap({"source": made(), "filename": "../up"})
    web.will(picture())
    assert Path(task.execute(context)["uri"]).name == "gptunnel-face_swap-65819c48.png"


@pytest.mark.parametrize(
    ("filename", "name"), [(20270115, "20270115.png"), (" swap\n", "swap.png"), (1.5, "1.5.png")]
)
def test_a_filename_that_native_rendering_made_a_number_is_the_name(web, made, picture, keep, filename, name):
    web.will(picture())
    assert Path(keep(made(), rendered={"filename": filename})["uri"]).name == name


@pytest.mark.parametrize("filename", [True, ["a"], {"a": 1}, "../up", "/abs", "", "None", "a::b"])
def test_a_filename_that_cannot_be_one_is_found_when_the_dag_is_parsed(filename):
    with pytest.raises(InvalidRequestError, match="filename: "):
        ArchiveOperator(task_id="keep", source="", destination="file:///kept", filename=filename)


@pytest.mark.parametrize("conn_id", [True, ["a"], {"a": 1}, "a\nb"])
def test_a_connection_id_that_cannot_be_one_is_found_when_the_dag_is_parsed(conn_id):
    with pytest.raises(InvalidRequestError, match="destination_conn_id: "):
        ArchiveOperator(task_id="keep", source="", destination="file:///kept", destination_conn_id=conn_id)


def test_arguments_that_other_tasks_return_are_checked_when_they_are_there():
    with DAG("a_dag", schedule=None):
        image = GPTunnelImagineOperator(task_id="image", prompt="a king")
        names = {"filename": image.output["job_id"], "destination_conn_id": image.output["conn_id"]}
        task = ArchiveOperator(task_id="keep", source=image.output, destination="file:///kept", **names)
    assert task.upstream_task_ids == {"image"}


def test_a_refusal_does_not_repeat_a_signed_link(web, keep):
    with pytest.raises(InvalidRequestError) as told:
        keep("{'url': 'https://files.test/pic.png?sig=SECRET'}")
    assert "SECRET" not in str(told.value)


@pytest.mark.parametrize("more", [{"url": 5}, {"urls": [None]}, {"urls": "https://files.test/pic.png"}])
def test_a_result_whose_links_are_no_texts_is_refused(web, made, keep, more):
    with pytest.raises(
        InvalidRequestError, match=r"gptunnel: source: .*result cannot be read \(urls?[:.].*job 65819c48"
    ):
        keep({**made(links=0), **more})
    assert web.requests == []


def test_a_result_without_a_link_must_say_where_its_job_is(web, keep):
    with pytest.raises(
        InvalidRequestError, match=r"gptunnel: source: .* needs conn_id and kind too \[job 9\]"
    ):
        keep({"vendor": "gptunnel", "job_id": "9", "url": None})
    assert web.requests == []


@pytest.mark.parametrize("filename", ["", "None", "job::6"])
def test_what_is_no_name_is_refused_before_anything_is_fetched(web, made, keep, filename):
    with pytest.raises(InvalidRequestError, match=r"^filename: must"):
        keep(made(), filename=filename)
    assert web.requests == []


def test_one_name_for_several_sources_is_numbered_through(web, made, picture, keep, kept):
    web.will(*[picture(colour=colour) for colour in ("red", "green", "blue")])
    keep([made(job_id="one", links=2), made(job_id="two")], filename="swap")
    assert kept() == with_manifests("swap-1.png", "swap-2.png", "swap-3.png")


def test_numbering_leaves_the_jobs_own_count_in_the_manifest(web, made, picture, keep, tmp_path):
    web.will(*[picture(colour=colour) for colour in ("red", "green", "blue")])
    keep([made(job_id="one", links=2), made(job_id="two")], filename="swap")
    told = [json.loads((tmp_path / f"kept/swap-{n}.png.json").read_text()) for n in (1, 2, 3)]
    assert [
        (item["job"]["job_id"], item["source"]["output"], item["source"]["outputs"]) for item in told
    ] == [
        ("one", 1, 2),
        ("one", 2, 2),
        ("two", 1, 1),
    ]


# -- pictures that came inside an answer --------------------------------------------------------------


def finished(*pictures, job_id="p1"):
    encoded = [{"b64_json": base64.b64encode(data).decode()} for data in pictures]
    return {"code": 200, "data": {"task_id": job_id, "status": "completed", "output": {"data": encoded}}}


@pytest.fixture
def inline(made):
    """A result without a link."""
    return lambda job_id="p1": made("piapi", "task", job_id, links=0)


def test_a_job_without_a_link_is_read_again(vendor, inline, picture, keep, kept):
    vendor.will(finished(picture()))
    told = keep(inline())
    assert kept() == with_manifests("piapi-task-p1.png")
    assert ObjectStoragePath(told["uri"]).read_bytes() == picture()
    (request,) = vendor.requests
    assert (request.method, request.url.path) == ("GET", "/api/v1/task/p1")
    assert request.headers["x-api-key"] not in ObjectStoragePath(told["manifest_uri"]).read_text()


def test_several_jobs_without_links_may_share_a_name(vendor, inline, picture, keep, tmp_path):
    vendor.will(finished(picture(colour="red")), finished(picture(colour="green"), job_id="p2"))
    keep([inline("p1"), inline("p2")], filename="swap")
    assert (tmp_path / "kept/swap-1.png").read_bytes() == picture(colour="red")
    assert (tmp_path / "kept/swap-2.png").read_bytes() == picture(colour="green")


def test_every_picture_inside_an_answer_is_kept(vendor, inline, picture, keep):
    answer = finished(picture(colour="red"), picture(colour="green"))
    vendor.will(answer, answer, answer)
    told = keep(inline())
    told = told if isinstance(told, list) else [told]
    data = [ObjectStoragePath(item["uri"]).read_bytes() for item in told]
    assert data == [picture(colour="red"), picture(colour="green")]


def test_a_job_with_neither_link_nor_picture_says_so(vendor, inline, keep):
    vendor.will(*[{"code": 200, "data": {"task_id": "p1", "status": "processing"}}] * 5)
    with pytest.raises(ArchiveError, match=r"piapi: .*neither a link nor an inline picture.*job p1"):
        keep(inline())


# -- places -------------------------------------------------------------------------------------------


def test_destination_filename_and_source_are_templates(web, made, picture, context, tmp_path):
    web.will(picture())
    task = ArchiveOperator(
        task_id="keep",
        source="https://files.test/{{ ds }}.png?sig=SECRET",
        destination=f"file://{tmp_path}/kept/{{{{ ds }}}}",
        destination_conn_id="{{ conn }}",
        filename="swap-{{ ds }}",
    )
    task.render_template_fields({**context, "ds": "2026-01-31", "conn": "disk"})
    assert task.destination_conn_id == "disk"
    told = task.execute(context)
    assert web.requests[0].url.path == "/2026-01-31.png"
    assert (tmp_path / "kept/2026-01-31/swap-2026-01-31.png").read_bytes() == picture()
    assert told["uri"].endswith("/kept/2026-01-31/swap-2026-01-31.png")


def test_a_path_object_may_be_the_destination(web, picture, context, tmp_path):
    web.will(picture())
    task = ArchiveOperator(
        task_id="keep",
        source="https://files.test/pic.png",
        destination=ObjectStoragePath(f"file://{tmp_path}/{{{{ ds }}}}"),
        filename="swap",
    )
    task.render_template_fields({**context, "ds": "2026-01-31"})
    task.execute(context)
    assert (tmp_path / "2026-01-31/swap.png").read_bytes() == picture()


def test_a_path_without_a_scheme_may_be_the_destination(web, picture, keep, tmp_path):
    web.will(picture())
    keep("https://files.test/pic.png", destination=str(tmp_path / "plain" / "folder"), filename="swap")
    assert (tmp_path / "plain/folder/swap.png").read_bytes() == picture()


def test_the_destinations_connection_is_used_for_everything(web, picture, keep, monkeypatch):
    class Storage(MemoryFileSystem):
        cachable = False
        store: dict = {}  # noqa: RUF012 - as the class above has it
        pseudo_dirs = [""]  # noqa: RUF012

    storage = stores.ObjectStore("memory", "a_storage", fs=Storage())
    monkeypatch.setitem(stores._STORE_CACHE, "memory-a_storage", storage)
    web.will(picture(), picture(colour="red"))
    for _ in range(2):
        told = keep(
            "https://files.test/pic.png",
            destination="memory://bucket/kept",
            destination_conn_id="a_storage",
            filename="swap",
            overwrite="skip",
            thumbnails=False,
        )
    assert set(Storage.store) == {"/bucket/kept/swap.png", "/bucket/kept/swap.png.json"}
    assert Storage.store["/bucket/kept/swap.png"].getvalue() == picture()
    assert ObjectStoragePath(told["uri"]).read_bytes() == picture()


@pytest.mark.parametrize(
    "destination",
    [
        *("", None, " ", "None", ["/swaps"], 5),
        *(
            "swaps",
            "./swaps",
            "~/swaps",
            "file:",
            "file://",
            "file://swaps",
            "file://c@swaps",
            "local://swaps",
        ),
        *("file:////swaps", "file:///swaps/a::b", "s3://"),
    ],
)
def test_a_missing_or_relative_destination_is_refused(web, keep, destination, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InvalidRequestError, match="destination: must be an absolute path or a full URI of a folder"
    ):
        keep("https://files.test/pic.png", destination=destination)
    assert web.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trouble", [ValueError, ImportError])
def test_a_destination_in_a_storage_that_is_not_there_is_named_without_its_password(
    web, keep, monkeypatch, trouble
):
    def absent(*_):
        raise trouble

    monkeypatch.setattr("airflow_provider_faceswap.archive.names.usable_path", absent)
    with pytest.raises(InvalidRequestError, match=r"destination: .* no storage for 'zzz://b'") as told:
        keep("https://files.test/pic.png", destination="zzz://me:planted@b")
    assert "planted" not in str(told.value)
    assert web.requests == []


def test_a_storage_that_lacks_its_account_says_so_and_a_retry_may_help(web, keep, monkeypatch):
    def lacking(*_):
        raise ValueError("Must provide either a connection_string or account_name with credentials!!")

    monkeypatch.setattr("airflow_provider_faceswap.archive.names.usable_path", lacking)
    with pytest.raises(
        ArchiveError, match=r"cannot be used \(ValueError: Must provide .*account_name.*retry"
    ) as told:
        keep("https://files.test/pic.png", destination="s3://pictures/kept")
    assert not isinstance(told.value, AirflowFailException)
    assert "nstall" not in str(told.value)


def test_no_storage_has_such_a_scheme(web, keep):
    with pytest.raises(InvalidRequestError, match=r"destination: .* no storage for 'zzz://b' \(ValueError\)"):
        keep("https://files.test/pic.png", destination="zzz://b")
    assert web.requests == []


@pytest.mark.parametrize(
    ("argument", "value"),
    [("overwrite", "always"), ("overwrite", ""), ("max_bytes", 0), ("max_bytes", -1), ("max_bytes", "10")],
)
def test_a_wrong_rule_is_found_when_the_dag_is_read(argument, value):
    with pytest.raises(InvalidRequestError, match=argument):
        ArchiveOperator(task_id="keep", source="", destination="file:///tmp", **{argument: value})


def test_an_upstream_task_may_be_the_source():
    with DAG("a_dag", schedule=None):
        image = GPTunnelImagineOperator(task_id="image", prompt="a king")
        task = ArchiveOperator(task_id="keep", source=image.output, destination="file:///kept")
    assert task.upstream_task_ids == {"image"}


# -- a name that is taken -----------------------------------------------------------------------------


@pytest.mark.parametrize(("overwrite", "colour"), [("replace", "green"), ("skip", "red"), (None, "green")])
def test_a_retry_follows_the_rule(web, picture, keep, overwrite, colour):
    web.will(picture(colour="red"), picture(colour="green"))
    options = {"filename": "swap", **({"overwrite": overwrite} if overwrite else {})}
    first, second = (keep("https://files.test/pic.png", **options) for _ in range(2))
    assert first["uri"] == second["uri"]
    assert ObjectStoragePath(first["uri"]).read_bytes() == picture(colour=colour)


def test_after_a_failure_a_retry_keeps_the_rest_though_a_taken_name_is_an_error(
    web, made, picture, keep, kept, context, monkeypatch
):
    sources = [made(job_id=f"job{n}") for n in range(3)]
    web.will(picture(), httpx.Response(404), picture(), *[picture()] * 3)
    with pytest.raises(ArchiveError, match="job job1"):
        keep(sources, overwrite="error")
    monkeypatch.setattr(context["ti"], "try_number", 2)
    told = keep(sources, overwrite="error")
    assert [Path(item["uri"]).name for item in told] == [f"gptunnel-face_swap-job{n}.png" for n in range(3)]
    assert kept() == with_manifests(*(Path(item["uri"]).name for item in told))


def test_a_name_that_is_taken_may_be_an_error(web, made, picture, keep):
    web.will(picture(), picture(colour="red"))
    keep(made(), overwrite="error")
    with pytest.raises(ArchiveError, match="already exists"):
        keep(made(), overwrite="error")


# -- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [
        ("127.0.0.1", True),
        ("media.internal, 127.0.0.1 ,", True),
        ("", False),
        ("127.0.0.10,media.internal", False),
    ],
)
def test_the_settings_open_private_hosts(sandbox, monkeypatch, keep, hosts, allowed):
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", hosts)
    source = f"{sandbox.url}/samples/anna.jpg"
    if allowed:
        assert keep(source)["media_type"] == "image/jpeg"
    else:
        with pytest.raises(UnsafeURLError):
            keep(source)


def test_private_hosts_are_names_in_any_case(sandbox, monkeypatch, keep):
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "LocalHost")
    source = f"{sandbox.url}/samples/anna.jpg".replace("127.0.0.1", "localhost")
    assert keep(source)["media_type"] == "image/jpeg"


def test_private_hosts_are_closed_where_nothing_is_set(sandbox, monkeypatch, keep):
    monkeypatch.delenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS")
    with pytest.raises(UnsafeURLError):
        keep(f"{sandbox.url}/samples/anna.jpg")


def test_the_largest_size_is_the_operators_then_the_settings(web, picture, keep, monkeypatch):
    size = len(picture())
    monkeypatch.setenv("AIRFLOW__FACESWAP__MAX_ARCHIVE_BYTES", str(size - 1))
    web.will(picture(), picture(), picture())
    with pytest.raises(TooLargeError, match=f"the limit of {size - 1}"):
        keep("https://files.test/pic.png")
    assert keep("https://files.test/pic.png", max_bytes=size)["bytes"] == size
    with pytest.raises(TooLargeError, match="the limit of 10"):
        keep("https://files.test/pic.png", max_bytes=10)


def test_the_manifest_names_the_run(web, made, picture, keep, tmp_path):
    web.will(picture())
    keep(made())
    told = json.loads((tmp_path / "kept/gptunnel-face_swap-65819c48.png.json").read_text())
    assert told["airflow"] == {
        "dag_id": "a_dag",
        "run_id": "a_run",
        "task_id": "a_task",
        "map_index": -1,
        "try_number": 1,
    }


# -- assets -------------------------------------------------------------------------------------------


@pytest.fixture
def archiving(made, tmp_path):
    """A task that keeps a job's picture and that of a bare link."""
    return lambda outlet: ArchiveOperator(
        task_id="keep",
        source=[made(), "https://files.test/pic.png?sig=SECRET"],
        destination=f"file://{tmp_path}",
        outlets=[outlet],
    )


@pytest.mark.parametrize(
    "outlet", [Asset("swaps", uri="file:///swaps"), AssetAlias("some_swaps")], ids=["asset", "alias"]
)
def test_the_event_of_an_outlet_tells_the_files_and_no_link(archiving, web, picture, context, outlet):
    web.will(picture(), picture(colour="red"))
    task = archiving(outlet)
    events = OutletEventAccessors()
    told = task.execute({**context, "outlet_events": events})
    assert events[outlet].extra == {
        "files": [
            {
                "uri": told[0]["uri"],
                "sha256": told[0]["sha256"],
                "vendor": "gptunnel",
                "job_id": "65819c48",
                "cost": {"amount": 15.0, "unit": "RUB"},
            },
            {
                "uri": told[1]["uri"],
                "sha256": told[1]["sha256"],
                "vendor": None,
                "job_id": None,
                "cost": None,
            },
        ],
        "total": 2,
        "cost": {"RUB": 15.0},
    }
    if isinstance(outlet, AssetAlias):
        (event,) = events[outlet].asset_alias_events
        assert event.extra == events[outlet].extra
        assert event.dest_asset_key.uri == f"file://{task.destination.removeprefix('file://')}"
    text = json.dumps(events[outlet].extra)
    assert "SECRET" not in text
    assert "http" not in text


def test_a_failure_tells_no_asset(archiving, web, picture, context):
    web.will(picture(), httpx.Response(404))
    task = archiving(Asset("swaps", uri="file:///swaps"))
    events = OutletEventAccessors()
    with pytest.raises(ArchiveError):
        task.execute({**context, "outlet_events": events})
    assert len(events) == 0


def test_no_signed_link_is_logged(web, made, picture, keep):
    web.will(picture(), httpx.Response(500), picture())
    with capture_logs() as logged:
        keep([made(), made(job_id="two")])
    assert sum("Archived" in str(entry["event"]) for entry in logged) == 2
    assert "SECRET" not in str(logged)
