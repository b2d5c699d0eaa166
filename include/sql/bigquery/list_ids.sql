-- Lists the ids of a part of a published month, sorted.
-- Grain: one row per row of the month whose id begins with the part's two digits.
-- Parameters: main_table (with its project and dataset); bound: month, part.
-- Twice: safe, it only reads.
SELECT unique_row_id
FROM `{{ main_table }}`
WHERE source_month = @month AND SUBSTR(unique_row_id, 1, 2) = @part
ORDER BY unique_row_id
