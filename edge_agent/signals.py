"""The signals that an agent handles, caught from the start of the process."""

import asyncio
import signal
from types import FrameType


class Signals:
    """Catches signals from its construction on, before an event loop runs.

    ``stop``: end at once. ``drain``: deliver the outbox, then end. ``reload``: read the
    configuration again. Construct it in the main thread.
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
        """Let signals wake the running event loop from now on."""
        loop = asyncio.get_running_loop()
        for number, event in self._events.items():
            loop.add_signal_handler(number, event.set)

    def ignore(self) -> None:
        """Ignore signals from now on: the agent has ended, and its exit code must stay."""
        loop = asyncio.get_running_loop()
        signal.pthread_sigmask(signal.SIG_BLOCK, self._events)
        for number in self._events:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._events)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # No loop runs yet: nobody waits for the event, so there is nobody to wake.
        self._events[signal.Signals(number)].set()
