"""How each kind of picture travels to each vendor, and what stops one that cannot."""

from __future__ import annotations

import base64
import io
import os
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image as Pictures

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, PictureNotTakenError
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.lifecycle.marks import fingerprint
from airflow_provider_faceswap.media.inputs import MediaPreparer
from airflow_provider_faceswap.media.placeholders import with_uploaded_links
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.messages import Request
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

VENDORS = {"gptunnel": GPTunnel(), "tengrai": Tengrai(), "piapi": PiAPI()}
LINK = "https://pictures.test/a.jpg?sig=abc"


def paint(form="PNG", size=(60, 40), **options):
    out = io.BytesIO()
    Pictures.new("RGB", size, "teal").save(out, form, **options)
    return out.getvalue()


def turned():
    exif = Pictures.Exif()
    exif[0x0112] = 6
    return paint("JPEG", exif=exif)


def travel(vendor, value, *, kind="face_swap", name="target_image", preflight="auto"):
    """What is sent, what it is known by, and what is uploaded."""
    journey = MediaPreparer(VENDORS[vendor], preflight)
    sent, known = journey.arguments(VENDORS[vendor].kind(kind).media, {name: value})
    return sent[name], known[name], journey.uploads


class Signing(MemoryFileSystem):
    """A storage that signs links, anew each time."""

    store: dict = {}  # noqa: RUF012 - as in the class above it
    pseudo_dirs = [""]  # noqa: RUF012
    signed = 0

    def sign(self, path, expiration=100, **_):
        type(self).signed += 1
        return f"https://signed.test{path}?X-Amz-Signature=fresh{self.signed}&X-Amz-Expires={expiration}"


@pytest.fixture
def put(monkeypatch, tmp_path):
    """Put bytes into a storage and get their URI."""

    def put(data, where="file", name="a.png"):
        if where == "file":
            (tmp_path / name).write_bytes(data)
            return f"file://{tmp_path}/{name}"
        path = ObjectStoragePath(f"memory://bucket/{name}", conn_id=where)
        path.write_bytes(data)
        return str(path)

    Signing.store.clear()
    for name, made in (("signing", Signing()), ("mute", MemoryFileSystem())):
        storage = stores.attach(protocol="memory", conn_id=name, fs=made)
        monkeypatch.setitem(stores._STORE_CACHE, f"memory-{name}", storage)
    return put


# -- links --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_link_travels_as_it_is(vendor):
    assert travel(vendor, LINK) == (LINK, LINK, {})


def test_a_prompt_with_a_link_in_it_is_no_picture():
    value = "s3://bucket/a.png"
    assert travel("gptunnel", value, kind="imagine", name="prompt") == (value, value, {})


@pytest.fixture
def web(monkeypatch):
    """What a download gives."""

    def give(data):
        monkeypatch.setattr(
            "airflow_provider_faceswap.http.download.download",
            lambda url, into, **_: (into.write(data), into.seek(0)),
        )

    return give


def test_a_link_is_looked_at_where_that_is_asked_for(web):
    web(paint())
    assert travel("gptunnel", LINK, preflight="check") == (LINK, LINK, {})
    web(paint("WEBP"))
    with pytest.raises(PictureNotTakenError, match="target_image: it is image/webp"):
        travel("gptunnel", LINK, preflight="check")


def test_a_linked_picture_that_is_made_fit_travels_by_its_bytes_and_is_known_by_the_original(web):
    data = paint("WEBP")
    web(data)
    sent, known, _ = travel("gptunnel", LINK, preflight="fit")
    assert sent.startswith("data:image/jpeg;base64,")
    assert known == f"https://picture.invalid/{Image(data).sha256}.webp"


HIDDEN = "https://pictures.test/task/image/1?cache=100.jpg"


@pytest.mark.parametrize(
    ("preflight", "link", "size", "inside"),
    [
        ("fit", HIDDEN, 0, True),
        ("fit", "https://pictures.test/a.WEBP?sig=1", 0, False),
        ("fit", HIDDEN, 4_000_000, False),
        ("check", HIDDEN, 0, False),
        ("auto", HIDDEN, 0, False),
        ("off", HIDDEN, 0, False),
    ],
)
def test_a_link_without_the_suffix_that_piapi_asks_for_is_not_sent_if_the_picture_may_be(
    web, preflight, link, size, inside
):
    web(paint() + bytes(size))
    sent, known, uploads = travel("piapi", link, preflight=preflight)
    assert (sent.startswith("data:image/png;base64,"), known, uploads) == (inside, link, {})
    assert inside or sent == link


