"""The steps, in a chain by ``down_revision``."""
