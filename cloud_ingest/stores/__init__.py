"""Stores of samples behind one protocol; adding one is adding one file here."""

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.opening import open_store

__all__ = ["StoreConfiguration", "open_store"]
