"""Real audio files: a tone, and silence."""

from __future__ import annotations

import io
import wave

import numpy as np

from airflow_provider_faceswap.sandbox.output import Output

#: Seconds of a tone.
TONE_SECONDS = 2
_RATE = 8000
#: An MPEG-1 layer III frame: 128 kbit/s, 44.1 kHz, joint stereo. Its zeros decode as silence.
_FRAME = b"\xff\xfb\x90\x64".ljust(417, b"\0")
#: 26 ms each.
_FRAMES = 39


def silence(title: str) -> Output:
    """An MP3 file of one second.

    :param title: stored in the file's ID3 tag.
    """
    text = b"\x03" + title.encode("utf-8", "replace")[:100]
    # Below 128 bytes, so that the tag's seven-bit lengths need one byte each.
    frame = b"TIT2" + bytes([0, 0, 0, len(text), 0, 0]) + text
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    return Output(tag + _FRAME * _FRAMES, "mp3")


def tone(words: str) -> Output:
    """A WAV file; the words determine its pitch."""
    pitch = 220 + sum(words.encode()) % 440
    times = np.arange(TONE_SECONDS * _RATE) / _RATE
    samples = np.rint(8000 * np.sin(2 * np.pi * pitch * times)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(samples.tobytes())
    return Output(file.getvalue(), "wav")
