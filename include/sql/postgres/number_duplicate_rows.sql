{%- from "postgres/_row_text.sql" import row_text -%}
-- Gives the duplicate rows of a file ids of their own: the second and later ones are numbered.
-- Grain: updates the second and later duplicates only.
-- Parameters: rows_table, id_columns (those of the file's layout), named (whether the duplicate ids are given; else every row is read); bound:
-- duplicate_ids (as text).
-- Twice: runs once, in the transaction that made the rows or publishes them, and is rolled back with it.
WITH numbered AS (
    SELECT
        ctid AS _row_address,
        ROW_NUMBER() OVER (PARTITION BY unique_row_id ORDER BY ctid) AS _occurrence
    FROM {{ rows_table }}
{%- if named %}
    WHERE unique_row_id = ANY(%(duplicate_ids)s::text[]::uuid[])
{%- endif %}
)

UPDATE {{ rows_table }} AS target
SET
    unique_row_id = MD5({{ row_text(id_columns) }}
        || E'\x1F' || numbered._occurrence::text
    )::uuid
FROM numbered
WHERE
    target.ctid = ANY(
        ARRAY(
            SELECT later._row_address
            FROM numbered AS later
            WHERE later._occurrence > 1
        )
    )
    AND target.ctid = numbered._row_address
