"""The signals that an agent obeys, caught from its first moment on."""

import asyncio
import signal
from types import FrameType


class Signals:
    """Catches signals as soon as it is made, long before there is an event loop to hand them to.

    ``stop``: end at once. ``drain``: deliver what is there, then end. ``reload``: read the
    configuration again. To be made in the main thread.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.drain = asyncio.Event()
        self.reload = asyncio.Event()
        self._events = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGUSR1: self.drain,
            signal.SIGHUP: self.reload,
        }
        for number in self._events:
            signal.signal(number, self._note)

    def listen(self) -> None:
        """From now on the running event loop is woken by them."""
        loop = asyncio.get_running_loop()
        for number, event in self._events.items():
            loop.add_signal_handler(number, event.set)

    def ignore(self) -> None:
        """The agent has ended: no signal may turn that into a death in the last moments."""
        loop = asyncio.get_running_loop()
        signal.pthread_sigmask(signal.SIG_BLOCK, self._events)
        for number in self._events:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._events)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # No loop runs yet: nobody waits for the event, so there is nobody to wake.
        self._events[signal.Signals(number)].set()
