"""The embedded store: one folder, no server. A journal for what is new, Parquet for the rest."""
