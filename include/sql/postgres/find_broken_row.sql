-- Finds a row of the file that breaks a constraint of the main table, to show it.
-- Grain: one row at the most, as text.
-- Parameters: rows_table, is_broken (a condition).
-- Twice: safe, it only reads.
SELECT broken::text AS row_text
FROM {{ rows_table }} AS broken
WHERE {{ is_broken }}
ORDER BY broken.unique_row_id
LIMIT 1
