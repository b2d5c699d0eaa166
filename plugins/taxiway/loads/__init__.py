"""What a load is, in no warehouse's words: load, steps, attempts, publication, published_months, row_identity."""
