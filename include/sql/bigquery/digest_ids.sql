-- Sums up the ids of a published month, in up to 256 parts: ids that begin with the same two digits are one part.
-- Grain: one row per part: how many ids it has, and their digest (MD5 of the ids, sorted, joined with line feeds).
-- Parameters: main_table (with its project and dataset); bound: month.
-- Twice: safe, it only reads.
-- In parts, because a value can't be larger than 100 MB here. If two warehouses differ, only the parts that differ are
-- listed.
SELECT
    SUBSTR(unique_row_id, 1, 2) AS part,
    COUNT(*) AS row_count,
    TO_HEX(MD5(STRING_AGG(unique_row_id, '\n' ORDER BY unique_row_id))) AS ids_digest
FROM `{{ main_table }}`
WHERE source_month = @month
GROUP BY part
ORDER BY part
