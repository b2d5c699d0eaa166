-- Counts what is about to be published, for the month's balance.
-- Grain: one row.
-- Parameters: rows_table; bound: filename.
-- Twice: safe, it only reads.
SELECT
    COUNT(*) AS row_count,
    COUNT(*) FILTER (WHERE filename = %(filename)s) AS file_row_count
FROM {{ rows_table }}
