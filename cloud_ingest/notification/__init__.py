"""Notification: sends alerts to people, through a queue in the database."""

from cloud_ingest.notification.channels import Channel, ChannelConfiguration, channels
from cloud_ingest.notification.notifier import Notifier, NotifierError
from cloud_ingest.notification.worker import NotificationWorker

__all__ = [
    "Channel",
    "ChannelConfiguration",
    "NotificationWorker",
    "Notifier",
    "NotifierError",
    "channels",
]
