"""Where a picture came from: what is told of a job's arguments, and of the jobs before it."""

from __future__ import annotations

import hashlib
import json

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import LONGEST_TEXT
from airflow_provider_faceswap.jobs import GivenResult
from airflow_provider_faceswap.lifecycle.provenance import (
    chain_of,
    parents_of,
    provenance,
    with_links,
)

SIGNED = "https://files.test/pic.png?sig=SECRET"


def result(job_id="j1", *, vendor="gptunnel", url=SIGNED, arguments=None):
    """What a job operator returned."""
    return {
        "vendor": vendor,
        "kind": "imagine",
        "job_id": job_id,
        "conn_id": f"{vendor}_default",
        "url": url,
        "urls": [url] if url else [],
        "cost": {"amount": 18.0, "unit": "RUB"},
        "submitted_at": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:01:00Z",
        "expires_at": None,
        "attempt_reused": False,
        "provenance": provenance(arguments or {"prompt": f"prompt of {job_id}"}),
    }


def ids(told):
    return [parent["job_id"] for parent in told["parents"]]


# -- results in arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (result("a"), ["a"]),
        ([result("a"), SIGNED, result("b")], ["a", "b"]),
        ((result("a"), [[result("b")]]), ["a", "b"]),
        ({"image": result("a"), "more": {"images": [result("b"), result("a")]}}, ["a", "b", "a"]),
        (SIGNED, []),
        (None, []),
        (7, []),
        ({"image": SIGNED}, []),
    ],
)
def test_results_are_found_at_any_depth(value, expected):
    assert [parent.job_id for parent in parents_of(value)] == expected


# -- results on the wire ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (result(), SIGNED),
        (SIGNED, SIGNED),
        ([result(), "x", 1], [SIGNED, "x", 1]),
        ((result(),), [SIGNED]),
        ({"a": {"b": [result()]}, "c": None}, {"a": {"b": [SIGNED]}, "c": None}),
        (True, True),
        (None, None),
    ],
)
def test_a_result_is_sent_as_its_whole_link(value, expected):
    assert with_links(value) == expected


@pytest.mark.parametrize(
    "wrap", [lambda value: value, lambda value: [value], lambda value: {"a": {"b": value}}]
)
def test_a_result_without_a_link_cannot_be_sent(wrap):
    with pytest.raises(
        InvalidRequestError, match=r"piapi job p1 has no link.*Nothing was bought.*Archive that result first"
    ):
        with_links(wrap(result("p1", vendor="piapi", url=None)))


# -- what is told of the arguments --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a king", "a king"),
        (SIGNED, "https://files.test/pic.png"),
        ("https://me:SECRET@files.test/pic.png#SECRET", "https://files.test/pic.png"),
        (f"like {SIGNED} but older", "like https://files.test/pic.png but older"),
        (7, 7),
        (0, 0),
        (0.5, 0.5),
        (False, False),
        ([SIGNED, 1], ["https://files.test/pic.png", 1]),
        ((1, 2), [1, 2]),
        (
            {"url": SIGNED, "deep": [{"url": SIGNED}]},
            {"url": "https://files.test/pic.png", "deep": [{"url": "https://files.test/pic.png"}]},
        ),
        (object(), "<object>"),
        (b"\x89PNG", "<bytes>"),
    ],
)
def test_an_argument_is_told_without_queries_and_fit_for_json(value, shown):
    told = provenance({"argument": value})
    assert told == {"arguments": {"argument": shown}, "parents": []}
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(
    "text", ["data:image/png;base64,iVBORw0KGgo=", "iVBORw0KGgo" + "x" * 5000, "x" * (LONGEST_TEXT + 1)]
)
def test_a_picture_inside_an_argument_is_told_by_its_hash(text):
    told = provenance({"argument": text})["arguments"]["argument"]
    assert told == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize(
    "arguments",
    [
        {"webhook": "https://hooks.test/SECRET"},
        {"webhook_secret": "SECRET"},
        {"prompt": None},
        {},
    ],
)
def test_private_and_unset_arguments_are_not_told(arguments):
    assert provenance(arguments) == {"arguments": {}, "parents": []}


@pytest.mark.parametrize(
    "arguments",
    [
        {"parameters": {"prompt": "a king", "webhook": "https://hooks.test/SECRET"}},
        {"input": {"prompt": "a king", "config": {"webhook_secret": "SECRET"}}},
    ],
)
def test_private_arguments_are_not_told_below_the_top_either(arguments):
    told = json.dumps(provenance(arguments))
    assert "a king" in told
    assert "SECRET" not in told


