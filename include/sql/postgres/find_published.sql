-- Finds the published load of a month that has the newest file, whatever run it was.
-- Grain: one row, or none.
-- Parameters: bound: source, month, destination.
-- Twice: safe, it only reads.
-- By key and not by time: a clock may go back between two loads.
SELECT
    COALESCE(fetched_load_id, load_id) AS fetched_load_id,
    sha256,
    rows_read,
    rows_rejected,
    rows_staged
FROM taxiway.loads
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND state = 'published'
ORDER BY COALESCE(fetched_load_id, load_id) DESC, load_id DESC
LIMIT 1
