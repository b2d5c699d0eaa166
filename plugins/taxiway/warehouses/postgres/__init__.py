"""The steps of a load on Postgres, on a psycopg connection. They know no Airflow."""
