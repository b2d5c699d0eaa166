"""A stand-in for BigQuery: its v2 API over HTTP, its SQL on DuckDB, for tests and the demo without a cloud."""

from stand_ins.bigquery.credentials import service_account_key
from stand_ins.bigquery.server import StandIn

__all__ = ["StandIn", "service_account_key"]
