"""The install on every supported Python: ``make test-install``."""
