"""The one door to a store: what a configuration describes, opened."""

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.protocol import SampleStore

MAINTENANCE_S = 5.0


def open_store(configuration: StoreConfiguration, beside: bool = False) -> SampleStore:
    """The store that ``configuration`` describes; a thread of its own keeps it in order.

    ``beside``: another process may have it open for writing, as a running ``quantrac cloud`` has.
    It is then open for reading, and what is written is handed to that process. Raises
    StoreUnavailable where it cannot be opened.
    """
    if configuration.kind == "influxdb":
        from cloud_ingest.stores.influxdb.store import InfluxStore  # noqa: PLC0415  # loads if used

        return InfluxStore.open(configuration, maintenance_s=MAINTENANCE_S)
    if beside:
        from cloud_ingest.stores.embedded.files import folder  # noqa: PLC0415  # loads if used
        from cloud_ingest.stores.embedded.read_only_store import EmbeddedReader  # noqa: PLC0415  # as above

        return EmbeddedReader(folder.of(configuration))
    from cloud_ingest.stores.embedded.store import EmbeddedStore  # noqa: PLC0415  # loads if used

    return EmbeddedStore.open(configuration, maintenance_s=MAINTENANCE_S)
