{%- from "postgres/_readable.sql" import is_readable, unreadable -%}
-- Finds the fields of staged rows that don't fit the source's columns.
-- Grain: one row per unreadable field of the first unreadable rows, in the order of the file; line_number counts the
-- header as line 1.
-- Parameters: staging_table, columns; bound: most (rows to return at the most), longest (characters
-- of a field to return).
-- Twice: safe, it only reads.
-- Whole rows are checked first, on all cores. Only if one is unreadable, all rows are numbered, and the fields of the
-- unreadable rows are checked. Without this order, the planner would check the fields of every row before it joins.
WITH unreadable AS MATERIALIZED (
    SELECT ctid AS _row_address
    FROM {{ staging_table }}
    WHERE
        {{ unreadable(columns) }}
    ORDER BY ctid
    LIMIT %(most)s
),

numbered AS (
    SELECT
        staged.ctid AS _row_address,
        COALESCE(staged.line_number, ROW_NUMBER() OVER (ORDER BY staged.ctid) + 1) AS _line
{%- for column in columns %},
        staged.{{ column.name | identifier }}
{%- endfor %}
    FROM {{ staging_table }} AS staged
    WHERE EXISTS (SELECT unreadable._row_address FROM unreadable)
),

located AS MATERIALIZED (
    SELECT
        numbered._row_address,
        numbered._line
{%- for column in columns %},
        numbered.{{ column.name | identifier }}
{%- endfor %}
    FROM numbered
    INNER JOIN unreadable ON numbered._row_address = unreadable._row_address
)

SELECT
    located._row_address::text AS row_address,
    located._line AS line_number,
    field.column_name,
    field.column_type,
    LEFT(field.value, %(longest)s) AS value
FROM located
CROSS JOIN LATERAL (
    VALUES
{%- for column in columns %}
    (
        '{{ column.header }}',
        '{{ column.type }}',
        located.{{ column.name | identifier }},
        {{ is_readable(column) }}
    ){{ "," if not loop.last }}
{%- endfor %}
) AS field (column_name, column_type, value, is_readable)
WHERE NOT field.is_readable
ORDER BY located._line, field.column_name
