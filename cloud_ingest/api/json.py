"""JSON responses through orjson; NaN becomes null."""

from typing import Any

import orjson
from fastapi.responses import Response


class Json(Response):
    """A response with ``content`` as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of ``content``, which may hold numpy arrays."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
