"""docker-compose.yaml on a real Docker engine: ``make test-docker``."""
