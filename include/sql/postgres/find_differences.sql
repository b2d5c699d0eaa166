-- Finds the rows in which a published month and its file differ, on all cores: a statement that changes rows uses one
-- core only.
-- Grain: one row per row that only the month or only the file has, or that both have with other values.
-- Parameters: differences_table, rows_table, partition (with its schema), columns, compare_values (whether rows of the
-- same id may have other values).
-- Twice: safe, what an earlier attempt of the same run left is dropped first.
DROP TABLE IF EXISTS {{ differences_table }};

CREATE UNLOGGED TABLE {{ differences_table }} AS
SELECT
    published.ctid AS published_address,
    published.unique_row_id AS published_id,
    incoming.ctid AS incoming_address,
    incoming.unique_row_id AS incoming_id
FROM {{ partition }} AS published
FULL JOIN {{ rows_table }} AS incoming ON published.unique_row_id = incoming.unique_row_id
WHERE
    published.ctid IS NULL
    OR incoming.ctid IS NULL
{%- if compare_values %}
    OR published.filename IS DISTINCT FROM incoming.filename
{%- for column in columns %}
    OR published.{{ column.name | identifier }} IS DISTINCT FROM incoming.{{ column.name | identifier }}
{%- endfor %}
{%- endif %}
