"""The requests of the demonstration to the HTTP API of the cloud."""

import contextlib
import json
import urllib.parse
import urllib.request
from typing import Any

TIMEOUT_S = 5.0


class Api:
    """A client of a cloud on this machine; results are None while it does not answer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: str) -> Any:
        """The JSON at ``path``, or None."""
        address = f"{self.url}/api/v1{path}"
        if query:
            address += "?" + urllib.parse.urlencode(query)
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(address, timeout=TIMEOUT_S) as reply,  # noqa: S310  # loopback
        ):
            return json.load(reply)
        return None

    def gateways_with_samples(self) -> set[str]:
        """Gateways with stored samples."""
        found: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            page = self.get("/latest", limit="1000", **({"cursor": cursor} if cursor else {}))
            found.update(item["gateway"] for item in (page or {}).get("items", []))
            cursor = (page or {}).get("next")
        return found

    def stored(self) -> dict[str, int] | None:
        """The number of stored samples of each gateway, counted in the store."""
        page = self.get("/gateways", exact="true", limit="1000")
        if page is None:
            return None
        return {item["id"]: int(item["samples_stored"]) for item in page["items"]}
