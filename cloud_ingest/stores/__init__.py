"""Stores of samples behind one protocol. A new store is one new file or folder here."""

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.opening import open_store

__all__ = ["StoreConfiguration", "open_store"]
