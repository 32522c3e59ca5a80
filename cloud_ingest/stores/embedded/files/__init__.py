"""The embedded store's files: journal, Parquet parts, manifest, summaries, series catalogue."""
