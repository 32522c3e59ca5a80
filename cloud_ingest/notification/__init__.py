"""Notification: telling people of alerts, through a queue in the database."""

from cloud_ingest.notification.channels import (
    Channel,
    ChannelConfiguration,
    NotifierError,
    channels,
)
from cloud_ingest.notification.worker import NotificationWorker

__all__ = ["Channel", "ChannelConfiguration", "NotificationWorker", "NotifierError", "channels"]
