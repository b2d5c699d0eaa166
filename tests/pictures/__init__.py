"""Makes the pictures of README.md and docs/: a real Airflow with sample months (`scene`), in the tests' browser."""
