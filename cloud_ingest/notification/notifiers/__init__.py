"""The notifiers: one module each, which defines ``SCHEMES`` and ``new_notifier``; see ``finding``."""
