"""The steps of a load on Postgres, on a psycopg connection. They know no Airflow.

- bring_over: brings over the main table of version 0.1.0
- cleanup: drops what runs have left
- doctor: what ``airflow taxi doctor`` looks at
- duplicates: gives duplicate rows ids of their own
- errors: what an error of Postgres says, and whether a retry may fix it
- hash: types and ids of the staged rows
- ledger: the attempts
- lock_waits: which sessions a step has waited for
- main_table: creates main table and ledger, and compares their columns
- main_table_objects: what users have defined on the main table
- measure: counts and measures before a month is published
- parallel_copy: ``COPY`` over several sessions at once
- partition: the partition that holds a month
- publish: publishes a month
- published: what the ledger knows of published months, and whether the main table still holds them
- published_months: published months, for the comparison and the watch
- refusals: why a server refuses a connection
- rejects: rows that can't be read
- run_tables: the tables of a run
- session: transactions and their settings, and locks
- stage: stages a file's rows
- summary: the summary of published months, for reports
- tables: names of tables
- text_rows: whether each line of a file is one row
- upkeep: what maintenance asks for, and deletes
- warehouse: :class:`PostgresWarehouse`, which the steps call
- watched_files: the table of what the watch has decided
"""
