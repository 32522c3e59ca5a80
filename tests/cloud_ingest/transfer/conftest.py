"""Servers for the tests of this room."""

from tests.cloud_ingest.intake.test_shards import postgresql  # noqa: F401  # a fixture
