"""Sends through Apprise: e-mail, webhooks, Telegram and a hundred others, by URL."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apprise

from alert_rules.rule import Severity
from cloud_ingest.notification.channels import NotifierError, Trouble

_KINDS = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}
_TROUBLES: tuple[tuple[Trouble, str], ...] = (
    (Trouble.NO_HOST, r"Name or service not known|name resolution|getaddrinfo|NameResolution"),
    (Trouble.NOBODY_LISTENS, r"Connection refused|No route to host|Network is unreachable"),
    (Trouble.NO_ANSWER, r"timed out|timeout"),
    (Trouble.NOT_SECURE, r"SSL|certificate|STARTTLS"),
    (Trouble.NOT_ALLOWED, r"error=40[13]\b|\b53[0-9]\b|[Aa]uthentication"),
    (Trouble.NO_SUCH_ADDRESS, r"error=404\b|\b55[0-4]\b"),
    (Trouble.TOO_MANY, r"error=429\b|\b421\b"),
    (Trouble.SERVICE_BROKEN, r"error=5\d\d\b"),
)

# What Apprise writes for debugging names addresses with their passwords: it is read here for the
# reason of a failure, and goes nowhere else.
_logger = logging.getLogger("apprise")
_logger.propagate = False
_logger.setLevel(logging.DEBUG)


class AppriseNotifier:
    """One Apprise URL. ValueError if Apprise does not know what to do with it."""

    def __init__(self, url: str) -> None:
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            scheme = url.partition(":")[0]
            raise ValueError(
                f"no notification service takes this address ({scheme}:...); "
                "see the Apprise documentation for how to write one"
            )
        self._service = service

    def send(self, title: str, body: str, severity: Severity) -> None:
        """Hand a message over; raises NotifierError with what the service said."""
        with _heard() as said:
            try:
                done = self._service.notify(title=title, body=body, notify_type=_KINDS[severity])
            except (OSError, ValueError, TypeError) as error:
                raise NotifierError(str(error), _trouble(str(error))) from error
        if not done:
            warnings = [r.getMessage() for r in said if r.levelno >= logging.WARNING]
            detail = warnings[-1] if warnings else "the service refused it"
            everything = "\n".join(r.getMessage() for r in said if _is_telling(r))
            raise NotifierError(detail, _trouble(everything))


def _is_telling(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or "Exception" in record.getMessage()


def _trouble(text: str) -> Trouble:
    return next((t for t, words in _TROUBLES if re.search(words, text)), Trouble.REFUSED)


class _Ear(logging.Handler):
    """Keeps what is logged in the thread that made it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of this thread."""
        if record.thread == self._thread:
            self.records.append(record)


@contextmanager
def _heard() -> Iterator[list[logging.LogRecord]]:
    """What Apprise writes in this thread meanwhile."""
    ear = _Ear()
    _logger.addHandler(ear)
    try:
        yield ear.records
    finally:
        _logger.removeHandler(ear)
