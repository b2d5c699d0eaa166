-- Finds the fields of staged rows that don't fit the source's columns.
-- Grain: one row per unreadable field, in the order of the file; line_number counts the header as line 1.
-- Parameters: staging_table, columns; bound: most (how many to return at the most).
-- Twice: safe, it only reads.
-- Integers may read 1.0; numbers are decimals, with or without an exponent, never NaN or Infinity; timestamps are
-- YYYY-MM-DD HH:MM:SS, on days and at times that exist; a text is neither \N nor holds U+001F, for these mark NULL
-- and the end of a field in the text that a row's id is made from.
WITH numbered AS (
    SELECT
        staged.ctid AS _row_address,
        COALESCE(staged.line_number, ROW_NUMBER() OVER (ORDER BY staged.ctid) + 1) AS _line
{%- for column in columns %},
        staged.{{ column.name | identifier }}
{%- endfor %}
    FROM {{ staging_table }} AS staged
)

SELECT
    numbered._row_address::text AS row_address,
    numbered._line AS line_number,
    field.column_name,
    field.column_type,
    field.value
FROM numbered
CROSS JOIN LATERAL (
    VALUES
{%- for column in columns %}
    ('{{ column.header }}', '{{ column.type }}', numbered.{{ column.name | identifier }}){{ "," if not loop.last }}
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
        WHEN 'timestamp'
            THEN
                field.value ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$'
                AND PG_INPUT_IS_VALID(field.value, 'timestamp')
                AND CASE
                    WHEN PG_INPUT_IS_VALID(field.value, 'timestamp')
                        THEN field.value::timestamp::text = field.value
                END
        ELSE
            field.value <> '\N' AND POSITION(E'\x1F' IN field.value) = 0
    END
ORDER BY numbered._line, field.column_name
LIMIT %(most)s
