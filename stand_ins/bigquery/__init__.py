"""A stand-in for BigQuery: its v2 API over HTTP, its SQL on DuckDB, for tests and the demo without a cloud.

- server, api: HTTP, and the endpoints of the v2 API
- credentials: the key of a made-up service account
- jobs, queries, loads: jobs of each kind
- statements, scripts, context: how a script is cut into statements, and what they are carried out in
- execution, translation, macros, allowed: how a statement is checked and computed
- definitions, changes: statements that define tables, and statements that change rows
- catalog, tables, values: datasets and tables, their names and their types
- pruning, snapshots: which partitions a statement reads, and what a job sees
- errors, faults: errors as BigQuery reports them, and errors on demand
"""

from stand_ins.bigquery.credentials import service_account_key
from stand_ins.bigquery.server import StandIn

__all__ = ["StandIn", "service_account_key"]
