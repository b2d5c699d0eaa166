"""The benchmark: `make bench` measures Taxiway against COPY, the course's flow, pandas, dlt, curl and a bare DAG.

- board: what the page of months costs, `make bench-board`
- budget: what is compared, and what each ratio must be
- contenders: what is measured, on taxiway_load and rivals
- contents: whether all contenders have loaded the same
- report: results as JSON, and as tables
- rivals: what Taxiway is compared with
- rounds: the order of the contenders
- scale: how big a run is, and its months
- servers: embedded Postgres, a mirror and an Airflow for a run
- taxiway_load: Taxiway's steps without Airflow
"""
