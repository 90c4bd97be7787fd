"""What may be shown: no keys, no signed queries, no pictures."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.redaction import LONGEST_TEXT, showable, without_queries, without_secrets

QUICK = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain words", "plain words"),
        ("https://a.test/x.png", "https://a.test/x.png"),
        ("https://a.test/x.png?sig=s&e=1", "https://a.test/x.png"),
        ("https://a.test/x.png#part", "https://a.test/x.png"),
        ("https://a.test?sig=s", "https://a.test"),
        ("HTTPS://a.test/x?sig=s", "HTTPS://a.test/x"),
        ("http://a.test:81/x?sig=s", "http://a.test:81/x"),
        ("cannot fetch https://a.test/x?sig=s, sorry", "cannot fetch https://a.test/x sorry"),
        ('{"url": "https://a.test/x?sig=s", "n": 1}', '{"url": "https://a.test/x", "n": 1}'),
        ("<a href='https://a.test/x?sig=s'>", "<a href='https://a.test/x'>"),
        ("https://a.test/x?s https://b.test/y?s", "https://a.test/x https://b.test/y"),
        ("https://user:word@a.test/x?sig=s", "https://a.test/x"),
        ("https://user:word@a.test/x", "https://a.test/x"),
        ("https://token@a.test", "https://a.test"),
        ("why? https://a.test/x", "why? https://a.test/x"),
        ("https://a.test/x?next=https://b.test/y?sig=s", "https://a.test/x"),
        (r"https:\/\/a.test\/x?sig=s", r"https:\/\/a.test\/x"),
    ],
)
def test_a_url_loses_its_query_its_fragment_and_its_user(text, shown):
    assert without_queries(text) == shown


WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~%=&/+", max_size=20)


@QUICK
@given(before=WORDS, after=WORDS, mark=st.sampled_from("?#"), scheme=st.sampled_from(["http", "https"]))
def test_nothing_of_a_query_is_left_whatever_stands_around_it(before, after, mark, scheme):
    text = f"{before} {scheme}://bucket.test/{before}{mark}{after}SIGNATURE{after} rest"
    shown = without_queries(text)
    assert "SIGNATURE" not in shown
    assert shown.endswith("rest")


@QUICK
@given(text=st.text(max_size=60))
def test_cutting_twice_cuts_no_more(text):
    assert without_queries(without_queries(text)) == without_queries(text)


def test_every_secret_is_hidden_wherever_it_occurs_and_an_empty_one_hides_nothing():
    assert without_secrets("key k1, again k1, and w2", ("k1", "w2", "")) == "key ***, again ***, and ***"
    assert without_secrets("nothing here", ("", "")) == "nothing here"
    assert without_secrets("nothing here", ()) == "nothing here"


@pytest.mark.parametrize(
    "secret", ['pa"ss', "pa\\ss", "päss", "пароль", 'пар"оль', "pa/ss", "pa\nss", "a&b<c>"]
)
@pytest.mark.parametrize(
    "dump",
    [
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: json.dumps(value).replace("/", r"\/"),
    ],
    ids=["ascii", "unicode", "escaped-slashes"],
)
def test_a_secret_is_hidden_in_the_form_that_json_gives_it(secret, dump):
    """An answer is cut before it is parsed, and parsing would bring the secret back."""
    echo = dump({"message": f"bad {secret}"})
    message = json.loads(without_secrets(echo, (secret,)))["message"]
    assert secret not in message
    assert message.startswith("bad ")


def test_arguments_are_shown_without_queries_and_without_pictures():
    picture = "data:image/png;base64,AAAA"
    shown = showable(
        {
            "target_image": "https://a.test/x?sig=s",
            "face_image": picture,
            "pieces": ("https://b.test/y#z", [picture]),
            "n": 3,
            "x": 0.5,
            "yes": True,
            "none": None,
            4: "four",
        }
    )
    digest = f"sha256:{hashlib.sha256(picture.encode()).hexdigest()}"
    assert shown == {
        "target_image": "https://a.test/x",
        "face_image": digest,
        "pieces": ["https://b.test/y", [digest]],
        "n": 3,
        "x": 0.5,
        "yes": True,
        "none": None,
        "4": "four",
    }


def test_text_is_shown_up_to_the_longest_and_is_its_hash_beyond():
    assert showable("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    long = "a" * (LONGEST_TEXT + 1)
    assert showable(long) == f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(object(), "<object>"), (b"bytes", "<bytes>"), ({1}, "<set>"), (datetime.now(UTC), "<datetime>")],
)
def test_anything_else_is_shown_as_its_type(value, shown):
    assert showable(value) == shown


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@QUICK
@given(value=VALUES)
def test_what_is_shown_is_json(value):
    shown = showable(value)
    assert json.loads(json.dumps(shown)) == shown
