-- Sums up a published month, to compare it with the other warehouse's.
-- Grain: one row: rows, and the exact sum of every numeric column.
-- Parameters: main_table (with its project and dataset), columns; bound: month.
-- Twice: safe, it only reads.
SELECT
    CAST(COUNT(*) AS STRING) AS row_count
{%- for column in columns if column.type == 'numeric' %},
    CAST(SUM(`{{ column.name }}`) AS STRING) AS `{{ column.name }}`
{%- endfor %}
FROM `{{ main_table }}`
WHERE source_month = @month
