{%- from "postgres/_row_text.sql" import as_type, row_text -%}
-- Gives rows that were staged as text their types, their unique_row_id, their filename and their month, in parallel.
-- The table can become a partition: it has NOT NULL, and a constraint that every row is of this file, so attaching
-- needs no scan.
-- Grain: one row per row of the file; duplicate rows still share an id (number_duplicate_rows).
-- Parameters: rows_table, staging_table, columns, id_columns (those of the file's layout); bound: filename, month (its first day).
-- Twice: safe, what an earlier attempt of the same run left is dropped first.
DROP TABLE IF EXISTS {{ rows_table }};

CREATE TABLE {{ rows_table }} AS
SELECT
    MD5({{ row_text(id_columns) }})::uuid AS unique_row_id,
    %(filename)s::text AS filename,
    %(month)s::date AS source_month
{%- for column in columns %},
    {{ column.name | identifier }}
{%- endfor %}
FROM (
    SELECT
{%- for column in columns %}
        {{ as_type(column) }} AS {{ column.name | identifier }},
{%- endfor %}
        -- Keeps the planner from repeating the casts wherever a column is used.
        CLOCK_TIMESTAMP() AS _fence
    FROM {{ staging_table }}
) AS typed;

ALTER TABLE {{ rows_table }}
ALTER COLUMN unique_row_id SET NOT NULL,
ALTER COLUMN filename SET NOT NULL,
ALTER COLUMN source_month SET NOT NULL,
ADD CONSTRAINT of_one_file CHECK (filename = %(filename)s AND source_month = %(month)s::date);