def test_a_suffix_does_not_matter_elsewhere(web):
    web(paint())
    assert travel("gptunnel", HIDDEN, preflight="fit") == (HIDDEN, HIDDEN, {})


def test_a_link_that_cannot_be_looked_at_is_an_error_before_anything_is_bought():
    with pytest.raises(InvalidRequestError, match="could not be checked") as caught:
        travel("gptunnel", "http://127.0.0.1:9/a.png?sig=planted-signature", preflight="check")
    assert "planted" not in str(caught.value)


# -- bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ["gptunnel", "piapi"])
def test_bytes_travel_inside_the_request_where_the_vendor_takes_that(vendor):
    data = paint()
    sent, known, uploads = travel(vendor, Image(data))
    assert sent == f"data:image/png;base64,{base64.b64encode(data).decode()}"
    assert known == f"https://picture.invalid/{Image(data).sha256}.png"
    assert not uploads


def test_larger_bytes_are_uploaded_where_the_vendor_takes_that():
    image = Image(paint("BMP")[:0] + paint(size=(40, 40)) + bytes(5_000_000))
    sent, known, uploads = travel("piapi", image)
    assert sent == known == f"https://picture.invalid/{image.sha256}.png"
    assert uploads == {sent: image.data}


def test_bytes_for_a_vendor_that_takes_links_only_are_refused_with_the_choices():
    with pytest.raises(PictureNotTakenError) as caught:
        travel("tengrai", Image(paint()))
    assert "tengrai: target_image: " in str(caught.value)
    assert "accepts only links" in str(caught.value)
    assert "s3://" in caught.value.advice


def test_a_picture_is_turned_where_its_bytes_are_sent():
    sent, known, _ = travel("gptunnel", Image(turned()))
    with Pictures.open(io.BytesIO(base64.b64decode(sent.partition(",")[2]))) as picture:
        assert picture.size == (40, 60)
    assert known.endswith(f"{Image(turned()).sha256}.jpg")


@pytest.mark.parametrize(
    ("vendor", "data", "fault"),
    [
        ("gptunnel", paint("WEBP"), "it is image/webp, and only image/jpeg and image/png are taken"),
        ("piapi", paint(size=(2049, 20)), "it is 2049 x 20, over 2048 x 2048"),
        ("piapi", paint() + bytes(10_000_000), "bytes, over the limit of 10000000"),
        ("gptunnel", b"<html>", "it is neither a picture nor a video"),
    ],
)
def test_what_the_vendor_would_refuse_is_refused_here(vendor, data, fault):
    with pytest.raises(PictureNotTakenError, match=fault):
        travel(vendor, Image(data))


def test_the_limits_may_be_left_to_the_vendor():
    sent, _, _ = travel("gptunnel", Image(paint("WEBP")), preflight="off")
    assert sent.startswith("data:image/webp;base64,")


def test_a_mask_is_known_by_itself_as_it_has_no_other_way():
    sent, known, _ = travel("gptunnel", Image(paint()), kind="inpaint", name="mask")
    assert sent == known
    assert sent.startswith("data:image/png;base64,")


# -- object storage -----------------------------------------------------------------------------------


def test_a_file_on_a_disk_travels_by_its_bytes(put):
    data = paint()
    assert travel("gptunnel", put(data)) == travel("gptunnel", Image(data))


def test_a_storage_that_cannot_sign_gives_the_bytes(put):
    assert travel("gptunnel", put(paint(), "mute")) == travel("gptunnel", Image(paint()))


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_storage_that_signs_gives_a_link_and_the_picture_is_known_by_its_hash(put, vendor):
    uri = put(paint(), "signing")
    sent, known, uploads = travel(vendor, uri)
    assert sent.startswith("https://signed.test/bucket/a.png?X-Amz-Signature=fresh")
    assert known == f"https://picture.invalid/{Image(paint()).sha256}.png"
    assert not uploads
    again, known_again, _ = travel(vendor, uri)
    assert again != sent
    assert known_again == known


