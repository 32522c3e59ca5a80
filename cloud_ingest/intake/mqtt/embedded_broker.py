"""A broker inside this process, for demonstrations and small sites.

MQTT 3.1.1, a few thousand messages a second.
"""

import asyncio
import contextlib
import logging
import threading

from amqtt.broker import Broker
from amqtt.errors import BrokerError

START_TIMEOUT_S = 10.0


class BrokerFailed(Exception):  # noqa: N818  # named by what went wrong
    """The embedded broker cannot start; the message says why."""


class EmbeddedBroker:
    """amqtt in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._problem: str = ""
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._end: asyncio.Event | None = None

    def start(self) -> None:
        """Start, and return once it listens; raises BrokerFailed."""
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            self._problem = "it did not start in time"
        if self._problem:
            host, port = self._address
            raise BrokerFailed(f"the broker in this process, {host}:{port}: {self._problem}")

    def stop(self, timeout_s: float = 1.0) -> None:
        """Disconnect every client and end the thread."""
        if self._end is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        host, port = self._address
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
                "plugins": {
                    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
                },
            }
        )
        try:
            await broker.start()
        except (BrokerError, OSError) as error:
            self._problem = str(error.__cause__ or error)
            return
        finally:
            self._started.set()
        await self._end.wait()
        with contextlib.suppress(BrokerError, TimeoutError):
            await asyncio.wait_for(broker.shutdown(), 1.0)
