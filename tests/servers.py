"""Real servers for tests: each is started on a free port and stopped by its fixture.

A machine that lacks one skips its tests and says so; with CI set in the environment that is a
failure, so that a green run in CI means that all of them ran.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_PORTS_A_WORKER = 600


def _ports() -> Iterator[int]:
    """The ports of this process in random order, again and again.

    They are below the range of outgoing connections (32768 and up), so that a stopped server finds
    its port free when it starts again, and each worker of pytest-xdist has ports of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10_000 + worker % 16 * _PORTS_A_WORKER
    return itertools.cycle(random.sample(range(first, first + _PORTS_A_WORKER), _PORTS_A_WORKER))


_NEXT_PORT = _ports()


def free_port() -> int:
    """A TCP port that nobody listens on at this moment and that was not given out lately."""
    for port in itertools.islice(_NEXT_PORT, _PORTS_A_WORKER):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            return port
    raise OSError("no free TCP port for tests")


def wait_until(condition: Callable[[], object], what: str = "", timeout_s: float = 60.0) -> object:
    """Poll ``condition`` until its result is true; AssertionError after ``timeout_s``.

    The limit is generous: it only ends a test that has failed, also on a machine under load.
    """
    end = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what or condition}")
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether something listens on the port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def require(program: str, package: str) -> str:
    """The path of a server's program; skips (in CI: fails) where it is not installed."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found:
        return found
    message = f"{program} is not installed (Debian package {package}; make setup-servers)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Mosquitto:
    """A mosquitto broker of this test's own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.host = "127.0.0.1"
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def start(self, extra: str = "") -> None:
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n{extra}"
        )
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(
            [self._program, "-c", str(configuration)], stdout=log, stderr=log
        )
        wait_until(lambda: accepts(self.port), what="mosquitto listens")

    def _end(self, sig: int) -> None:
        if self._process is not None:
            self._process.send_signal(sig)
            self._process.wait(60)
            self._process = None

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)


class InfluxDB:
    """An InfluxDB 1.x server of this test's own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._rpc_port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        folder = self._folder
        configuration = folder / "influxdb.conf"
        configuration.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self._rpc_port}"\n'
            f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\n'
            f'wal-dir = "{folder}/wal"\n[http]\nbind-address = "127.0.0.1:{self.port}"\n'
            "log-enabled = false\n[monitor]\nstore-enabled = false\n"
        )
        log = (folder / "influxdb.log").open("ab")
        self._process = subprocess.Popen(
            [self._program, "-config", str(configuration)], stdout=log, stderr=log
        )
        wait_until(self._answers, "influxd answers")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/ping") as reply:
            return bool(reply.status == 204)
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None
