"""What a load is, in no warehouse's words: row_identity."""
