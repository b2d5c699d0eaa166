-- Streams the rows of a file, its header taken off, into the staging table.
-- Grain: one row per row of the file.
-- Parameters: staging_table, file_columns (the source's columns in the order of the lines), numbered (whether each
-- line begins with its number), has_ids (whether lines are texts of rows, each behind its id: docs/row-identity.md), plain
-- (whether they have neither quotation marks nor backslashes: Postgres cuts lines quicker if it doesn't look for quotes).
-- Twice: rows would be there twice, so never on a table with rows. With numbered lines it runs in the transaction that
-- creates the table. Else it runs over several sessions after the table was created, and the rows are counted afterwards.
-- An empty field is NULL, quoted or not. In rows with ids NULL is \N.
COPY {{ staging_table }} (
{%- if numbered %}
    line_number,
{%- elif has_ids %}
    unique_row_id,
{%- endif %}
{%- for column in file_columns %}
    {{ column.name | identifier }}{{ "," if not loop.last }}
{%- endfor %}
) FROM STDIN WITH (
{%- if has_ids %}FORMAT text, DELIMITER E'\x1F'
{%- elif plain %}FORMAT text, DELIMITER ',', NULL ''
{%- else %}FORMAT csv, FORCE_NULL *
{%- endif %})
