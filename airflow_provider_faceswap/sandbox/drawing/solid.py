"""A tetrahedron as a real 3D file."""

from __future__ import annotations

import json
import struct
import zlib

from airflow_provider_faceswap.sandbox.output import Output

_CORNERS = ((0.0, 1.0, 0.0), (-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (0.0, -1.0, -1.0))
_FACES = (0, 1, 2, 0, 2, 3, 0, 3, 1, 1, 3, 2)
_FLOAT, _SHORT = 5126, 5123


def tetrahedron(words: str) -> Output:
    """A binary glTF file.

    :param words: decide its colour.
    """
    points = b"".join(struct.pack("<3f", *corner) for corner in _CORNERS)
    order = struct.pack(f"<{len(_FACES)}H", *_FACES)
    shade = zlib.crc32(words.encode())
    colour = [(shade >> shift & 0xFF) / 255 for shift in (0, 8, 16)]
    scene = {
        "asset": {"version": "2.0", "generator": "sandbox"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [*colour, 1.0]}}],
        "buffers": [{"byteLength": len(points) + len(order)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(points)},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(order)},
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": _FLOAT,
                "count": len(_CORNERS),
                "type": "VEC3",
                "min": [-1.0, -1.0, -1.0],
                "max": [1.0, 1.0, 1.0],
            },
            {"bufferView": 1, "componentType": _SHORT, "count": len(_FACES), "type": "SCALAR"},
        ],
    }
    text = json.dumps(scene).encode()
    body = _chunk(b"JSON", text, b" ") + _chunk(b"BIN\0", points + order, b"\0")
    return Output(b"glTF" + struct.pack("<2I", 2, 12 + len(body)) + body, "glb")


def _chunk(name: bytes, data: bytes, filler: bytes) -> bytes:
    """A chunk whose length is a multiple of four."""
    data += filler * (-len(data) % 4)
    return struct.pack("<I", len(data)) + name + data
