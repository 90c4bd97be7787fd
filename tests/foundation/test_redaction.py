"""What may be shown: no keys, no signed queries, no pictures."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.foundation.redaction import (
    LONGEST_TEXT,
    redacted,
    without_queries,
    without_secrets,
)
from airflow_provider_faceswap.foundation.signed_links import unsigned
from airflow_provider_faceswap.lifecycle.marks import fingerprint
from airflow_provider_faceswap.vendors.messages import Request

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
    assert without_secrets("key longer-1, again,longer-1", ("longer-1",)) == "key ***, again,***"
    assert without_secrets("nothing here", ("", "")) == "nothing here"
    assert without_secrets("nothing here", ()) == "nothing here"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://h.test/it's.png?X-Amz-Signature=SECRET", "https://h.test/it's.png"),
        ("https://h.test/my photo.png?sv=1&sig=SECRET&se=2 end", "https://h.test/my photo.png?sv=1 end"),
        ("https://h.test/a<b>.png?Signature=SECRET", "https://h.test/a<b>.png"),
        ("https://h.test/a.png?sig=ab'SECRET", "https://h.test/a.png"),
        ("https://h.test/a.png?sig=ab\\\\SECRET", "https://h.test/a.png"),
        ("https://u:SEC@RET@h.test/a.png", "https://h.test/a.png"),
        ("s3://bucket/key?token=SECRET", "s3://bucket/key"),
        ("{'url': 'https://h.test/a.png?x=1', 'b': 2}", "{'url': 'https://h.test/a.png', 'b': 2}"),
    ],
)
def test_a_link_that_nobody_encoded_keeps_no_signature(text, left):
    assert without_queries(text) == redacted(text) == left


@pytest.mark.parametrize("name", ["it's", "o'.b", "a,b", "(c)", "d&e"])
def test_an_argument_that_is_a_link_is_shown_without_its_query_whatever_its_name(name):
    assert redacted(f"https://h.test/{name}.png?hash=UNTOLD") == f"https://h.test/{name}.png"


@pytest.mark.parametrize("secret", ["task", "id", "data", "pending", "t", "1", "task_id"])
def test_a_short_secret_does_not_make_a_reply_unreadable(secret):
    job = {"code": 200, "data": {"task_id": "task-1", "status": "pending_x", "error": f"no: {secret}"}}
    read = json.loads(without_secrets(json.dumps(job), (secret,)))
    assert read["data"] == {**job["data"], "error": "no: ***"}


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
    shown = redacted(
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
    assert redacted("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    long = "a" * (LONGEST_TEXT + 1)
    assert redacted(long) == f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(object(), "<object>"), (b"bytes", "<bytes>"), ({1}, "<set>"), (datetime.now(UTC), "<datetime>")],
)
def test_anything_else_is_shown_as_its_type(value, shown):
    assert redacted(value) == shown


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
    shown = redacted(value)
    assert json.loads(json.dumps(shown)) == shown


# -- the same link, signed anew -------------------------------------------------------------------------

PLACE = "https://bucket.test/a%20b/x.png"

#: What each storage adds to a link; ``{0}`` differs from one signing to the next.
SIGNINGS = {
    "Alibaba v1": "OSSAccessKeyId=STS.{0}&Expires={0}&Signature={0}&security-token=t{0}",
    "Huawei": "AccessKeyId=K{0}&Expires={0}&Signature=s{0}&x-obs-security-token=t{0}",
    "Tencent": "q-sign-algorithm=sha1&q-ak=a&q-sign-time={0}&q-key-time={0}&q-signature={0}",
    "TOS": "X-Tos-Date={0}&X-Tos-Signature={0}",
    "aws v4": (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F2026{0}%2Feu%2Fs3%2Faws4_request"
        "&X-Amz-Date=2026{0}T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
        "&X-Amz-Security-Token=t{0}&X-Amz-Signature=s{0}"
    ),
    "aws v2": "AWSAccessKeyId=AK{0}&Expires={0}&Signature=s{0}%3D",
    "gcs v4": (
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=c{0}&X-Goog-Date={0}&X-Goog-Expires=3600"
        "&X-Goog-SignedHeaders=host&X-Goog-Signature=s{0}"
    ),
    "gcs v2": "GoogleAccessId=me&Expires={0}&Signature=s{0}",
    "oss": "OSSAccessKeyId=AK&Expires={0}&Signature=s{0}",
    "oss v4": "x-oss-signature-version=OSS4&x-oss-date={0}&x-oss-expires=60&x-oss-signature=s{0}",
    "cloudfront": "Expires={0}&Signature=s{0}~&Key-Pair-Id=K",
    "cloudfront policy": "Policy=p{0}_&Signature=s{0}~&Key-Pair-Id=K{0}",
    "azure service": "sv=2024-11-04&st={0}&se={0}&sr=b&sp=r&sig=s{0}%3D",
    "azure account": "sv=2024-11-04&ss=b&srt=o&sp=r&se={0}&spr=https&sig=s{0}",
    "azure user": "skoid=o&sktid=t&skt={0}&ske={0}&sks=b&skv=2024-11-04&sv=2024-11-04&se={0}&sr=b&sp=r&sig=s{0}",
    "sandbox": "sig=s{0}",
}


@pytest.mark.parametrize("signing", SIGNINGS.values(), ids=SIGNINGS)
@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("", "", ""),
        ("id=1&", "", "id=1"),
        ("", "&id=1", "id=1"),
        ("id=1&", "&w=2&w=3&flag", "id=1&w=2&w=3&flag"),
        ("ID=a%2Fb+c&", "", "ID=a%2Fb+c"),
    ],
)
def test_a_signed_link_loses_what_signs_it_and_keeps_the_rest_as_it_is(signing, before, after, left):
    assert unsigned(f"{PLACE}?{before}{signing.format(1)}{after}") == f"{PLACE}?{left}"


@pytest.mark.parametrize("signing", SIGNINGS.values(), ids=SIGNINGS)
def test_the_case_of_what_signs_does_not_count(signing):
    for write in (str.lower, str.upper):
        assert unsigned(f"{PLACE}?{write(signing.format(1))}&id=1") == f"{PLACE}?id=1"


@pytest.mark.parametrize(
    "value",
    [
        PLACE,
        f"{PLACE}?",
        f"{PLACE}?expires=1",
        f"{PLACE}?Expires=1&Policy=p&Key-Pair-Id=K",
        f"{PLACE}?s=3",
        f"{PLACE}?se=1&sp=2&st=3&sr=4&sv=5",
        f"{PLACE}?X-Amz-Date=1&X-Amz-Expires=2",
        f"{PLACE}?id=sig",
        f"{PLACE}?signed=1&xsig=2&sign=3",
        f"{PLACE}?next=sig%3D1",
        f"{PLACE}?&&=",
        "http://sig=1",
        "data:image/png;base64,AAAA?sig=s",
        "ftp://bucket.test/x.png?sig=s",
        "//bucket.test/x.png?sig=s",
        "see https://bucket.test/x.png?sig=s",
        "?sig=s",
        "a cat?sig=s",
        "",
        None,
        True,
        3,
        0.5,
    ],
)
def test_what_carries_no_signature_stays_as_it_is(value):
    assert unsigned(value) == value
    assert type(unsigned(value)) is type(value)


@pytest.mark.parametrize(
    "name", ["s", "size", "e", "token", "version", "seed", "sigma", "expire", "id", "sk"]
)
def test_a_parameter_that_only_looks_like_signing_is_kept(name):
    assert unsigned(f"{PLACE}?{name}=5&sig=s") == f"{PLACE}?{name}=5"


def test_links_are_found_wherever_they_stand():
    signed = {
        "input": {"target": f"{PLACE}?id=1&sig=s", "faces": [f"{PLACE}?sig=s", {"url": f"{PLACE}?sig=t"}]},
        "pair": (f"{PLACE}?sig=s", 1),
        f"{PLACE}?sig=key": "a name is no link",
        "n": 3,
    }
    copy = json.loads(json.dumps(signed))
    assert unsigned(signed) == {
        "input": {"target": f"{PLACE}?id=1", "faces": [f"{PLACE}?", {"url": f"{PLACE}?"}]},
        "pair": [f"{PLACE}?", 1],
        f"{PLACE}?sig=key": "a name is no link",
        "n": 3,
    }
    assert json.loads(json.dumps(signed)) == copy, "what is sent stays signed"


@QUICK
@given(value=VALUES)
def test_values_without_links_stay_what_they_are(value):
    def as_lists(item):
        if isinstance(item, dict):
            return {key: as_lists(inner) for key, inner in item.items()}
        return [as_lists(inner) for inner in item] if isinstance(item, list) else item

    assert unsigned(value) == as_lists(value)


def mark(target, **more):
    body = {"targetImage": target, "sourceImage": f"{PLACE}?sig=face", **more}
    return fingerprint("tengrai", "tengrai_default", "face_swap", Request("POST", "/v2/x", body=body))


@pytest.mark.parametrize("signing", SIGNINGS.values(), ids=SIGNINGS)
def test_a_picture_signed_twice_is_one_job(signing):
    first, second = (mark(f"{PLACE}?id=1&{signing.format(number)}") for number in (1, 2))
    assert first == second


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (f"{PLACE}?id=1&sig=a", f"{PLACE}?id=2&sig=a"),
        (f"{PLACE}?id=1&sig=a", f"{PLACE}?sig=a"),
        (f"{PLACE}?sig=a", "https://bucket.test/other.png?sig=a"),
        (f"{PLACE}?s=1", f"{PLACE}?s=2"),
        (f"{PLACE}?expires=1", f"{PLACE}?expires=2"),
        (f"{PLACE}?versionId=1&X-Amz-Signature=a", f"{PLACE}?versionId=2&X-Amz-Signature=a"),
    ],
)
def test_another_picture_is_another_job(one, another):
    assert mark(one) != mark(another)


def test_whatever_else_differs_is_another_job():
    request = Request("POST", "/v2/x", body={"a": 1})
    marks = {
        fingerprint(*who, kind, request)
        for who in (("tengrai", "one"), ("tengrai", "two"), ("piapi", "one"))
        for kind in ("face_swap", "upscaling")
    }
    assert len(marks) == 6
    assert mark(PLACE) != mark(PLACE, denoising=3)
    assert mark(PLACE, a=1, b=2) == mark(PLACE, b=2, a=1), "the order of arguments says nothing"


def test_a_scheme_may_be_written_in_capitals():
    assert mark("HTTPS://bucket.test/a.png?sig=1") == mark("HTTPS://bucket.test/a.png?sig=2")
