-- Finds the staged rows that don't fit the source's columns.
-- Grain: one row per unreadable field, in the order of the file; line_number counts the header as line 1.
-- Parameters: staging_table, columns; bound: most (how many to return at the most).
-- Twice: safe, it only reads.
-- Integers may read 1.0; numbers are decimals, with or without an exponent, never NaN or Infinity;
-- timestamps are YYYY-MM-DD HH:MM:SS, on days and at times that exist.
WITH numbered AS (
    SELECT
        staged.ctid AS row_address,
        COALESCE(staged.line_number, ROW_NUMBER() OVER (ORDER BY staged.ctid) + 1) AS line
{%- for column in columns %},
        staged.{{ column.name }}
{%- endfor %}
    FROM {{ staging_table }} AS staged
)

SELECT
    numbered.row_address::text AS row_address,
    numbered.line AS line_number,
    field.column_name,
    field.column_type,
    field.value
FROM numbered
CROSS JOIN LATERAL (
    VALUES
{%- for column in columns if column.type != 'text' %}
    ('{{ column.header }}', '{{ column.type }}', numbered.{{ column.name }}){{ "," if not loop.last }}
{%- endfor %}
) AS field (column_name, column_type, value)
WHERE
    field.value IS NOT NULL
    AND NOT CASE field.column_type
        WHEN 'integer'
            THEN
                field.value ~ '^ *[+-]?[0-9]{1,18}([.]0*)? *$'
                AND TRUNC(CASE WHEN field.value ~ '^ *[+-]?[0-9]{1,18}([.]0*)? *$' THEN field.value END::numeric)
                BETWEEN -2147483648 AND 2147483647
        WHEN 'numeric'
            THEN
                field.value ~ '^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *$'
                AND PG_INPUT_IS_VALID(field.value, 'numeric')
        ELSE
            field.value ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$'
            AND PG_INPUT_IS_VALID(field.value, 'timestamp')
            AND CASE
                WHEN PG_INPUT_IS_VALID(field.value, 'timestamp')
                    THEN field.value::timestamp::text = field.value
            END
    END
ORDER BY numbered.line, field.column_name
LIMIT %(most)s
