-- Enters an attempt to load a month in the ledger.
-- Grain: one row; what the attempt before it knew of the file is taken over where there is one.
-- Parameters: bound: source, month, destination, run_id, attempt, try_number, step, filename, started_at, before (the
-- load_id of the attempt before, or NULL).
-- Twice: the second time it is another attempt; its number is unique for the run.
INSERT INTO taxiway.loads (
    source, month, destination, run_id, attempt, try_number, step, state, filename, started_at
)
VALUES (
    %(source)s,
    %(month)s,
    %(destination)s,
    %(run_id)s,
    %(attempt)s,
    %(try_number)s,
    %(step)s,
    'running',
    %(filename)s,
    %(started_at)s
);

UPDATE taxiway.loads AS entered
SET
    url = earlier.url,
    etag = earlier.etag,
    last_modified = earlier.last_modified,
    bytes = earlier.bytes,
    sha256 = earlier.sha256,
    rows_read = earlier.rows_read,
    rows_rejected = earlier.rows_rejected,
    rows_staged = earlier.rows_staged,
    warnings = earlier.warnings
FROM taxiway.loads AS earlier
WHERE
    earlier.load_id = %(before)s
    AND entered.source = %(source)s
    AND entered.month = %(month)s
    AND entered.destination = %(destination)s
    AND entered.run_id = %(run_id)s
    AND entered.attempt = %(attempt)s
