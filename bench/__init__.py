"""The benchmark: `make bench` measures Taxiway against COPY, the course's flow, pandas, dlt, curl and a bare DAG."""
