"""Sounds."""

from __future__ import annotations

import io
import wave

import numpy as np

from airflow_provider_faceswap.sandbox.output import Output

#: Seconds of a drawn sound.
TONE_SECONDS = 2
_RATE = 8000


def encode_tone(words: str) -> Output:
    """A tone as a ``wav`` file; the words determine its pitch."""
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