def test_a_path_object_and_an_archived_picture_are_files_too(put):
    uri = put(paint(), "signing")
    expected = travel("tengrai", uri)[1]
    archived = {"uri": uri, "manifest_uri": f"{uri}.json", "sha256": "0", "bytes": 1}
    assert travel("tengrai", ObjectStoragePath(uri))[1] == expected
    assert travel("tengrai", archived)[1] == expected


def test_a_stored_picture_is_checked_before_it_is_signed_for(put):
    with pytest.raises(PictureNotTakenError, match="image/webp"):
        travel("gptunnel", put(paint("WEBP"), "signing"))
    assert travel("gptunnel", put(paint("WEBP"), "signing"), preflight="fit")[0].startswith("data:image/jpeg")


def test_a_stored_picture_is_not_read_where_nothing_is_checked(put):
    uri = put(paint(), "signing")
    ObjectStoragePath(uri).unlink()
    _, known, _ = travel("tengrai", uri, preflight="off")
    assert known == "https://picture.invalid/memory/bucket/a.png"


@pytest.mark.parametrize("preflight", ["auto", "off"])
def test_a_storage_that_fails_to_sign_is_in_trouble_and_nothing_is_wrong_with_the_argument(
    put, monkeypatch, preflight
):
    class CredentialRetrievalError(Exception):
        pass

    def fail(*_, **__):
        raise CredentialRetrievalError("planted")

    uri = put(paint(), "signing")
    monkeypatch.setattr(Signing, "sign", fail)
    with pytest.raises(
        FaceSwapError,
        match=r"target_image: memory://.*a\.png could not be signed \(CredentialRetrievalError\)",
    ) as caught:
        travel("gptunnel", uri, preflight=preflight)
    assert type(caught.value) is FaceSwapError, "the task may be tried again"
    assert "This attempt bought nothing" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_turned_picture_goes_by_link_where_only_links_are_taken(put):
    uri = put(turned(), "signing", "a.jpg")
    assert travel("tengrai", uri)[0].startswith("https://signed.test")
    assert travel("tengrai", uri, preflight="fit")[0].startswith("https://signed.test")
    assert travel("gptunnel", uri)[0].startswith("data:image/jpeg;base64,"), "the vendor looks at pixels only"


def test_a_missing_file_is_named_with_its_argument(put):
    with pytest.raises(
        InvalidRequestError, match=r"^gptunnel: target_image: file://.*/none\.png could not be read"
    ):
        travel("gptunnel", put(paint()).replace("a.png", "none.png"))


# -- inside other arguments ---------------------------------------------------------------------------


def test_pictures_of_a_list_travel_one_by_one(put):
    sent, known, _ = travel("gptunnel", [LINK, put(paint(), "signing")], kind="image", name="images")
    assert sent[0] == known[0] == LINK
    assert sent[1].startswith("https://signed.test/")


class Lazy(Sequence):
    """As the results of mapped tasks come: a sequence that is no list, and is asked for at once."""

    def __init__(self, *items) -> None:
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        assert index == slice(None), "each would be a request to Airflow"
        return list(self.items)


def test_pictures_of_mapped_tasks_travel_one_by_one():
    sent, known, _ = travel("gptunnel", Lazy(LINK, LINK), kind="image", name="images")
    assert sent == known == [LINK, LINK]


