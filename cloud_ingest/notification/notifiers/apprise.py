"""Sends through Apprise: e-mail, webhooks, Telegram and a hundred others, by URL."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apprise

from alert_rules.rule import Severity
from cloud_ingest.notification.notifier import FailureReason, NotifierError

SCHEMES = ()
"""None of its own: it takes every address that no other notifier takes."""

_KINDS = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}
_REASONS: tuple[tuple[FailureReason, str], ...] = (
    (
        FailureReason.HOST_NOT_FOUND,
        r"Name or service not known|name resolution|getaddrinfo|NameResolution",
    ),
    (
        FailureReason.CONNECTION_REFUSED,
        r"Connection refused|No route to host|Network is unreachable",
    ),
    (FailureReason.TIMEOUT, r"timed out|timeout"),
    (FailureReason.TLS, r"SSL|certificate|STARTTLS"),
    (FailureReason.UNAUTHORIZED, r"error=40[13]\b|\b53[0-9]\b|[Aa]uthentication"),
    (FailureReason.UNKNOWN_RECIPIENT, r"error=404\b|\b55[0-4]\b"),
    (FailureReason.RATE_LIMITED, r"error=429\b|\b421\b"),
    (FailureReason.SERVICE_ERROR, r"error=5\d\d\b"),
)

# The debug log of Apprise contains addresses with their passwords. It is read here to find the
# reason of a failure, and is not written anywhere.
_logger = logging.getLogger("apprise")
_logger.propagate = False
_logger.setLevel(logging.DEBUG)


class AppriseNotifier:
    """Sends through one Apprise URL. Raises ValueError if Apprise has no service for it."""

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
        """Hand the message over. Raises NotifierError with the answer of the service."""
        with _captured_log() as log:
            try:
                done = self._service.notify(title=title, body=body, notify_type=_KINDS[severity])
            except (OSError, ValueError, TypeError) as error:
                raise NotifierError(str(error), _reason(str(error))) from error
        if not done:
            warnings = [r.getMessage() for r in log if r.levelno >= logging.WARNING]
            detail = warnings[-1] if warnings else "the service refused it"
            everything = "\n".join(r.getMessage() for r in log if _names_a_cause(r))
            raise NotifierError(detail, _reason(everything))


new_notifier = AppriseNotifier


def _names_a_cause(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or "Exception" in record.getMessage()


def _reason(text: str) -> FailureReason:
    return next((r for r, pattern in _REASONS if re.search(pattern, text)), FailureReason.REJECTED)


class _ThreadLog(logging.Handler):
    """Collects the records that the thread which created it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record if this thread wrote it."""
        if record.thread == self._thread:
            self.records.append(record)


@contextmanager
def _captured_log() -> Iterator[list[logging.LogRecord]]:
    """The records that Apprise logs in this thread during the block."""
    handler = _ThreadLog()
    _logger.addHandler(handler)
    try:
        yield handler.records
    finally:
        _logger.removeHandler(handler)
