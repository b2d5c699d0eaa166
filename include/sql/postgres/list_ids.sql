-- Lists the ids of a part of a published month, sorted.
-- Grain: one row per row of the month whose id begins with the part's two digits.
-- Parameters: main_table; bound: month, part.
-- Twice: safe, it only reads.
SELECT REPLACE(unique_row_id::text, '-', '') AS unique_row_id
FROM public.{{ main_table }}
WHERE source_month = %(month)s AND SUBSTR(REPLACE(unique_row_id::text, '-', ''), 1, 2) = %(part)s
ORDER BY unique_row_id
