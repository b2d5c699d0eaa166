-- Creates the staging table of one run for the fields of the file as text, in the source's order.
-- Grain: one row per row of the file. If line_number is NULL, the rows are in the order of the file's lines, without a
-- gap, from line 2 on.
-- Parameters: staging_table, columns.
-- Twice: safe, what an earlier attempt of the same run left is dropped first.
DROP TABLE IF EXISTS {{ staging_table }};
DROP FUNCTION IF EXISTS {{ staging_table }};

CREATE UNLOGGED TABLE {{ staging_table }} (
{%- for column in columns %}
    {{ column.name | identifier }} text,
{%- endfor %}
    line_number bigint
);
