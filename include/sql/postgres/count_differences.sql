-- Counts the differences between a published month and its file.
-- Grain: one row.
-- Parameters: differences_table (as find_differences leaves it).
-- Twice: safe, it only reads.
SELECT
    COUNT(published_address) AS gone,
    COUNT(incoming_address) AS came,
    COUNT(DISTINCT incoming_id) AS came_ids,
    COUNT(*) FILTER (WHERE incoming_address IS NULL) AS deleted_rows
FROM {{ differences_table }}
