"""The types that arguments of every vendor are made of."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.vendors.arguments import http_url, https_url
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

VENDORS = [GPTunnel(), Tengrai(), PiAPI()]
FACE = "https://pictures.test/face.jpg"

each_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


@pytest.mark.parametrize(
    "url",
    [
        "https://pictures.test/a.png",
        "http://127.0.0.1:65535/a.png",
        "HTTPS://пример.рф/кот.png",
        "https://[::1]:8080/a",
        "https://pictures.test/it%27s%20a%20%3Ccat%3E.png?sig=a%2Fb~c(1)*!$&,;:@[]#part",
        "https://me:word@pictures.test/a.png",
    ],
)
def test_a_url_passes_as_it_is(url):
    assert http_url(url) == url


@pytest.mark.parametrize("character", [" ", "\t", "\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\xa0", "\u2028"])
@pytest.mark.parametrize(
    "place", ["https://pic{}tures.test/a", "https://a.test/a{}b", "https://a.test/a?b={}c"]
)
def test_whitespace_and_control_characters_inside_a_url_are_to_be_encoded(place, character):
    with pytest.raises(ValueError, match="percent-encode"):
        http_url(place.format(character))


@pytest.mark.parametrize("character", ['"', "<", ">", "\\"])
def test_a_character_that_ends_a_link_in_a_text_is_to_be_encoded(character):
    """A signed query behind it would not be seen as a part of the link, and would be shown."""
    with pytest.raises(ValueError, match="percent-encode"):
        http_url(f"https://a.test/o{character}hara.png?sig=topsecret")


@pytest.mark.parametrize(
    "url",
    [
        "https://a.test:65536/x",
        "https://a.test:99999/x",
        "https://a.test:-1/x",
        "https://a.test:topsecret/x",
        "https://[topsecret/x",
        "https://topsecret\u2100.test/x",
    ],
)
@pytest.mark.parametrize("check", [http_url, https_url])
def test_a_url_that_cannot_be_taken_apart_is_refused_without_repeating_it(check, url):
    with pytest.raises(ValueError, match="must be a full http or https URL, but its host or port") as caught:
        check(url)
    assert "topsecret" not in str(caught.value)


@each_vendor
@pytest.mark.parametrize("url", ["https://a.test/my cat.png?sig=topsecret", "https://a.test:70000/topsecret"])
def test_every_vendor_refuses_such_a_picture_before_it_is_paid_for(vendor, url):
    with pytest.raises(InvalidRequestError, match="target_image: must be") as caught:
        vendor.submit("face_swap", {"target_image": url, "face_image": FACE})
    assert "topsecret" not in str(caught.value)


@each_vendor
def test_every_vendor_takes_a_picture_whose_name_is_encoded(vendor):
    url = "https://a.test/o%27hara%20(1).png?sig=a%2Bb"
    assert url in str(vendor.submit("face_swap", {"target_image": url, "face_image": FACE}).body)
