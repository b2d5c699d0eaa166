-- Sums up a published month, to compare it with the other warehouse's.
-- Grain: one row: rows, and the exact sum of every numeric column.
-- Parameters: main_table, columns; bound: month.
-- Twice: safe, it only reads.
SELECT
    COUNT(*)::text AS row_count
{%- for column in columns if column.type == 'numeric' %},
    TRIM_SCALE(SUM({{ column.name | identifier }}))::text AS {{ column.name | identifier }}
{%- endfor %}
FROM public.{{ main_table }}
WHERE source_month = %(month)s
