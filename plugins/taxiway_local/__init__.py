"""The commands of your own machine, never production.

- airflow_commands: runs several Airflow commands in one process
- database: the databases of embedded Postgres
- demo, demo_gcp, demo_learn: ``make demo``, ``make demo-gcp`` and ``make demo-learn``
- doctor: ``make doctor``
- env_file: reads ``.env``
- environment: the environment of every Python process of the project
- exits: how a local command ends
- home: where the local installation keeps its files
- known_samples: which files are samples
- mirror_server: a mirror on this machine
- own_home: an Airflow and a Postgres of its own for one command
- postgres_server: embedded Postgres: its process and its folders
- psql: ``make psql``
- samples, sample_trips, sample_values, sample_zones, sample_draws, sample_parquet: sample months
- services: ``make up`` and ``make down``
- setup: ``make setup``
"""
