"""What is loaded: source (columns, addresses, limits), checks, months, strict_yaml (reading)."""
