-- Counts the rows of published months by the file that they come from.
-- Grain: one row per month and filename.
-- Parameters: main_table (with its project and dataset), months (YYYY-MM-DD, their first days).
-- Twice: safe, it only reads.
-- The months are constants, so BigQuery leaves all other partitions out.
SELECT
    source_month AS month,
    filename,
    COUNT(*) AS row_count
FROM `{{ main_table }}`
WHERE
    source_month IN (
{%- for month in months %}
        DATE '{{ month }}'{{ "," if not loop.last }}
{%- endfor %}
    )
GROUP BY source_month, filename
ORDER BY source_month, filename
