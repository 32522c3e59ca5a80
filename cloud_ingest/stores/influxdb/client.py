"""InfluxDB over HTTP: the server's version, writing lines, querying in InfluxQL."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3

from cloud_ingest.stores.protocol import StoreError, StoreUnavailable

_TEMPORARY = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals for other reasons than the samples: the same text may be accepted later."""
TOO_LARGE = 413


class WriteRefused(StoreError):  # noqa: N818  # named by what went wrong
    """The server refuses this text; ``reason`` is the server's message."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class NotThere(StoreError):  # noqa: N818  # named by what went wrong
    """The server has no object of this name."""


@dataclass(frozen=True, slots=True)
class Access:
    """Address and credentials of a server: ``token`` for 2.x and 3.x, ``username`` for 1.x."""

    url: str
    token: str | None = None
    org: str | None = None
    username: str | None = None
    password: str | None = None
    timeout_s: float = 30.0

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        if self.token is not None:
            return {"Authorization": f"Token {self.token}"}
        if self.username is not None:
            return dict(
                urllib3.make_headers(basic_auth=f"{self.username}:{self.password or ''}").items()
            )
        return {}


class InfluxClient:
    """One InfluxDB server. Thread-safe."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._url = access.url.rstrip("/")
        self._pool = urllib3.PoolManager(
            maxsize=8,
            retries=False,
            timeout=urllib3.Timeout(connect=min(5.0, access.timeout_s), read=access.timeout_s),
            headers=access.headers(),
        )
        self._version: str | None = None
        self._detecting = threading.Lock()

    @property
    def version(self) -> str:
        """The server's version without a leading v, such as ``1.6.7``; requested once."""
        with self._detecting:
            if self._version is None:
                self._version = self._request_version()
            return self._version

    @property
    def major(self) -> int:
        """1, 2 or 3."""
        head = self.version.split(".", 1)[0]
        return int(head) if head.isdigit() else 2

    def _request_version(self) -> str:
        reply = self._request("GET", "/ping")
        if reply.status >= 500:
            raise StoreUnavailable(f"{self._url}: {_reason(reply)}")
        named = reply.headers.get("X-Influxdb-Version", "")
        if not named and reply.data.startswith(b"{"):
            named = str(json.loads(reply.data).get("version", ""))
        # A server of version 3 sends its version only to authenticated clients.
        return named.lstrip("v") or "3"

    def ping(self) -> None:
        """Raise StoreUnavailable unless the server answers."""
        reply = self._request("GET", "/ping")
        if reply.status >= 500:
            raise StoreUnavailable(f"{self._url}: {_reason(reply)}")

    def write(self, database: str, text: bytes) -> None:
        """Write lines with times in ms. Raises WriteRefused if the lines are the cause."""
        if self.major == 1:
            path = "/write?" + urlencode({"db": database, "precision": "ms"})
        else:
            where = {"bucket": database, "org": self._access.org or "", "precision": "ms"}
            path = "/api/v2/write?" + urlencode(where)
        reply = self._request("POST", path, text)
        if reply.status in (200, 204):
            return
        if reply.status >= 500 or reply.status in _TEMPORARY:
            raise StoreUnavailable(f"{self._url}: {reply.status} {_reason(reply)}")
        raise WriteRefused(reply.status, _reason(reply))

    def query(self, database: str | None, text: str) -> list[list[dict[str, Any]]]:
        """Run InfluxQL statements, with times in ms; for each the series of its result."""
        form = {"q": text, "epoch": "ms"} | ({"db": database} if database else {})
        reply = self._request(
            "POST", "/query", urlencode(form).encode(), "application/x-www-form-urlencoded"
        )
        if reply.status != 200:
            kind = StoreUnavailable if reply.status >= 500 or reply.status in _TEMPORARY else None
            raise (kind or StoreError)(f"{self._url}: {reply.status} {_reason(reply)}")
        results = orjson.loads(reply.data).get("results", [])
        for result in results:
            if "error" in result:
                raise StoreError(f"{self._url}: {result['error']}")
        return [result.get("series", []) for result in results]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the server's management API (2.x and 3.x); the JSON of its response."""
        data = None if body is None else orjson.dumps(body)
        reply = self._request(method, path, data, "application/json")
        if reply.status >= 500:
            raise StoreUnavailable(f"{self._url}: {reply.status} {_reason(reply)}")
        if reply.status == 404:
            raise NotThere(f"{self._url}{path}: {_reason(reply)}")
        if reply.status >= 400:
            raise StoreError(f"{self._url}{path}: {reply.status} {_reason(reply)}")
        return orjson.loads(reply.data) if reply.data else None

    def _request(
        self, method: str, path: str, body: bytes | None = None, form: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        headers = self._access.headers() | ({"Content-Type": form} if form else {})
        try:
            return self._pool.request(method, self._url + path, body=body, headers=headers)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"{self._url}: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _reason(reply: urllib3.BaseHTTPResponse) -> str:
    """The server's error message; the field is ``error`` in 1.x, ``message`` in 2.x."""
    text = reply.data.decode(errors="replace").strip()
    try:
        tree = json.loads(text)
    except ValueError:
        return text[:500] or str(reply.reason)
    if isinstance(tree, dict):
        return str(tree.get("error") or tree.get("message") or text)
    return text[:500]
