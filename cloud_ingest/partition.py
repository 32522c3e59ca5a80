"""Partitions: gateways that are compared with each other share one partition and its state.

Today there is one partition. Whatever belongs to a partition is in ``Partition``; whatever all
partitions share (store, database, inventory, broker) is in ``PipelineDependencies``.

A partition is a part of the state inside one process, a ``Shard`` one of several processes with a
share of the gateways. Each shard has partitions of its own and knows nothing of the other shards.
"""

from dataclasses import dataclass
from typing import Final

from cloud_ingest.intake.ledger.ledger import Ledger
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.pipeline_dependencies import Alerts, Quality

DEFAULT_PARTITION: Final = "default"


@dataclass(frozen=True, slots=True)
class Partition:
    """The state of one partition. Only the pipeline's thread changes it.

    ``receiver`` holds the sessions and the buffer of decoded samples, ``ledger`` the stored
    reports, ``quality`` the state of the quality tests, ``alerts`` that of rules and detectors.
    """

    receiver: Receiver
    ledger: Ledger
    quality: Quality
    alerts: Alerts


def partition_of(group: str, gateway: str) -> str:  # noqa: ARG001  # the key; there is one partition
    """The name of the partition of a gateway."""
    return DEFAULT_PARTITION
