-- Makes sure that every row of the file has an id of its own.
-- Grain: the rows of one file.
-- Parameters: rows_table, index_name.
-- Twice: runs once, in the transaction that made the rows.
CREATE UNIQUE INDEX {{ index_name }} ON {{ rows_table }} (unique_row_id)
