"""Opens the store that a configuration describes."""

from typing import assert_never

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.protocol import SampleStore

UPKEEP_S = 5.0


def open_store(configuration: StoreConfiguration, read_only: bool = False) -> SampleStore:
    """Open the store that ``configuration`` describes and start its upkeep thread.

    ``read_only``: another process (a running ``quantrac cloud``) may have the embedded store open
    for writing. It is then opened for reading; samples that are written go to that process through
    the store's inbox. Raises StoreUnavailable if the store cannot be opened.
    """
    if configuration.kind == "influxdb":
        from cloud_ingest.stores.influxdb.store import InfluxStore  # noqa: PLC0415  # loads if used

        return InfluxStore.open(configuration, upkeep_s=UPKEEP_S)
    if configuration.kind != "embedded":
        assert_never(configuration.kind)
    if read_only:
        from cloud_ingest.stores.embedded.files import folder  # noqa: PLC0415  # loads if used
        from cloud_ingest.stores.embedded.read_only_store import ReadOnlyStore  # noqa: PLC0415  # as above

        return ReadOnlyStore(folder.store_folder(configuration))
    from cloud_ingest.stores.embedded.store import EmbeddedStore  # noqa: PLC0415  # loads if used

    return EmbeddedStore.open(configuration, upkeep_s=UPKEEP_S)
