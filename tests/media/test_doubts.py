"""Limits that are not certain: what is over one is sent, with a warning."""

from __future__ import annotations

import base64
import io
import struct
import time

import pytest
from PIL import Image as Pictures

from airflow_provider_faceswap.exceptions import PictureNotTakenError
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.media.doubts import Video, read_mp4

LINK = "https://pictures.test/a.jpg"


def box(name, *content, large=False):
    body = b"".join(content)
    if large:
        return struct.pack(">I4sQ", 1, name, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, name) + body


def track(handler=b"vide", width=640, height=360, frames=48):
    sample = box(b"avc1", bytes(24), struct.pack(">HH", width, height), bytes(50))
    table = box(
        b"stbl",
        box(b"stsd", struct.pack(">II", 0, 1), sample),
        box(b"stsz", struct.pack(">III", 0, 0, frames), bytes(4 * min(frames, 10))),
    )
    return box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), handler, bytes(13)), box(b"minf", table)))


def mp4(*tracks, padding=b"", large=False):
    head = box(b"ftyp", b"isom", bytes(4), b"isommp42")
    return head + box(b"mdat", padding, large=large) + box(b"moov", *(tracks or [track()]))


def paint(size, form="PNG"):
    out = io.BytesIO()
    Pictures.new("RGB", size, "teal").save(out, form)
    return out.getvalue()


@pytest.fixture
def warnings(monkeypatch, connections):
    """The warnings of a request whose links lead to these bytes."""
    connections("https://vendor.test")

    def warnings_of(kind, data, preflight="check", **arguments):
        monkeypatch.setattr(
            "airflow_provider_faceswap.http.download.download",
            lambda url, into, **_: (into.write(data if url.endswith("x") else paint((9, 9))), into.seek(0)),
        )
        hook = PiAPIHook()
        request = hook.prepare(kind, preflight=preflight, **arguments)
        return [text for text in hook.vendor.warnings(kind, request) if "does not end in" not in text]

    return warnings_of


def swap(**more):
    return {"target_image": LINK, "face_image": LINK, **more}


def video(**more):
    return {"target_video": "https://pictures.test/x", "face_image": LINK, **more}


@pytest.mark.parametrize(("side", "count"), [(2047, 0), (2048, 1)])
@pytest.mark.parametrize("name", ["target_image", "face_image"])
def test_a_linked_picture_of_exactly_2048_pixels_gets_a_warning_if_it_is_checked(warnings, side, count, name):
    texts = warnings("face_swap", paint((side, 10)), **swap(**{name: "https://pictures.test/x"}))
    assert len(texts) == count
    assert all(text.startswith(f"{name}: a side has 2048 pixels") for text in texts)
    assert warnings("face_swap", paint((side, 10)), "auto", **swap(**{name: "https://pictures.test/x"})) == []


@pytest.mark.parametrize(("side", "count"), [(2047, 0), (2048, 1)])
def test_an_inline_picture_of_exactly_2048_pixels_gets_one_warning(warnings, side, count):
    data = paint((10, side))
    for face in (Image(data), f"data:image/png;base64,{base64.b64encode(data).decode()}"):
        texts = warnings("face_swap", b"", "auto", **swap(face_image=face))
        assert len(texts) == count
        assert all("2048 pixels" in text for text in texts)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (mp4(), []),
        (mp4(track(frames=600, width=1280, height=720)), []),
        (mp4(track(frames=601)), ["601 frames, and at most 600"]),
        (mp4(track(width=1920, height=1080)), ["1920 x 1080, and at most 720p"]),
        (mp4(track(width=720, height=1280)), []),
        (mp4(padding=bytes(10_000_000)), ["bytes, and at most 10000000"]),
        (
            mp4(track(frames=900, width=1080, height=1920), padding=bytes(10_000_000)),
            ["bytes, and at most 10000000", "1080 x 1920", "900 frames"],
        ),
    ],
    ids=["small", "at-the-limits", "frames", "1080p", "upright", "bytes", "all"],
)
def test_a_linked_video_over_a_limit_of_piapi_gets_a_warning_if_it_is_checked(warnings, data, words):
    texts = warnings("video_face_swap", data, **video())
    assert len(texts) == len(words)
    assert all(
        text.startswith("target_video: ") and word in text for text, word in zip(texts, words, strict=True)
    )
    assert warnings("video_face_swap", data, "auto", **video()) == []


def test_a_video_that_is_no_mp4_is_refused_if_it_is_checked(warnings):
    with pytest.raises(PictureNotTakenError, match="it is video/webm, and only video/mp4"):
        warnings("video_face_swap", b"\x1a\x45\xdf\xa3\x84webm\x18\x53\x80\x67\x88" + bytes(8), **video())


def test_a_video_that_is_too_large_for_the_upload_is_refused_before_it_is_sent(warnings):
    with pytest.raises(
        PictureNotTakenError, match=r"target_video: \d+ bytes cannot be sent .* at most 10000000 by upload"
    ):
        warnings("video_face_swap", b"", "auto", **video(target_video=Image(mp4(padding=bytes(10_000_000)))))


# -- reading an MP4 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (mp4(), Video(640, 360, 48)),
        (mp4(track(b"soun", frames=9000), track(frames=7)), Video(640, 360, 7)),
        (mp4(large=True), Video(640, 360, 48)),
        (mp4(track(b"soun")), Video(0, 0, 0)),
        (mp4()[:-20], Video(0, 0, 0)),
        (b"", Video(0, 0, 0)),
        (bytes(100), Video(0, 0, 0)),
        (b"\xff" * 100, Video(0, 0, 0)),
        (struct.pack(">I4s", 0, b"moov") + track(), Video(640, 360, 48)),
        (struct.pack(">I4sQ", 1, b"moov", 2**63) + track(), Video(0, 0, 0)),
    ],
)
def test_size_and_frames_are_read_from_the_index_of_the_file(data, found):
    assert read_mp4(data) == found


def test_a_file_of_empty_boxes_is_read_quickly():
    began = time.process_time()
    for name in (b"moov", b"trak", b"mdia", b"free"):
        empty = struct.pack(">I4s", 8, name) * 100_000
        read_mp4(empty)
        read_mp4(box(b"moov", empty))
        read_mp4(box(b"moov", *[box(b"trak", empty[:8000])] * 500))
    assert time.process_time() - began < 5


def test_the_sample_video_of_the_sandbox_is_read():
    from airflow_provider_faceswap.sandbox.drawing.samples import draw_sample

    assert read_mp4(draw_sample("clip.mp4").data) == Video(320, 320, 24)
