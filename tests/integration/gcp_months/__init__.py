"""Tests of the steps into BigQuery, one by one, on Google's real clients."""

ROWS = 60
"""Of a sample month."""
