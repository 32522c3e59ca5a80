"""A TCP proxy that misbehaves on demand: cut, half-open, slow, narrow."""

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weather:
    """How the network is. ``swallow``: bytes vanish both ways and nobody is told."""

    refuse: bool = False
    swallow: bool = False
    delay_s: float = 0.0
    bytes_per_s: float = 0.0


FAIR = Weather()


class Proxy:
    """Listens on ``port`` and passes everything on to ``target``."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.weather = FAIR
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections at once."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.weather.refuse:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self._target), 2)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._pairs.append((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        # A connection that swallowed something is broken for good: bytes would be missing in it.
        broken = False
        with contextlib.suppress(OSError, ValueError):
            while True:
                weather = self.weather
                size = 65_536
                if weather.bytes_per_s:
                    size = max(1, int(weather.bytes_per_s / 20))
                readable, _, _ = select.select([source], [], [], 0.2)
                if not readable:
                    continue
                data = source.recv(size)
                if not data:
                    break
                weather = self.weather
                broken = broken or weather.swallow
                if broken:
                    continue
                if weather.delay_s:
                    time.sleep(weather.delay_s)
                sink.sendall(data)
                if weather.bytes_per_s:
                    time.sleep(len(data) / weather.bytes_per_s)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()
