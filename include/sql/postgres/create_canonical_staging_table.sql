{%- from "postgres/_row_text.sql" import row_text -%}
-- Creates the staging table of one run for checked rows: COPY gives its rows their types, their unique_row_id, their
-- filename and their month, and the table can become a partition. The rows are in any order.
-- Grain: one row per row of the file; duplicate rows still share an id (number_duplicate_rows).
-- Parameters: staging_table, columns, id_columns (those of the file's layout), by_column (whether columns are checked one
-- by one), has_ids (whether rows come with their ids); bound: filename, month (its first day).
-- Twice: safe, what an earlier attempt of the same run left is dropped first.
-- Texts of canonical CSV are shorter than a timestamp, so that no text can pass for a timestamp (CanonicalRows);
-- adopt_canonical_rows lifts this. Columns that are checked one by one (ColumnRows) need no such limit, nor do rows with ids.
DROP TABLE IF EXISTS {{ staging_table }};
DROP FUNCTION IF EXISTS {{ staging_table }};
{% if not has_ids %}
-- A generated column takes an immutable function only. A function that writes a timestamp as text is not immutable,
-- because it follows the session's DateStyle. Every session of a load sets that to the same value. So the function gets
-- its body afterwards. It is stable then, so Postgres writes it into the statement that uses it, which makes it quick.
CREATE FUNCTION {{ staging_table }}(
{%- for column in id_columns %}
    {{ column.name | identifier }} {{ column.type }}{{ "," if not loop.last }}
{%- endfor %}
) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT NULL::uuid $$;
{% endif %}
CREATE TABLE {{ staging_table }} (
    unique_row_id uuid NOT NULL
{%- if not has_ids %} GENERATED ALWAYS AS ({{ staging_table }}(
{%- for column in id_columns %}
        {{ column.name | identifier }}{{ "," if not loop.last }}
{%- endfor %}
    )) STORED
{%- endif %},
    filename text NOT NULL DEFAULT %(filename)s,
    source_month date NOT NULL DEFAULT %(month)s::date
{%- for column in columns %},
    {{ column.name | identifier }} {{ 'varchar(18)' if column.type == 'text' and not (by_column or has_ids) else column.type }}
{%- endfor %},
    CONSTRAINT of_one_file CHECK (filename = %(filename)s AND source_month = %(month)s::date)
);
{% if not has_ids %}
CREATE OR REPLACE FUNCTION {{ staging_table }}(
{%- for column in id_columns %}
    {{ column.name | identifier }} {{ column.type }}{{ "," if not loop.last }}
{%- endfor %}
) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT MD5({{ row_text(id_columns) }})::uuid
$$;
{% endif %}