def test_telling_changes_no_argument():
    arguments = {"images": [result("a")], "input": {"url": SIGNED}}
    before = json.dumps(arguments)
    provenance(arguments)
    assert json.dumps(arguments) == before


# -- what is told of the jobs before it ---------------------------------------------------------------


def test_a_result_is_told_by_its_link_and_as_a_parent():
    told = provenance({"target_image": result("a"), "face_image": SIGNED})
    assert told == {
        "arguments": {
            "target_image": "https://files.test/pic.png",
            "face_image": "https://files.test/pic.png",
        },
        "parents": [
            {
                "vendor": "gptunnel",
                "kind": "imagine",
                "job_id": "a",
                "conn_id": "gptunnel_default",
                "cost": {"amount": 18.0, "unit": "RUB"},
                "submitted_at": "2026-03-01T12:00:00Z",
                "finished_at": "2026-03-01T12:01:00Z",
                "arguments": {"prompt": "prompt of a"},
            }
        ],
    }


def test_a_parent_job_is_told_by_its_id():
    told = provenance({"parent_job_id": result("a"), "image": 2})
    assert told["arguments"] == {"parent_job_id": "a", "image": 2}
    assert ids(told) == ["a"]


def test_a_bare_parent_id_is_told_as_it_is():
    assert provenance({"parent_job_id": "a"}) == {"arguments": {"parent_job_id": "a"}, "parents": []}


def test_a_result_without_a_link_is_told_by_its_job():
    told = provenance({"images": [result("a", url=None)]})
    assert told["arguments"] == {"images": ["job a"]}
    assert ids(told) == ["a"]


def test_a_chain_is_told_the_nearest_first():
    first = result("first")
    second = result("second", arguments={"parent_job_id": first, "image": 1})
    third = result("third", arguments={"target_image": second})
    told = provenance({"target_image": third})
    assert ids(told) == ["third", "second", "first"]
    assert [parent["arguments"] for parent in told["parents"]] == [
        {"target_image": "https://files.test/pic.png"},
        {"parent_job_id": "first", "image": 1},
        {"prompt": "prompt of first"},
    ]


def test_both_parents_come_before_the_jobs_before_them():
    target = result("target", arguments={"image": result("target's")})
    face = result("face", arguments={"image": result("face's")})
    told = ids(provenance({"target_image": target, "face_image": face}))
    assert told[:2] == ["target", "face"]
    assert set(told[2:]) == {"target's", "face's"}


def test_a_job_that_was_used_twice_is_told_once():
    base = result("base")
    told = provenance(
        {
            "target_image": result("a", arguments={"image": base}),
            "face_image": result("b", arguments={"image": base}),
            "images": [base, base],
        }
    )
    assert sorted(ids(told)) == ["a", "b", "base"]


def test_two_vendors_may_use_the_same_id():
    told = provenance({"images": [result("1"), result("1", vendor="piapi")]})
    assert [(parent["vendor"], parent["job_id"]) for parent in told["parents"]] == [
        ("gptunnel", "1"),
        ("piapi", "1"),
    ]


def test_the_chain_of_a_result_begins_with_the_job_itself():
    outcome = result("swap", arguments={"target_image": result("image")})
    own, parent = chain_of(GivenResult.parse(outcome))
    assert (own["job_id"], own["arguments"]) == ("swap", {"target_image": "https://files.test/pic.png"})
    assert (parent["job_id"], parent["arguments"]) == ("image", {"prompt": "prompt of image"})


@pytest.mark.parametrize("known", [None, {}, {"arguments": None, "parents": None}])
def test_the_chain_of_a_result_without_provenance_has_the_job_alone(known):
    bare = {"vendor": "piapi", "job_id": "1", "url": SIGNED, "provenance": known}
    assert chain_of(GivenResult.parse(bare)) == [
        {
            "vendor": "piapi",
            "kind": None,
            "job_id": "1",
            "conn_id": None,
            "cost": None,
            "submitted_at": None,
            "finished_at": None,
            "arguments": {},
        }
    ]


def test_no_link_of_the_chain_keeps_its_query():
    first = result("first", arguments={"image": SIGNED, "webhook": "https://hooks.test/SECRET"})
    second = result("second", arguments={"images": [first, SIGNED]})
    assert "SECRET" not in json.dumps(chain_of(GivenResult.parse(second)))
