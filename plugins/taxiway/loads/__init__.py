"""What a load is, in no warehouse's words: load, steps, attempts, publication, row_identity."""
