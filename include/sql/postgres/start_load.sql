-- Enters an attempt to load a month in the ledger.
-- Grain: one row; what the attempt before it knew of the file is taken over where there is one. So are its counts and
-- its rejected rows, which follow the attempt that goes on; stage_month counts and rejects anew.
-- Parameters: bound: source, month, destination, run_id, attempt, try_number, step, filename, layout,
-- row_id_version, yaml_sha256, started_at, before (the load_id of the attempt before, or NULL).
-- Twice: the second time it is another attempt; its number is unique for the run.
INSERT INTO taxiway.loads (
    source, month, destination, run_id, attempt, try_number, step, state, filename, layout, row_id_version, yaml_sha256,
    started_at
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
    %(layout)s,
    %(row_id_version)s,
    %(yaml_sha256)s,
    %(started_at)s
);

UPDATE taxiway.loads AS entered
SET
    url = earlier.url,
    etag = earlier.etag,
    last_modified = earlier.last_modified,
    bytes = earlier.bytes,
    sha256 = earlier.sha256,
    unpacked_bytes = earlier.unpacked_bytes,
    fetched_load_id = COALESCE(earlier.fetched_load_id, earlier.load_id),
    rows_read = CASE WHEN entered.step <> 'stage_month' THEN earlier.rows_read END,
    rows_rejected = CASE WHEN entered.step <> 'stage_month' THEN earlier.rows_rejected END,
    rows_staged = CASE WHEN entered.step <> 'stage_month' THEN earlier.rows_staged END,
    warnings = earlier.warnings
FROM taxiway.loads AS earlier
WHERE
    earlier.load_id = %(before)s
    AND entered.source = %(source)s
    AND entered.month = %(month)s
    AND entered.destination = %(destination)s
    AND entered.run_id = %(run_id)s
    AND entered.attempt = %(attempt)s;

UPDATE taxiway.rejected_rows
SET load_id = entered.load_id
FROM taxiway.loads AS earlier, taxiway.loads AS entered
WHERE
    rejected_rows.load_id = earlier.load_id
    AND earlier.load_id = %(before)s
    AND earlier.state <> 'published'
    AND entered.step <> 'stage_month'
    AND entered.source = %(source)s
    AND entered.month = %(month)s
    AND entered.destination = %(destination)s
    AND entered.run_id = %(run_id)s
    AND entered.attempt = %(attempt)s
