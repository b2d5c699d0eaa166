"""A stand-in for BigQuery: its v2 API over HTTP, its SQL on DuckDB, for tests and the demo without a cloud."""

from tests.bigquery_stand_in.credentials import service_account_key
from tests.bigquery_stand_in.server import StandIn

__all__ = ["StandIn", "service_account_key"]
