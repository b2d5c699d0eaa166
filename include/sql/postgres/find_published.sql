-- Finds what a month's published rows were loaded from, and the last attempt that downloaded that file, whether it
-- published the file or found it published.
-- Grain: one row, or no row.
-- Parameters: bound: source, month, destination.
-- Twice: safe, it only reads.
-- By key and not by time: a clock may go back between two loads. Only the last publication has a digest
-- (forget_digests.sql): an attempt that began earlier may have been the last to publish the same file.
SELECT
    sha256,
    rows_read,
    rows_rejected,
    rows_staged,
    (MAX(COALESCE(fetched_load_id, load_id)) OVER ())::text AS fetched_load_id,
    partition_digest,
    filename,
    layout
FROM taxiway.loads
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND state IN ('published', 'unchanged')
ORDER BY
    state = 'published' DESC,
    partition_digest IS NULL,
    COALESCE(fetched_load_id, load_id) DESC,
    load_id DESC
LIMIT 1
