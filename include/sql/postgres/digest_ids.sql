-- Sums up the ids of a published month, in up to 256 parts: ids that begin with the same two digits are one part.
-- Grain: one row per part: how many ids it has, and their digest (MD5 of the ids, sorted, joined with line feeds).
-- Parameters: main_table; bound: month.
-- Twice: safe, it only reads.
WITH ids AS (
    SELECT
        unique_row_id,
        REPLACE(unique_row_id::text, '-', '') AS id
    FROM public.{{ main_table }}
    WHERE source_month = %(month)s
)

SELECT
    SUBSTR(ids.id, 1, 2) AS part,
    COUNT(*) AS row_count,
    MD5(STRING_AGG(ids.id, E'\n' ORDER BY ids.unique_row_id)) AS ids_digest
FROM ids
GROUP BY SUBSTR(ids.id, 1, 2)
ORDER BY part
