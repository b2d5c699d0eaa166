"""What is loaded: source (columns, addresses, limits), checks, months, plain_yaml (reading)."""
