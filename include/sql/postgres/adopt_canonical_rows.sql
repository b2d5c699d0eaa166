-- Turns a staging table whose rows have their types and ids into the table of the run's typed rows.
-- Grain: the rows of one file; no row is touched.
-- Parameters: staging_table, rows_table, rows_name, columns.
-- Twice: runs once, then the staging table is gone.
DROP TABLE IF EXISTS {{ rows_table }};

ALTER TABLE {{ staging_table }}
ALTER COLUMN unique_row_id DROP EXPRESSION IF EXISTS,
ALTER COLUMN filename DROP DEFAULT,
ALTER COLUMN source_month DROP DEFAULT;

DROP FUNCTION IF EXISTS {{ staging_table }};
{% for column in columns if column.type == 'text' %}
ALTER TABLE {{ staging_table }} ALTER COLUMN {{ column.name | identifier }} TYPE text;
{% endfor %}
ALTER TABLE {{ staging_table }} RENAME TO {{ rows_name }};
