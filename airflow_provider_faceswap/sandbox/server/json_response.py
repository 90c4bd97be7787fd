"""A JSON response that can carry any text."""

from __future__ import annotations

import json
from typing import Any

from starlette import responses


class JSONResponse(responses.JSONResponse):
    """JSON in ASCII, as many APIs send it: an escape can be half an emoji, which UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return json.dumps(content).encode()
