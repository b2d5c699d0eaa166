-- Finds the months of a main table whose rows have the name of a downloaded file, as version 0.1.0 wrote it.
-- Grain: one row per month.
-- Parameters: main_table (with its project and dataset), months (YYYY-MM-DD, their first days).
-- Twice: safe, it only reads.
-- It is asked for months of which the ledger has no publication. Unless somebody has deleted rows of the ledger, the main
-- table has no such month, and BigQuery reads nothing: the months are constants, so it leaves all other partitions out.
SELECT DISTINCT source_month AS month
FROM `{{ main_table }}`
WHERE
    source_month IN (
{%- for month in months %}
        DATE '{{ month }}'{{ "," if not loop.last }}
{%- endfor %}
    )
    AND ENDS_WITH(filename, '.csv.gz')
ORDER BY month
