-- Makes sure that every row of the file has an id of its own.
-- Grain: the rows of one file.
-- Parameters: rows_table, index_name.
-- Twice: safe, an index that is there stays.
CREATE UNIQUE INDEX IF NOT EXISTS {{ index_name }} ON {{ rows_table }} (unique_row_id)
