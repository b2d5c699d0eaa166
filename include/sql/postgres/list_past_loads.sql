-- Lists what loads have taken that published rows: the last 200, those of a source first.
-- Grain: one row per attempt.
-- Parameters: bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    source,
    url,
    bytes AS size,
    rows_staged AS row_count,
    started_at,
    finished_at
FROM taxiway.loads
WHERE destination = %(destination)s AND state = 'published' AND bytes > 0 AND rows_inserted > 0 AND url IS NOT NULL
ORDER BY source = %(source)s DESC, load_id DESC
LIMIT 200
