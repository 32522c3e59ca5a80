"""Child processes that are restarted when they die and end with their parent."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

_log = structlog.get_logger()

PR_SET_PDEATHSIG = 1
RESTART_DELAY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_S = 30.0
"""A process that ran this long is restarted after the shortest delay."""


class StartFailed(Exception):  # noqa: N818  # named by what went wrong
    """A process of the demonstration does not start; the message quotes its log."""


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(slots=True)
class Child:
    """One process of the demonstration. ``ends`` is True once it was asked to end."""

    name: str
    command: Sequence[str]
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    restarts: int = 0
    quick_deaths: int = 0
    ends: bool = False
    next_start_s: float = field(default=0.0)

    def start(self) -> None:
        """Start the process in its own session, so that Ctrl-C reaches only the parent."""
        with self.log_file.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # no threads run when children start
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.started_s = time.monotonic()

    @property
    def running(self) -> bool:
        """True while the process runs."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process if it runs."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def log_tail(self, lines: int = 8) -> str:
        """The last lines of the log file."""
        with contextlib.suppress(OSError):
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""


class Supervisor:
    """Keeps processes running; ``restart_dead`` must be called often."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self.children: dict[str, Child] = {}

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a process; its output goes to ``<name>.log``."""
        child = Child(name, command, self._log_folder / f"{name}.log")
        self.children[name] = child
        child.start()
        return child

    def restart_dead(self, now_s: float) -> None:
        """Restart processes that died by themselves, after a growing delay."""
        for child in self.children.values():
            if child.ends or child.running:
                continue
            if child.next_start_s == 0.0:
                quick = now_s - child.started_s < STEADY_S
                child.quick_deaths = child.quick_deaths + 1 if quick else 0
                delay = RESTART_DELAY_S[min(child.quick_deaths, len(RESTART_DELAY_S) - 1)]
                child.next_start_s = now_s + delay
                code = child.process.returncode if child.process else None
                _log.warning("process_died", process=child.name, code=code)
            elif now_s >= child.next_start_s:
                child.next_start_s = 0.0
                child.restarts += 1
                child.start()

    def stop(self, timeout_s: float) -> None:
        """Ask all processes to end, last started first; kill those left after ``timeout_s``."""
        for child in reversed(self.children.values()):
            child.ends = True
            child.send(signal.SIGTERM)
        end = time.monotonic() + timeout_s
        for child in self.children.values():
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.send(signal.SIGKILL)
                child.process.wait()
