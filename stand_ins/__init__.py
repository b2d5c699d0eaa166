"""BigQuery and Cloud Storage on this machine, for tests and the offline demo."""
