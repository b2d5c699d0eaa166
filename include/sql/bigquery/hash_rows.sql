{%- from "bigquery/_row_text.sql" import field, as_type, is_readable, row_text, row_id -%}
{%- from "bigquery/_types.sql" import type_of -%}
-- Gives every staged row that can be read its types, its unique_row_id, its filename and its month.
-- Grain: one row per row of the file; the second and later duplicate rows are numbered.
-- Parameters: rows_table, staging_table (with their project and dataset), columns, id_columns (those of the file's
-- layout; the others are NULL); bound: filename, month.
-- Twice: safe, what an earlier attempt of the same run left is replaced.
-- A row with a field that can't be read is left out: the caller compares the counts.
CREATE OR REPLACE TABLE `{{ rows_table }}`
OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 24 HOUR))
AS
WITH fields AS (
    SELECT
{%- for column in id_columns %}
        {{ field(column) }} AS `{{ column.name }}`{{ "," if not loop.last }}
{%- endfor %}
    FROM `{{ staging_table }}` AS staged
),

readable AS (
    SELECT
{%- for column in id_columns %}
        `{{ column.name }}`,
{%- endfor %}
        {{ row_text(id_columns) }} AS _row_text
    FROM fields
    WHERE
        TRUE
{%- for column in id_columns %}
        AND (`{{ column.name }}` IS NULL OR {{ is_readable(column) }})
{%- endfor %}
),

numbered AS (
    SELECT
{%- for column in id_columns %}
        `{{ column.name }}`,
{%- endfor %}
        _row_text,
        ROW_NUMBER() OVER (PARTITION BY _row_text) AS _occurrence
    FROM readable
)

SELECT
    {{ row_id() }} AS unique_row_id,
    @filename AS filename,
    @month AS source_month
{%- for column in columns %},
    {% if column in id_columns %}{{ as_type(column) }}{% else %}CAST(NULL AS {{ type_of(column) }}){% endif %} AS `{{ column.name }}`
{%- endfor %}
FROM numbered
