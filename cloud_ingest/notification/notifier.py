"""What hands a message over, and the errors it raises. ``notifiers`` has one file for each."""

from enum import StrEnum, auto
from typing import Protocol

from alert_rules.rule import Severity


class FailureReason(StrEnum):
    """Why a message could not be handed over, as far as the service's answer shows it."""

    HOST_NOT_FOUND = auto()
    CONNECTION_REFUSED = auto()
    TIMEOUT = auto()
    TLS = auto()
    UNAUTHORIZED = auto()
    UNKNOWN_RECIPIENT = auto()
    RATE_LIMITED = auto()
    SERVICE_ERROR = auto()
    REJECTED = auto()


class NotifierError(Exception):
    """A message could not be handed over. The text is what the service answered."""

    def __init__(self, detail: str, reason: FailureReason = FailureReason.REJECTED) -> None:
        super().__init__(detail)
        self.reason = reason


class Notifier(Protocol):
    """Hands a message over: e-mail, a webhook, a chat."""

    def send(self, title: str, body: str, severity: Severity) -> None:
        """Hand the message over. Raises NotifierError."""
        ...
