"""Sends through Apprise: e-mail, webhooks, Telegram and a hundred others, by URL."""

import logging

import apprise

from alert_rules.schema import Severity
from cloud_ingest.notification.channels import NotifierError

_KINDS = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}


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
        with apprise.LogCapture(level=logging.WARNING) as said:  # type: ignore[no-untyped-call]  # not annotated there
            try:
                done = self._service.notify(title=title, body=body, notify_type=_KINDS[severity])
            except (OSError, ValueError, TypeError) as error:
                raise NotifierError(str(error)) from error
        if not done:
            lines = said.getvalue().strip().splitlines()
            raise NotifierError(lines[-1].split(" - ")[-1] if lines else "the service refused it")
