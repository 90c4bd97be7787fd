"""Links signed by services that the first version did not know: the same picture signed twice is the same request."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.foundation.redaction import bare_url, without_queries
from airflow_provider_faceswap.foundation.signed_links import unsigned, unsigned_in_0_1
from airflow_provider_faceswap.lifecycle.marks import marks_of
from airflow_provider_faceswap.vendors.messages import Request

PLACE = "https://cdn.test/a%20b/x.png"
MD5 = "0123456789abcdef0123456789abcd{0}{0}"

#: What each service adds to a link; ``{0}`` differs from one signing to the next.
SIGNINGS = {
    "discord": "ex=67{0}&is=66{0}&hm=ab{0}&",
    "bunny": "token=HS256-a{0}&token_path=%2F&expires=170000000{0}",
    "akamai": "__token__=st=17~exp=170000000{0}~acl=/*~hmac=ab{0}",
    "akamai hdnts": "hdnts=exp%3D170000000{0}~acl%3D%2F*~hmac%3Dabcdef0{0}",
    "akamai with a name of its user": "pass=exp=170000000{0}~acl=/*~hmac=abcdef012{0}",
    "cloudflare": "verify=170000000{0}-9JQB8vP1z0yc5D%3D{0}",
    "cloudflare images": "exp=170000000{0}&sig=ab{0}",
    "imgix": f"s={MD5}",
    "imgix that expires": f"expires=170000000{{0}}&s={MD5}",
    "alibaba": f"auth_key=170000000{{0}}-0-0-{MD5}",
    "alibaba oss": "OSSAccessKeyId=AK&Expires=170000000{0}&Signature=s{0}",
    "tencent": f"sign={MD5}&t=170000000{{0}}",
    "tencent with a name of its user": f"key=170000000{{0}}-rand{{0}}-0-{MD5}",
    "qiniu": "e=170000000{0}&token=AK:s{0}",
    "nginx": "md5=a{0}&expires=170000000{0}",
    "meta": "oh=00_a{0}&oe=66{0}&_nc_ohc=z{0}",
    "fastly": f"token=170000000{{0}}_{MD5}{MD5}",
}


@pytest.mark.parametrize("signing", SIGNINGS.values(), ids=SIGNINGS)
@pytest.mark.parametrize(
    ("before", "after", "left"),
    [("", "", ""), ("id=1&", "", "id=1"), ("", "&id=1", "id=1"), ("w=2&w=3&", "&flag", "w=2&w=3&flag")],
)
def test_a_signed_link_loses_what_signs_it_and_keeps_the_rest(signing, before, after, left):
    shown = unsigned(f"{PLACE}?{before}{signing.format(1).rstrip('&')}{after}")
    assert shown == f"{PLACE}?{left}"
    for write in (str.lower, str.upper):
        assert unsigned(f"{PLACE}?{write(signing.format(2)).rstrip('&')}&id=1") == f"{PLACE}?id=1"


@pytest.mark.parametrize(
    "link",
    [
        "https://a.b-cdn.net/bcdn_token=t{0}&expires=17{0}&token_path=%2Fv/v/x.png",
        "https://a.test/hdnts=exp=17{0}~acl=%2F*~hmac=abcdefab{0}/v/x.png",
        "https://me.imgix.net/x.png?w=3&s=short{0}",
        "https://a.supabase.co/storage/v1/object/sign/b/x.png?token=eyJ{0}",
    ],
)
def test_a_signature_in_the_path_or_of_a_known_host_is_none_of_the_picture(link):
    assert unsigned(link.format(1)) == unsigned(link.format(2))


def test_a_signature_in_the_path_is_not_shown():
    link = "https://a.b-cdn.net/bcdn_token=planted&expires=17&token_path=%2Fv/v/x.png?w=1"
    assert bare_url(link) == "https://a.b-cdn.net/***/v/x.png"
    assert without_queries(f"see {link} .") == "see https://a.b-cdn.net/***/v/x.png ."


@pytest.mark.parametrize(
    "query",
    [
        "ex=1&is=2",
        "token=5",
        "expires=1",
        "verify=1",
        "verify=yes",
        "s=3",
        "s=200&d=mp",
        "t=1700000000",
        "sign=3",
        "e=5",
        "exp=1700000000",
        "token=1&e=5",
        "oh=1",
        "sign=3&t=5",
        "st=3&se=4",
        "version=1700000000-a",
        "md5=1",
    ],
)
def test_a_parameter_that_only_looks_like_signing_is_kept(query):
    assert unsigned(f"{PLACE}?{query}") == f"{PLACE}?{query}"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=1",
        "sig=s&token=5&expires=1",
        "sig=s&s=3",
        "X-Amz-Signature=a&versionId=1&ex=1&is=1&hm=1",
        "exp=5&sig=s",
    ],
)
def test_a_link_that_the_first_version_knew_is_the_same_request_as_in_its_records(query):
    link = f"{PLACE}?{query}" if query else PLACE
    assert unsigned(link) == unsigned_in_0_1(link)


def test_how_a_store_processes_a_picture_selects_the_picture():
    small, large = (f"{PLACE}?x-oss-process=image/resize,w_{w}&x-oss-signature=s" for w in (1, 2))
    assert unsigned(small) != unsigned(large)


@pytest.mark.parametrize("signing", SIGNINGS.values(), ids=SIGNINGS)
def test_a_picture_signed_twice_is_one_job_and_another_picture_is_another(signing):
    def mark(place, number):
        body = {"target": [{"url": f"{place}?id=1&{signing.format(number)}"}]}
        return marks_of("tengrai", "c", "face_swap", Request("POST", "/v2/x", body=body)).mark

    assert mark(PLACE, 1) == mark(PLACE, 2) != mark("https://cdn.test/other.png", 1)
