"""A second of silence as a real audio file."""

from __future__ import annotations

from airflow_provider_faceswap.sandbox.output import Output

#: An MPEG-1 layer III frame: 128 kbit/s, 44.1 kHz, joint stereo. Its zeros decode as silence.
_FRAME = b"\xff\xfb\x90\x64".ljust(417, b"\0")
#: 26 ms each.
_FRAMES = 39


def silence(title: str) -> Output:
    """An MP3 file.

    :param title: stored in the file's ID3 tag.
    """
    text = b"\x03" + title.encode("utf-8", "replace")[:100]
    # Below 128 bytes, so that the tag's seven-bit lengths need one byte each.
    frame = b"TIT2" + bytes([0, 0, 0, len(text), 0, 0]) + text
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    return Output(tag + _FRAME * _FRAMES, "mp3")