@pytest.mark.parametrize("value", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_bytes_are_no_list(value):
    assert travel("gptunnel", value, kind="image", name="images")[0] is value


def test_a_picture_inside_another_argument_travels_too(put):
    path = ObjectStoragePath(put(paint(), "signing"))
    sent, _, _ = travel("tengrai", {"imageUrl": path, "seed": 3}, kind="upscaling", name="parameters")
    assert sent["imageUrl"].startswith("https://signed.test/")
    assert sent["seed"] == 3
    sent, known, uploads = travel("piapi", {"image": Image(paint())}, kind="task", name="input")
    assert sent == known
    assert list(uploads) == [sent["image"]]


# -- requests -----------------------------------------------------------------------------------------


def test_a_request_is_known_by_its_pictures_and_not_by_how_they_travel():
    one = Request("POST", "/p", body={"a": "data:image/png;base64,AAAA"}, known_as={"a": "mark"})
    other = Request("POST", "/p", body={"a": "https://signed.test/1"}, known_as={"a": "mark"})
    third = Request("POST", "/p", body={"a": "https://signed.test/1"}, known_as={"a": "another"})
    marks = [fingerprint("piapi", "c", "face_swap", request) for request in (one, other, third)]
    assert marks[0] == marks[1] != marks[2]


def test_links_of_uploads_are_put_wherever_they_are_wanted():
    request = Request(
        "POST", "/p", body={"a": "m1", "b": ["m2", {"c": "m1"}], "d": 1}, uploads={"m1": b"", "m2": b""}
    )
    done = with_uploaded_links(request, {"m1": "L1", "m2": "L2"})
    assert done.body == {"a": "L1", "b": ["L2", {"c": "L1"}], "d": 1}
    assert not done.uploads


# -- whole, and within limits -------------------------------------------------------------------------


def damaged_png():
    data = bytearray(paint())
    data[-20] ^= 1
    return bytes(data)


HALVES = {
    "a third of a JPEG": paint("JPEG", size=(300, 200))[:600],
    "a PNG of 8 bytes": paint()[:8],
    "a wrong checksum": damaged_png(),
    "a WebP": paint("WEBP")[:-10],
    "no pixels": paint()[:16] + bytes(8) + paint()[24:],
}


@pytest.mark.parametrize("preflight", ["auto", "check", "fit"])
@pytest.mark.parametrize("way", ["bytes", "file", "data", "link"])
@pytest.mark.parametrize("data", HALVES.values(), ids=HALVES)
def test_half_a_picture_is_an_error_before_anything_is_bought(put, web, preflight, way, data):
    web(data)
    encoded = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    value = {"bytes": Image(data), "file": put(data, "mute"), "data": encoded, "link": LINK}[way]
    if way == "link" and preflight == "auto":
        assert travel("piapi", value)[0] == LINK, "the vendor looks"
        return
    with pytest.raises(InvalidRequestError, match=r"target_image: the picture (is|has)") as caught:
        travel("piapi", value, preflight=preflight)
    assert "Nothing was bought. Give the whole file." in str(caught.value)
    assert not isinstance(caught.value, PictureNotTakenError), "no other vendor could take it"


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for value in (str(path), f"file://{path}", path):
        with pytest.raises(InvalidRequestError, match="is not a regular file"):
            Image.read(value)


def test_a_storage_that_does_not_end_has_a_limit_of_time(put, monkeypatch):
    stop = threading.Event()
    monkeypatch.setenv("AIRFLOW__FACESWAP__MAX_TRANSFER_SECONDS", "1")
    monkeypatch.setattr("airflow.sdk.ObjectStoragePath.open", lambda *_, **__: stop.wait(30))
    with pytest.raises(FaceSwapError, match=r"could not be read \(TimeoutError\)") as caught:
        Image.read(put(paint()))
    stop.set()
    assert type(caught.value) is FaceSwapError, "the task may be tried again"


def test_fit_reaches_what_can_be_sent_inside_a_request(monkeypatch):
    noise = io.BytesIO()
    Pictures.effect_noise((400, 400), 100).convert("RGB").save(noise, "PNG")
    accepts = replace(VENDORS["gptunnel"].kind("face_swap").media["target_image"], inline=50_000)
    journey = MediaPreparer(VENDORS["gptunnel"], "fit")
    sent, _ = journey.arguments({"target_image": accepts}, {"target_image": Image(noise.getvalue())})
    assert len(base64.b64decode(sent["target_image"].partition(",")[2])) <= 50_000


def test_a_sound_is_no_picture_but_may_be_inside_the_input_of_any_task():
    sound = Image(b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x00" + bytes(413))
    with pytest.raises(PictureNotTakenError, match="neither a picture nor a video"):
        travel("piapi", sound)
    _, _, uploads = travel("piapi", {"audio": sound}, kind="task", name="input")
    assert list(uploads.values()) == [sound.data]


def test_a_picture_that_is_never_decoded_may_be_larger_than_one_that_is(monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__MAX_DECODED_PIXELS", "1000")
    assert travel("gptunnel", Image(paint()))[0].startswith("data:image/png;base64,")
    with pytest.raises(
        InvalidRequestError, match="has 60 x 40 pixels, and at most 1000 pixels are decoded here"
    ):
        travel("gptunnel", Image(turned()))
