"""The ledger: which reports are stored, which are missing, and how far to acknowledge."""
