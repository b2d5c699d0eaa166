-- Finds the months in which the main table has names of downloaded files, as an earlier version wrote them.
-- Grain: one row per month.
-- Parameters: main_table (with its project and dataset).
-- Twice: safe, it only reads.
SELECT DISTINCT source_month
FROM `{{ main_table }}`
WHERE ENDS_WITH(filename, '.csv.gz')
ORDER BY source_month
