-- Counts the rows of published months by the file that they come from.
-- Grain: one row per month and filename.
-- Parameters: main_table; bound: months (their first days).
-- Twice: safe, it only reads.
SELECT
    source_month AS month,
    filename,
    COUNT(*) AS row_count
FROM public.{{ main_table }}
WHERE source_month = ANY(%(months)s::date[])
GROUP BY source_month, filename
ORDER BY source_month, filename
