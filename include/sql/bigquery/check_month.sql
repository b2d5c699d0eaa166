{%- import "bigquery/_measures.sql" as measures -%}
-- Counts the rows that are about to be published, to check the month's balance, and takes the measures of the source's
-- checks.
-- Grain: one row; check_1 is the measure of the first check, and so on.
-- Parameters: rows_table (with its project and dataset), checks (of columns); bound: filename,
-- month, first_moment, next_first_moment (of the month, as DATETIME).
-- Twice: safe, it only reads.
-- Shares are counted here and divided by the caller. They are of all rows.
SELECT
    COUNT(*) AS row_count,
    COUNTIF(filename = @filename AND source_month = @month) AS file_row_count,
    COUNT(DISTINCT unique_row_id) AS distinct_ids
{%- for check in checks %},
    COUNTIF(
        {{ measures[check.measure](check) }}
    ) AS check_{{ loop.index }}
{%- endfor %}
FROM `{{ rows_table }}`
