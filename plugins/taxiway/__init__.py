"""Taxiway: New York taxi months into a warehouse, on Apache Airflow.

Packages; each imports only packages above it:

- doctor: what a check of the installation is, and those of the machine
- sources: what is loaded
- files: how a file is read
- download: how a file gets here
- loads: what a load is, independent of the warehouse
- warehouses: how each warehouse does it
- compare: compares two warehouses
- reports: reports of published months, for people
- orchestration: Airflow
- cli: the commands ``airflow taxi …``
- board: a page of all months in Airflow's web UI

Modules that all of them use:

- errors: an exception for each thing that can go wrong
- messages: makes texts of others fit for a message, a log or a table
- next_try: what an error says of the next try
- paths: where the repository keeps what the code reads
- program: the command lines that messages advise
- proxies: keeps traffic within this machine away from proxies
- settings: reads settings such as ``10 GiB``, and yes or no
"""
