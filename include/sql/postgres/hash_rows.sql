{%- from "postgres/_row_text.sql" import as_type, row_text -%}
-- Gives every staged row its types, its unique_row_id and its filename, in parallel.
-- Grain: one row per row of the file; rows that repeat within the file still share an id (number_repeated_rows).
-- Parameters: rows_table, staging_table, columns, lenient; bound: filename.
-- Twice: safe, what an earlier attempt of the same run left is dropped first.
-- A row whose timestamp is not written YYYY-MM-DD HH:MM:SS is left out: the caller compares the counts.
DROP TABLE IF EXISTS {{ rows_table }};

CREATE TABLE {{ rows_table }} AS
SELECT
    MD5({{ row_text(columns, staged=true, lenient=lenient) }}
    )::uuid AS unique_row_id,
    %(filename)s::text AS filename
{%- for column in columns %},
    {{ as_type(column, lenient) }} AS {{ column.name | identifier }}
{%- endfor %}
FROM {{ staging_table }}
WHERE
    TRUE
{%- for column in columns if column.type == 'timestamp' %}
    AND (
        {{ column.name | identifier }} IS NULL
        OR (LENGTH({{ column.name | identifier }}) = 19 AND {{ column.name | identifier }}::timestamp::text = {{ column.name | identifier }})
    )
{%- endfor %}
