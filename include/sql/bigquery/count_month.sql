-- Counts the published rows of a month.
-- Grain: one row.
-- Parameters: main_table (with its project and dataset); bound: month.
-- Twice: safe, it only reads.
SELECT COUNT(*) AS row_count
FROM `{{ main_table }}`
WHERE source_month = @month
