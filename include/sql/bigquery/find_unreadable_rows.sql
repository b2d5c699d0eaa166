{%- from "bigquery/_row_text.sql" import field, is_readable -%}
-- Finds the staged rows with a field that doesn't fit its column.
-- Grain: one row per group of equal unreadable rows: the fields as they were staged, in the source's order, and the
-- first column, by name, that can't be read.
-- Parameters: staging_table (with its project and dataset), columns; bound: most (how many to return at the most).
-- Twice: safe, it only reads.
-- Integers may read 1.0. Numbers are decimals, with or without an exponent, that NUMERIC holds exactly: 29 digits
-- before the point and 9 after it. Timestamps are YYYY-MM-DD HH:MM:SS, on days and at times that exist, with a
-- fraction of up to nine zeros or none. A text isn't \N and has no U+001F, because these mark NULL and the end of a
-- field in the text that a row's id is made from.
WITH fields AS (
    SELECT
{%- for column in columns %}
        {{ field(column) }} AS `{{ column.name }}`{{ "," if not loop.last }}
{%- endfor %}
    FROM `{{ staging_table }}` AS staged
),

examined AS (
    SELECT
{%- for column in columns %}
        `{{ column.name }}`,
{%- endfor %}
        CASE
{%- for column in columns | sort(attribute='header', case_sensitive=true) %}
            WHEN `{{ column.name }}` IS NOT NULL AND NOT {{ is_readable(column) }} THEN '{{ column.name }}'
{%- endfor %}
        END AS _unreadable_column
    FROM fields
)

SELECT DISTINCT
{%- for column in columns %}
    `{{ column.name }}`,
{%- endfor %}
    _unreadable_column AS unreadable_column
FROM examined
WHERE _unreadable_column IS NOT NULL
ORDER BY unreadable_column
LIMIT @most
