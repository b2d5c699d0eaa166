{#-
  is_readable(column)   whether a staged field can be read, as a condition that is never NULL

  What nearly every field looks like is told by its characters, which is several times as quick as a regular expression.
-#}
{%- macro is_readable(column) -%}
{%- if column.type == 'integer' -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            WHEN LENGTH({{ column.name | identifier }}) BETWEEN 1 AND 9 AND TRANSLATE({{ column.name | identifier }}, '0123456789', '') = '' THEN TRUE
            WHEN {{ column.name | identifier }} ~ '^ *[+-]?[0-9]{1,18}([.]0*)? *$'
                THEN TRUNC({{ column.name | identifier }}::numeric) BETWEEN -2147483648 AND 2147483647
            ELSE FALSE
        END
{%- elif column.type == 'numeric' -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            WHEN LENGTH({{ column.name | identifier }}) BETWEEN 1 AND 30 AND TRANSLATE({{ column.name | identifier }}, '0123456789', '') = '' THEN TRUE
            WHEN LENGTH({{ column.name | identifier }}) BETWEEN 2 AND 30 AND TRANSLATE({{ column.name | identifier }}, '0123456789', '') = '.' THEN TRUE
            WHEN {{ column.name | identifier }} ~ '^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *$'
                THEN PG_INPUT_IS_VALID({{ column.name | identifier }}, 'numeric')
            ELSE FALSE
        END
{%- elif column.type == 'timestamp' -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            WHEN LENGTH({{ column.name | identifier }}) <> 19 THEN FALSE
            WHEN PG_INPUT_IS_VALID({{ column.name | identifier }}, 'timestamp') THEN {{ column.name | identifier }}::timestamp::text = {{ column.name | identifier }}
            ELSE FALSE
        END
{%- else -%}
({{ column.name | identifier }} IS NULL OR ({{ column.name | identifier }} <> '\N' AND POSITION(E'\x1F' IN {{ column.name | identifier }}) = 0))
{%- endif -%}
{%- endmacro -%}
-- Finds the fields of staged rows that don't fit the source's columns.
-- Grain: one row per unreadable field, in the order of the file; line_number counts the header as line 1.
-- Parameters: staging_table, columns; bound: most (how many to return at the most).
-- Twice: safe, it only reads.
-- Integers may read 1.0; numbers are decimals, with or without an exponent, never NaN or Infinity; timestamps are
-- YYYY-MM-DD HH:MM:SS, on days and at times that exist; a text is neither \N nor holds U+001F, for these mark NULL
-- and the end of a field in the text that a row's id is made from.
-- Rows are looked at first, on all cores; only where one is unreadable, all of them are numbered.
WITH unreadable AS MATERIALIZED (
    SELECT ctid AS _row_address
    FROM {{ staging_table }}
    WHERE
        FALSE
{%- for column in columns %}
        OR NOT {{ is_readable(column) }}
{%- endfor %}
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
)

SELECT
    numbered._row_address::text AS row_address,
    numbered._line AS line_number,
    field.column_name,
    field.column_type,
    field.value
FROM numbered
INNER JOIN unreadable ON numbered._row_address = unreadable._row_address
CROSS JOIN LATERAL (
    VALUES
{%- for column in columns %}
    (
        '{{ column.header }}',
        '{{ column.type }}',
        numbered.{{ column.name | identifier }},
        {{ is_readable(column) }}
    ){{ "," if not loop.last }}
{%- endfor %}
) AS field (column_name, column_type, value, is_readable)
WHERE NOT field.is_readable
ORDER BY numbered._line, field.column_name
LIMIT %(most)s
