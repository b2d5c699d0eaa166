"""The board: a page in Airflow's web UI that shows how each month stands.

- app: its routes, and who may ask them
- asking: asks a warehouse's ledger, one question at a time, for a page that doesn't wait long
- charts: draws what the ledger says over time
- months: what the page is told of each month
- rights: which DAGs a user may read
- runs: which runs of ``taxi`` load months now, and what a user may do with them
"""
