"""The core: sources, months, row identity, downloads. It knows neither Airflow nor a database."""
