"""The one door to a store: what a configuration describes, opened."""

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.protocol import SampleStore

MAINTENANCE_S = 5.0


def open_store(configuration: StoreConfiguration) -> SampleStore:
    """The store that ``configuration`` describes; a thread of its own keeps it in order.

    Raises StoreUnavailable where it cannot be opened.
    """
    if configuration.kind == "influxdb":
        from cloud_ingest.stores.influxdb.store import InfluxStore  # noqa: PLC0415  # loads if used

        return InfluxStore.open(configuration, maintenance_s=MAINTENANCE_S)
    from cloud_ingest.stores.embedded.store import EmbeddedStore  # noqa: PLC0415  # loads if used

    return EmbeddedStore.open(configuration, maintenance_s=MAINTENANCE_S)
