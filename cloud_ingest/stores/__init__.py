"""Stores of samples behind one protocol. How to add a store: README.md."""

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.opening import open_store

__all__ = ["StoreConfiguration", "open_store"]
