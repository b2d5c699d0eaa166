{%- from "postgres/_row_text.sql" import row_text -%}
-- Gives rows that stand more than once in the file ids of their own: the second and later ones are numbered.
-- Grain: updates the repeats only.
-- Parameters: rows_table, columns.
-- Twice: runs once, in the transaction that made the rows.
WITH repeated AS (
    SELECT unique_row_id
    FROM {{ rows_table }}
    GROUP BY unique_row_id
    HAVING COUNT(*) > 1
),

numbered AS (
    SELECT
        rows_of_file.ctid AS _row_address,
        ROW_NUMBER() OVER (PARTITION BY rows_of_file.unique_row_id ORDER BY rows_of_file.ctid) AS _occurrence
    FROM {{ rows_table }} AS rows_of_file
    INNER JOIN repeated ON rows_of_file.unique_row_id = repeated.unique_row_id
)

UPDATE {{ rows_table }} AS target
SET
    unique_row_id = MD5({{ row_text(columns, staged=false) }}
        || E'\x1F' || numbered._occurrence::text
    )::uuid
FROM numbered
WHERE target.ctid = numbered._row_address AND numbered._occurrence > 1
