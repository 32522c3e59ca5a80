"""From readings to reports: totals, aggregation, report filter, collection for the outbox."""
