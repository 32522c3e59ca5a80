"""Servers for these tests."""

from tests.cloud_ingest.intake.test_shards import postgresql  # noqa: F401  # a fixture
